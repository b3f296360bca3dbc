"""Totals of each dealer that only grow, for those who watch rates: requests to its DMS, runs, the time they took."""

from __future__ import annotations

from sqlalchemy import Column as SqlColumn
from sqlalchemy import Connection, Float, Integer, String, insert, select, update
from sqlalchemy import Table as SqlTable

from autoflex_pipeline.state.store import metadata

dealer_total = SqlTable(
    "dealer_total",
    metadata,
    SqlColumn("dealer_id", String, primary_key=True, comment="The dealer."),
    SqlColumn("requests", Integer, nullable=False, comment="Requests to its DMS that belong to readings that ended."),
    SqlColumn("runs_ok", Integer, nullable=False, comment="Runs that ended well for it."),
    SqlColumn("runs_failed", Integer, nullable=False, comment="Runs that did not."),
    SqlColumn("run_seconds", Float, nullable=False, comment="Seconds that these runs took, from the first reading on."),
    SqlColumn("last_run_seconds", Float, nullable=False, comment="Seconds that the last of them took."),
    comment="One row per dealer: totals since the store was made.",
)

NAMES = ("requests", "runs_ok", "runs_failed", "run_seconds", "last_run_seconds")


def totals(connection: Connection) -> dict[str, dict[str, float]]:
    """By dealer its totals."""
    rows = connection.execute(select(dealer_total)).mappings()
    return {row["dealer_id"]: {name: row[name] for name in NAMES} for row in rows}


def count_requests(connection: Connection, dealer_id: str, requests: int) -> None:
    """The dealer's DMS was asked so many times more."""
    _add(connection, dealer_id, requests=requests)


def count_run(connection: Connection, dealer_id: str, *, ok: bool, seconds: float) -> None:
    """A run ended for the dealer."""
    _add(connection, dealer_id, run_seconds=seconds, **{"runs_ok" if ok else "runs_failed": 1})
    here = dealer_total.c.dealer_id == dealer_id
    connection.execute(update(dealer_total).where(here).values(last_run_seconds=seconds))


def _add(connection: Connection, dealer_id: str, **values: float) -> None:
    here = dealer_total.c.dealer_id == dealer_id
    more = {name: dealer_total.c[name] + value for name, value in values.items()}
    if not connection.execute(update(dealer_total).where(here).values(**more)).rowcount:
        connection.execute(insert(dealer_total).values(dealer_id=dealer_id, **dict.fromkeys(NAMES, 0) | values))
