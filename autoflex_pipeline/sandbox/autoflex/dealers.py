"""The dealers that an Autoflex serves: their credentials, and the switches that say how their API behaves."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Switches(BaseModel):
    """How the API of one dealer behaves; every default is what the contract page says first."""

    model_config = ConfigDict(extra="forbid")

    list_shape: Literal["envelope", "bare"] = Field(
        default="envelope", description="{data, nextpage}, or a bare array."
    )
    range_filters: Literal["honoured", "ignored", "refused"] = Field(
        default="refused", description="What [gte] and [lte] do; only [eq] is documented."
    )
    last_modified: Literal["present", "null", "absent", "unknown"] = Field(
        default="present", description="Filled, null, left out although asked for, or refused as an unknown field."
    )
    error_status: Literal["200", "real"] = Field(
        default="200", description="HTTP status of {errorCode, errorMessage} answers."
    )
    token_minutes: float = Field(default=30, gt=0, description="How long a token lives.")
    token_calls: int | None = Field(
        default=None, ge=1, description="After how many calls a token is refused; null: never."
    )
    latency_ms: float = Field(default=0, ge=0, description="Every answer is that late.")


@dataclass(frozen=True)
class SandboxDealer:
    """One dealer of the sandbox. Credentials live in memory only and are kept out of the repr.

    ``dealer_id`` is also the environment in the dealer's ``api_url``; ``timezone`` is an IANA name. ``switches`` are
    those at the start.
    """

    dealer_id: str
    name: str
    api_key: str = field(repr=False)
    username: str = field(repr=False)
    password: str = field(repr=False)
    organization_name: str = field(default="", repr=False)
    timezone: str = "Europe/Amsterdam"
    switches: Switches = field(default_factory=Switches)

    def accepts(self, given: Mapping[str, str]) -> bool:
        """Whether the login parameters are this dealer's; an organization name is needed where the dealer has one."""
        expected = {"api_key": self.api_key, "username": self.username, "password": self.password}
        if self.organization_name or "organization_name" in given:
            expected["organization_name"] = self.organization_name
        return all(
            secrets.compare_digest(value.encode(), given.get(name, "").encode()) for name, value in expected.items()
        )
