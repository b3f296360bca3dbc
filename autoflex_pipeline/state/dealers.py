"""What is remembered of each dealer between runs: last success, last look, next due work, counts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Connection, Integer, String, Text, delete, insert, select
from sqlalchemy import Column as SqlColumn
from sqlalchemy import Table as SqlTable

from autoflex_pipeline.state.store import UtcMoment, metadata

dealer_state = SqlTable(
    "dealer_state",
    metadata,
    SqlColumn("dealer_id", String, primary_key=True, comment="The dealer."),
    SqlColumn("last_run_id", String, comment="The last run that took the dealer."),
    SqlColumn("last_attempt_at", UtcMoment, comment="When a run last took the dealer."),
    SqlColumn("last_success_at", UtcMoment, comment="When a run last ended well for the dealer."),
    SqlColumn("error", Text, comment="Why the last run failed for the dealer; empty when it did not."),
    SqlColumn("look_digest", String, comment="Digest of the open orders as last staged."),
    SqlColumn(
        "read_digest", String, comment="Digest of the open orders as last read; it counts once the run succeeds."
    ),
    SqlColumn("read_count", Integer, comment="Open orders in the list that was last read whole."),
    SqlColumn("read_run_id", String, comment="The run that read them."),
    SqlColumn("due_at", UtcMoment, comment="When the dealer has work to do although nothing changes."),
    SqlColumn("due_reason", String, comment="What that work is."),
    SqlColumn("reread_at", UtcMoment, comment="When cars and parties of today and tomorrow were last read anew."),
    SqlColumn("counts", JSON, comment="Deliveries by state after the last run."),
    comment="One row per dealer.",
)


def dealer_row(connection: Connection, dealer_id: str) -> dict[str, Any]:
    """What is remembered of the dealer; all values None for one never seen."""
    row = connection.execute(select(dealer_state).where(dealer_state.c.dealer_id == dealer_id)).mappings().first()
    never_seen = {column.name: None for column in dealer_state.columns} | {"dealer_id": dealer_id}
    return never_seen | ({str(name): value for name, value in row.items()} if row else {})


def remember(connection: Connection, dealer_id: str, **values: Any) -> None:
    """Change what is remembered of the dealer; values not named stay."""
    row = dealer_row(connection, dealer_id) | values
    connection.execute(delete(dealer_state).where(dealer_state.c.dealer_id == dealer_id))
    connection.execute(insert(dealer_state).values(**row))
