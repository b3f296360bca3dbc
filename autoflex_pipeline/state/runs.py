"""What went wrong for a dealer in a run: kept until the record of the run is trimmed; its summary is made of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Column as SqlColumn
from sqlalchemy import Connection, Integer, String, Text, delete, insert, select
from sqlalchemy import Table as SqlTable

from autoflex_pipeline.state.store import UtcMoment, metadata

ProblemKind = Literal["login", "configuration", "source", "guard", "transport", "busy", "accounts"]

run_problem = SqlTable(
    "run_problem",
    metadata,
    SqlColumn("id", Integer, primary_key=True, comment="Running number."),
    SqlColumn("run_id", String, nullable=False, index=True, comment="The run."),
    SqlColumn("dealer_id", String, nullable=False, comment="The dealer that it happened to."),
    SqlColumn(
        "kind", String, nullable=False, comment="login, configuration, source, guard, transport, busy or accounts."
    ),
    SqlColumn("message", Text, nullable=False, comment="What happened and what to do."),
    SqlColumn("noted_at", UtcMoment, nullable=False, comment="When it happened."),
    comment="One row per thing that went wrong for a dealer in a run.",
)


def note_problem(
    connection: Connection, run_id: str, dealer_id: str, kind: ProblemKind, message: str, now: datetime
) -> None:
    """Remember what went wrong for the dealer in this run."""
    connection.execute(
        insert(run_problem).values(run_id=run_id, dealer_id=dealer_id, kind=kind, message=message, noted_at=now)
    )


def problems(connection: Connection, run_id: str) -> dict[str, list[dict[str, Any]]]:
    """Per dealer, what went wrong in the run, in order: ``kind`` and ``message``."""
    query = select(run_problem).where(run_problem.c.run_id == run_id).order_by(run_problem.c.id)
    found: dict[str, list[dict[str, Any]]] = {}
    for row in connection.execute(query).mappings():
        found.setdefault(row["dealer_id"], []).append({"kind": row["kind"], "message": row["message"]})
    return found


def forget_before(connection: Connection, moment: datetime) -> int:
    """Drop what is older than ``moment``; gives the number of rows."""
    return connection.execute(delete(run_problem).where(run_problem.c.noted_at < moment)).rowcount
