"""How long each dealer has been watched: without a past there is nothing usual."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb

from autoflex_pipeline.quality.verdict import JudgedDealer
from autoflex_pipeline.sql_files import named_sql


def install_dealers(connection: duckdb.DuckDBPyConnection, dealers: Sequence[JudgedDealer], now: datetime) -> None:
    """Make ``judged_dealer``, the small table that the queries look into: zone, local time, first day watched."""
    connection.execute(
        named_sql("quality/judging.sql")["dealers"],
        {
            "ids": [dealer.id for dealer in dealers],
            "zones": [dealer.timezone for dealer in dealers],
            "hours": [dealer.waiting_hours for dealer in dealers],
            "now": now,
        },
    )


def watched_days(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """By dealer the full days since the day after its first extract; 0 for one never read."""
    return dict(connection.execute("SELECT dealer_id, watched_days FROM judged_dealer").fetchall())


def not_enough(days: int, needed: int) -> str:
    """What is said of a dealer without enough past."""
    return f"not enough history yet ({days} of {needed} days)"
