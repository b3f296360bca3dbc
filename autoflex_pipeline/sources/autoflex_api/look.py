"""The cheap look: does a dealer's open list differ from what was staged?"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from autoflex_pipeline.sources.autoflex_api.pages import Record
from autoflex_pipeline.sources.autoflex_api.reading import AutoflexApi


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a dealer saw: a digest of its open orders, and how many there are."""

    digest: str
    open_count: int
    complete: bool
    error: str | None
    requests: int


def look(api: AutoflexApi) -> Look:
    """Look at the open orders of a dealer. LoginRefusedError when the credentials are refused."""
    reading = api.open_orders()
    return Look(digest_of(reading), len(reading.records), reading.complete, reading.error, reading.requests)


class HasRecords(Protocol):
    """Whatever a question to the DMS brought."""

    @property
    def records(self) -> tuple[Record, ...]:
        """The distinct records."""


def digest_of(reading: HasRecords) -> str:
    """A digest of keys and contents, whatever the order in which they came; equal readings have equal digests."""
    # The key stands in the text. No JSON text holds a separator character, so nothing can be taken for something else.
    return hashlib.sha256("\x1e".join(sorted(record.text for record in reading.records)).encode("utf-8")).hexdigest()
