"""Tables for the Dagster UI, made of counts only."""

from __future__ import annotations

from typing import Any

import dagster as dg
import duckdb

ROWS_SHOWN = 200


def quarantine_table(connection: duckdb.DuckDBPyConnection) -> tuple[dg.MetadataValue[Any], int]:
    """Open quarantine by dealer, entity, rule and field, most first, and the number of rows in all."""
    rows = connection.execute(
        """
        SELECT dealer_id, entity, rule, field, any_value(hint), count(*)
        FROM quarantine WHERE state = 'open'
        GROUP BY dealer_id, entity, rule, field
        ORDER BY count(*) DESC, dealer_id, entity, rule, field
        """
    ).fetchall()
    records = [
        dg.TableRecord(
            {"dealer": row[0], "entity": row[1], "rule": row[2], "field": row[3], "what_to_do": row[4], "rows": row[5]}
        )
        for row in rows[:ROWS_SHOWN]
    ]
    total = sum(row[5] for row in rows)
    return (dg.MetadataValue.table(records) if records else dg.MetadataValue.text("empty")), total
