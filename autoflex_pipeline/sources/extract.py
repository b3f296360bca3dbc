"""An extract: what one question to a source brought, as it is handed over for storing."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import date, datetime

from autoflex_pipeline.sources.autoflex_api import Reading, Record


@dataclass(frozen=True, slots=True)
class Extract:
    """One reading of one kind of record from one dealer.

    ``records`` are the distinct records in scope; ``window`` is the first and last appointment day asked for;
    ``read_ids`` are the numbers asked for that were answered completely: of the records, and for order lines of the
    orders whose lines they are. ``not_found`` are those that the source says do not exist. ``is_refused``:
    the source refused the question as a whole, which asking again does not mend. ``pages``: how many the whole list
    had; None when it was not read whole.
    """

    dealer_id: str
    entity: str
    source: str
    records: tuple[Record, ...]
    is_complete: bool
    error: str | None
    started_at: datetime
    finished_at: datetime
    not_found: frozenset[str] = frozenset()
    read_ids: frozenset[str] = frozenset()
    window: tuple[date, date] | None = None
    is_refused: bool = False
    requests: int = 0
    pages: int | None = None
    extract_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def of(
        cls,
        reading: Reading,
        *,
        dealer_id: str,
        source: str,
        started_at: datetime,
        finished_at: datetime,
        records: tuple[Record, ...] | None = None,
        window: tuple[date, date] | None = None,
    ) -> Extract:
        """The extract that a reading of the API makes; ``records`` narrows it to those in scope."""
        return cls(
            dealer_id=dealer_id,
            entity=reading.entity,
            source=source,
            records=reading.records if records is None else records,
            is_complete=reading.complete,
            error=reading.error,
            started_at=started_at,
            finished_at=finished_at,
            not_found=reading.not_found,
            read_ids=reading.read_ids,
            is_refused=reading.refused,
            window=window,
            requests=reading.requests,
            pages=reading.pages,
        )
