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
    digest = hashlib.sha256()
    for key, text in sorted((record.key or "", record.text) for record in reading.records):
        for part in (key, text):
            encoded = part.encode("utf-8")
            digest.update(len(encoded).to_bytes(8, "big"))
            digest.update(encoded)
    return digest.hexdigest()
