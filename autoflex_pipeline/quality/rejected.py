"""How much of each dealer's records is in quarantine."""

from __future__ import annotations

from typing import Any

import duckdb

from autoflex_pipeline.model import MODELS
from autoflex_pipeline.quality.verdict import REJECTED, Verdict, verdict_of
from autoflex_pipeline.sql_files import named_sql

SHARE_TO_WARN = 0.05
ROWS_TO_WARN = 5


def judge_rejected(connection: duckdb.DuckDBPyConnection) -> list[Verdict]:
    """One verdict an entity: records in quarantine, of all that are known."""
    known = " UNION ALL ".join(
        f"SELECT dealer_id, '{entity}' AS entity, count(*) AS rows FROM {entity} GROUP BY dealer_id"
        for entity in MODELS
    )
    found = connection.execute(named_sql("quality/judging.sql")["rejected"].replace("{known}", known)).fetchall()
    rows: dict[str, list[dict[str, Any]]] = {entity: [] for entity in MODELS}
    for dealer_id, entity, accepted, rejected in found:
        rows[entity].append(_row(dealer_id, accepted, rejected))
    return [
        verdict_of(REJECTED[entity], rows[entity], {"rejected": sum(row["rejected"] for row in rows[entity])})
        for entity in MODELS
    ]


def _row(dealer_id: str, accepted: int, rejected: int) -> dict[str, Any]:
    """A record with a good version in staging is in both numbers; that makes the share a little smaller."""
    share = rejected / (accepted + rejected)
    return {
        "dealer": dealer_id,
        "rejected": rejected,
        "accepted": accepted,
        "share": round(share, 4),
        "is_odd": rejected >= ROWS_TO_WARN and share > SHARE_TO_WARN,
        "told": f"{rejected} of {accepted + rejected} in quarantine ({share:.1%})",
    }
