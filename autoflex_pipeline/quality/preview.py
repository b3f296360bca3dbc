"""The newest rows of an entity with everything personal struck out: what a person may see of it in the Dagster UI."""

from __future__ import annotations

from typing import Any

import duckdb

from autoflex_pipeline.claire.contract import KINDS
from autoflex_pipeline.model import FieldInfo, fields

STRUCK_OUT = "•••"
ROWS_SHOWN = 3
LONGEST = 40
NUMBERS_OF_PARTIES = {f"{kind}_dms_number" for kind in KINDS}


def masked_rows(connection: duckdb.DuckDBPyConnection, entity: str) -> list[dict[str, Any]]:
    """At most three rows, newest first. What is personal or leads to a person is shown as ``•••`` where there is any.

    Whatever the dealer's ``privacy`` is: what Dagster keeps of a run is out of an erasure's reach.
    """
    shown = [field for field in fields(entity) if not field.wanted]
    columns = ", ".join(
        f"CASE WHEN {field.name} IS NOT NULL THEN '{STRUCK_OUT}' END AS {field.name}"
        if _is_struck_out(entity, field)
        else field.name
        for field in shown
    )
    cursor = connection.execute(
        f"SELECT {columns} FROM {entity} ORDER BY observed_at DESC, dealer_id, dms_number LIMIT {ROWS_SHOWN}"
    )
    return [{field.name: _plain(value) for field, value in zip(shown, row, strict=True)} for row in cursor.fetchall()]


def _is_struck_out(entity: str, field: FieldInfo) -> bool:
    of_a_party = entity == "party" and field.name != "dealer_id"
    return field.pii is not None or field.name in NUMBERS_OF_PARTIES or of_a_party


def _plain(value: Any) -> Any:
    """As a table of the UI takes it."""
    return value if value is None or isinstance(value, bool | int) else str(value)[:LONGEST]
