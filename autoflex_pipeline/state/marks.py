"""Small facts of the installation that outlive a run, by name."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Connection, String, delete, insert, select
from sqlalchemy import Column as SqlColumn
from sqlalchemy import Table as SqlTable

from autoflex_pipeline.state.store import metadata

mark_table = SqlTable(
    "mark",
    metadata,
    SqlColumn("name", String, primary_key=True, comment="Name of the fact."),
    SqlColumn("value", JSON, comment="Its value."),
    comment="One row per small fact, such as whether the analysts' copy is behind.",
)

PUBLISH_WANTED = "publish_wanted"
"""True when something changed since the analysts' copy was published."""

ZONES_STAGED = "zones_staged"
"""The time zone with which each dealer's orders were staged, by dealer id."""

UNACCOUNTED = "unaccounted"
"""The dealers whose records did not add up, by dealer id the run that found it: nothing is sent for them."""

LOST = "lost"
"""The dealers of which storing or staging lost a record, by dealer id the run that did; their next run tries again."""

RESTORED = "restored"
"""The name that the store got when it was last put back from a backup; never set: it never was."""

COMPARED = "compared_with_claire:"
"""Followed by a dealer's id: the restored store (its name) for which the dealer was compared with Claire."""


def mark(connection: Connection, name: str) -> Any:
    """The fact's value; None when it was never set."""
    return connection.execute(select(mark_table.c.value).where(mark_table.c.name == name)).scalar()


def set_mark(connection: Connection, name: str, value: Any) -> None:
    """Set the fact."""
    connection.execute(delete(mark_table).where(mark_table.c.name == name))
    connection.execute(insert(mark_table).values(name=name, value=value))
