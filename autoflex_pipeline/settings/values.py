"""What a key of the configuration file may hold."""

from __future__ import annotations

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field


def _http_url(value: str) -> str:
    if not value.isprintable() or " " in value:
        raise ValueError("must hold no spaces and no control characters")
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("must be an http(s) address such as https://dms.example/v2")
    if parts.query or parts.username or parts.password:
        raise ValueError("must hold no credentials and no query")
    return value.rstrip("/")


def is_in_clear(url: str) -> bool:
    """Whether secrets sent to this address could be read on the way: http, and not to this machine itself."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http" or host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def refuse_in_clear(key: str, url: str, allow_http: bool) -> None:
    """ValueError when secrets sent to ``url`` could be read on the way, and nobody has allowed that."""
    if is_in_clear(url) and not allow_http:
        raise ValueError(
            f"{key} {url!r} would send secrets over the network in clear; use https "
            "(or set allow_http = true beside it, where the whole way is yours)"
        )


def _timezone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError("must be an IANA time zone such as Europe/Amsterdam")
    return value


HttpUrl = Annotated[str, AfterValidator(_http_url), Field(json_schema_extra={"format": "uri"})]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Owner = Annotated[str, Field(pattern=r"^(team:[A-Za-z0-9_ -]+|[A-Za-z0-9_.+-]+@[A-Za-z0-9-]+\.[A-Za-z0-9.-]+)$")]
Flag = Annotated[bool, Field(strict=True)]
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Rate = Annotated[Number, Field(ge=0, le=10_000)]
Timezone = Annotated[str, AfterValidator(_timezone)]
