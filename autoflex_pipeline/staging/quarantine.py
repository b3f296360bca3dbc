"""What was rejected: looking at it, and taking it again."""

from __future__ import annotations

from typing import Any

import duckdb

from autoflex_pipeline.model import RAW_ENTITIES
from autoflex_pipeline.sql_files import named_sql, run_sql


def entries(
    connection: duckdb.DuckDBPyConnection,
    *,
    dealer_id: str | None = None,
    entity: str | None = None,
    state: str | None = "open",
) -> list[dict[str, Any]]:
    """The rows of ``quarantine`` as dicts, newest first; None means any. ``state=None`` gives closed ones too."""
    cursor = run_sql(
        connection,
        named_sql("staging/quarantine.sql")["entries"],
        {"dealer_id": dealer_id, "entity": entity, "state": state},
    )
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def retry(
    connection: duckdb.DuckDBPyConnection,
    *,
    dealer_id: str | None = None,
    entity: str | None = None,
    dms_number: str | None = None,
) -> int:
    """Have the next staging take open entries again, with its rules of that day; gives the number of records.

    Records without a key are left out: no rule of this program can give them one.
    """
    rows = run_sql(
        connection,
        named_sql("staging/quarantine.sql")["retry"],
        {
            "dealer_id": dealer_id,
            "entity": entity,
            "dms_number": dms_number,
            "entities": list(RAW_ENTITIES),
            "raws": list(RAW_ENTITIES.values()),
        },
    ).fetchall()
    return len(rows)
