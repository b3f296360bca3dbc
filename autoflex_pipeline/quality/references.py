"""Records that refer to one that never came."""

from __future__ import annotations

from typing import Any

import duckdb

from autoflex_pipeline.quality.verdict import REFERENCES, Verdict, verdict_of
from autoflex_pipeline.sql_files import named_sql

SHARE_TO_WARN = 0.01
ROWS_TO_WARN = 5


def judge_references(connection: duckdb.DuckDBPyConnection) -> list[Verdict]:
    """One verdict an entity that refers to others: orphans older than the dealer's waiting hours."""
    sql = named_sql("quality/judging.sql")
    verdicts = []
    for entity, check in REFERENCES.items():
        query = sql["orphans"].replace("{reference}", sql[f"orphans_{entity}"])
        rows = [_row(*found) for found in connection.execute(query).fetchall()]
        verdicts.append(verdict_of(check, rows, {"orphans": sum(row["orphans"] for row in rows)}))
    return verdicts


def _row(dealer_id: str, referring: int, orphans: int) -> dict[str, Any]:
    return {
        "dealer": dealer_id,
        "orphans": orphans,
        "rows": referring,
        "is_odd": orphans >= ROWS_TO_WARN and orphans > SHARE_TO_WARN * referring,
        "told": f"{orphans} of {referring} refer to a record that did not come",
    }
