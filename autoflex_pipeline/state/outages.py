"""Outages: a Claire that does not answer is left alone for a while, by the schedule's runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column as SqlColumn
from sqlalchemy import Connection, Integer, String, delete, insert, select
from sqlalchemy import Table as SqlTable

from autoflex_pipeline.state.store import UtcMoment, metadata

MINUTES_TO_NEXT_TRY = (1, 2, 5)
"""After the first, the second, and every later run that found no answer; the last is how late a change can be."""

outage = SqlTable(
    "outage",
    metadata,
    SqlColumn("dealer_id", String, primary_key=True, comment="The dealer whose documents had no answer."),
    SqlColumn("since", UtcMoment, nullable=False, comment="When the first run began that had no answer."),
    SqlColumn("tries", Integer, nullable=False, comment="How many runs have had no answer so far."),
    SqlColumn("next_try_at", UtcMoment, nullable=False, comment="When the schedule's runs send a document again."),
    comment="One row per dealer whose last delivery had no answer from Claire at all.",
)


def current_outage(connection: Connection, dealer_id: str) -> dict[str, Any] | None:
    """The dealer's outage, if any."""
    row = connection.execute(select(outage).where(outage.c.dealer_id == dealer_id)).mappings().first()
    return {str(name): value for name, value in row.items()} if row else None


def note_outage(connection: Connection, dealer_id: str, began: datetime, *, now: datetime) -> datetime:
    """One more run, which ``began`` then, had no answer; gives the moment of the next try."""
    known = current_outage(connection, dealer_id)
    tries = known["tries"] + 1 if known is not None else 1
    next_try_at = now + timedelta(minutes=MINUTES_TO_NEXT_TRY[min(tries, len(MINUTES_TO_NEXT_TRY)) - 1])
    end_outage(connection, dealer_id)
    since = known["since"] if known is not None else began
    connection.execute(insert(outage).values(dealer_id=dealer_id, since=since, tries=tries, next_try_at=next_try_at))
    return next_try_at


def end_outage(connection: Connection, dealer_id: str) -> None:
    """Claire answered."""
    connection.execute(delete(outage).where(outage.c.dealer_id == dealer_id))
