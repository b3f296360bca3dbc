"""Holds: what a next run would not mend, such as a wrong password or a tripped guard, is not tried every minute."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Column as SqlColumn
from sqlalchemy import Connection, Integer, String, Text, delete, insert, select
from sqlalchemy import Table as SqlTable

from autoflex_pipeline.state.store import UtcMoment, metadata

HoldKind = Literal["login", "configuration", "guard", "accounts"]
BACKOFF_MINUTES = (5, 15, 60)

hold = SqlTable(
    "hold",
    metadata,
    SqlColumn("dealer_id", String, primary_key=True, comment="The dealer."),
    SqlColumn("kind", String, nullable=False, comment="login, configuration, guard or accounts."),
    SqlColumn("cause", String, nullable=False, comment="Fingerprint of the cause; another one ends the hold."),
    SqlColumn("message", Text, nullable=False, comment="What is wrong and what to do."),
    SqlColumn("since", UtcMoment, nullable=False, comment="When it began."),
    SqlColumn("attempts", Integer, nullable=False, comment="How often it has failed so."),
    SqlColumn("next_try_at", UtcMoment, nullable=False, comment="When the schedule tries again."),
    comment="One row per dealer that the schedule leaves alone for a while.",
)


def backoff(attempts: int) -> timedelta:
    """How long the schedule waits after so many attempts that failed in one way: 5, 15, then 60 minutes."""
    return timedelta(minutes=BACKOFF_MINUTES[min(attempts, len(BACKOFF_MINUTES)) - 1])


def current_hold(connection: Connection, dealer_id: str) -> dict[str, Any] | None:
    """The dealer's hold, if any."""
    row = connection.execute(select(hold).where(hold.c.dealer_id == dealer_id)).mappings().first()
    return {str(name): value for name, value in row.items()} if row else None


def place_hold(connection: Connection, dealer_id: str, kind: HoldKind, cause: str, message: str, now: datetime) -> None:
    """Hold the dealer; the same cause again waits longer (5, 15, then every 60 minutes)."""
    known = current_hold(connection, dealer_id)
    goes_on = known is not None and known["kind"] == kind and known["cause"] == cause
    attempts = known["attempts"] + 1 if known is not None and goes_on else 1
    connection.execute(delete(hold).where(hold.c.dealer_id == dealer_id))
    connection.execute(
        insert(hold).values(
            dealer_id=dealer_id,
            kind=kind,
            cause=cause,
            message=message,
            since=known["since"] if known is not None and goes_on else now,
            attempts=attempts,
            next_try_at=now + backoff(attempts),
        )
    )


def lift_hold(connection: Connection, dealer_id: str) -> None:
    """The dealer is tried at every tick again."""
    connection.execute(delete(hold).where(hold.c.dealer_id == dealer_id))
