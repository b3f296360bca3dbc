"""The ledger: every request that was made to deliver a document, append-only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Column as SqlColumn
from sqlalchemy import Connection, Integer, Row, String, Text, func, insert, select
from sqlalchemy import Table as SqlTable

from autoflex_pipeline.state.store import UtcMoment, metadata

ledger = SqlTable(
    "ledger",
    metadata,
    SqlColumn("id", Integer, primary_key=True, comment="Running number."),
    SqlColumn("dealer_id", String, nullable=False, comment="The dealer."),
    SqlColumn("location_id", String, nullable=False, comment="Claire's location."),
    SqlColumn("dms_number", String, nullable=False, comment="The appointment's number in the DMS."),
    SqlColumn("intent_number", Integer, nullable=False, comment="The intent that it was a try of."),
    SqlColumn("attempted_at", UtcMoment, nullable=False, comment="When it was sent."),
    SqlColumn("result", String, nullable=False, comment="created, updated, unchanged, rejected, failed or pending."),
    SqlColumn("http_status", Integer, comment="Claire's answer; empty when there was none."),
    SqlColumn("message", Text, comment="What Claire said, or why it failed."),
    SqlColumn("fields_changed", Text, nullable=False, comment="JSON list of {field, old, new} of the intent."),
    SqlColumn("run_id", String, nullable=False, comment="The run that sent it."),
    comment="One row per request that delivers a document; never changed.",
    sqlite_autoincrement=True,
)


def append(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Add attempts; each row has every column but the id."""
    if rows:
        connection.execute(insert(ledger), rows)


def attempts_after(
    connection: Connection, ledger_id: int, names: Sequence[str], *, at_once: int = 10_000
) -> Iterator[Sequence[Row[Any]]]:
    """The columns ``names`` of the attempts after ``ledger_id``, oldest first, in parts."""
    query = select(*(ledger.c[name] for name in names)).where(ledger.c.id > ledger_id).order_by(ledger.c.id)
    yield from connection.execution_options(yield_per=at_once).execute(query).partitions(at_once)


def last_attempts(connection: Connection, dealer_id: str, run_id: str) -> dict[str, dict[str, Any]]:
    """By appointment the last attempt that a run made for the dealer: ``result``, ``http_status``, ``message``."""
    columns = (ledger.c.dms_number, ledger.c.result, ledger.c.http_status, ledger.c.message)
    query = select(*columns).where(ledger.c.dealer_id == dealer_id, ledger.c.run_id == run_id).order_by(ledger.c.id)
    rows = connection.execute(query).mappings()
    return {row["dms_number"]: {str(name): value for name, value in row.items()} for row in rows}


def newest_attempt(connection: Connection) -> int:
    """The highest running number; 0 when nothing was ever sent."""
    return connection.scalar(select(func.max(ledger.c.id))) or 0
