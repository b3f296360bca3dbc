"""What a run did for each dealer, as ``sync --json`` prints it: kept until the record of the run is trimmed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Connection, String, delete, insert, select
from sqlalchemy import Column as SqlColumn
from sqlalchemy import Table as SqlTable

from autoflex_pipeline.state.store import UtcMoment, metadata

run_summary = SqlTable(
    "run_summary",
    metadata,
    SqlColumn("run_id", String, primary_key=True, comment="The run."),
    SqlColumn("dealer_id", String, primary_key=True, comment="The dealer."),
    SqlColumn("summary", JSON, nullable=False, comment="The dealer's part of the summary of sync --json."),
    SqlColumn(
        "changes", JSON, nullable=False, comment="What was sent, or in a dry run would be: the difference by field."
    ),
    SqlColumn("made_at", UtcMoment, nullable=False, comment="When the run ended for the dealer."),
    comment="One row per run and dealer.",
)


def keep_summary(
    connection: Connection,
    run_id: str,
    dealer_id: str,
    summary: dict[str, Any],
    changes: list[dict[str, Any]],
    now: datetime,
) -> None:
    """Keep what the run did for the dealer."""
    here = (run_summary.c.run_id == run_id) & (run_summary.c.dealer_id == dealer_id)
    connection.execute(delete(run_summary).where(here))
    connection.execute(
        insert(run_summary).values(run_id=run_id, dealer_id=dealer_id, summary=summary, changes=changes, made_at=now)
    )


def summaries(connection: Connection, run_id: str) -> dict[str, dict[str, Any]]:
    """Per dealer, ``summary`` and ``changes`` of the run."""
    rows = connection.execute(select(run_summary).where(run_summary.c.run_id == run_id)).mappings()
    return {row["dealer_id"]: {"summary": row["summary"], "changes": row["changes"]} for row in rows}


def forget_before(connection: Connection, moment: datetime) -> int:
    """Drop what is older than ``moment``; gives the number of rows."""
    return connection.execute(delete(run_summary).where(run_summary.c.made_at < moment)).rowcount
