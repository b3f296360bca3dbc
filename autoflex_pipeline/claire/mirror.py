"""Copies of the state store in the warehouse, brought up in bulk: what Claire acknowledged, and the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import duckdb
import pyarrow as arrow
from sqlalchemy import Connection

from autoflex_pipeline.state.ledger import attempts_after, newest_attempt
from autoflex_pipeline.state.marks import PUBLISH_WANTED, set_mark
from autoflex_pipeline.state.outbox import acknowledged_after, newest_change

Rows = Sequence[Sequence[Any]]
"""Rows as the state store gives them, their values in the order of the schema."""

MOMENT = arrow.timestamp("us", tz="UTC")
ACKNOWLEDGED = arrow.schema(
    [
        ("dealer_id", arrow.string()),
        ("location_id", arrow.string()),
        ("dms_number", arrow.string()),
        ("document_hash", arrow.string()),
        ("is_billed", arrow.bool_()),
        ("is_canceled", arrow.bool_()),
        ("appointment_date", arrow.date32()),
        ("change_number", arrow.int64()),
    ]
)
DELIVERY = arrow.schema(
    [
        ("delivery_id", arrow.int64()),
        ("dealer_id", arrow.string()),
        ("dms_number", arrow.string()),
        ("attempted_at", MOMENT),
        ("result", arrow.string()),
        ("http_status", arrow.int32()),
        ("message", arrow.string()),
        ("fields_changed", arrow.string()),
        ("run_id", arrow.string()),
    ]
)

WATERMARKS = {"acknowledged": "change_number", "delivery": "delivery_id"}
"""The column of each copy that rises with every change."""

LEDGER_NAMES = {"delivery_id": "id"}
"""Columns that have another name in the state store."""


def bring_up(connection: duckdb.DuckDBPyConnection, state: Connection) -> None:
    """Copy what is new in the state store; all of it when the store was replaced by another one.

    The analysts' copy is behind then: the run that made what is new may have published without it.
    """
    copied = (
        _copy(connection, "acknowledged", ACKNOWLEDGED, newest_change(state), partial(acknowledged_after, state)),
        _copy(connection, "delivery", DELIVERY, newest_attempt(state), partial(attempts_after, state)),
    )
    if any(copied):
        set_mark(state, PUBLISH_WANTED, True)


def _copy(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    schema: arrow.Schema,
    newest: int,
    read: Callable[[int, Sequence[str]], Iterator[Rows]],
) -> bool:
    """Bring one table up; gives whether that changed it."""
    watermark = WATERMARKS[table]
    row = connection.execute(f"SELECT coalesce(max({watermark}), 0) FROM {table}").fetchone()
    copied = int(row[0]) if row else 0
    is_of_another_store = copied > newest
    if is_of_another_store:
        connection.execute(f"DELETE FROM {table}")
        copied = 0
    if copied == newest:
        return is_of_another_store
    for rows in read(copied, [LEDGER_NAMES.get(name, name) for name in schema.names]):
        columns = [
            arrow.array(values, column.type) for values, column in zip(zip(*rows, strict=True), schema, strict=True)
        ]
        part = arrow.Table.from_arrays(columns, schema=schema)
        connection.register("copied_part", part)
        if table == "acknowledged":
            connection.execute(
                "DELETE FROM acknowledged a USING copied_part c WHERE a.dealer_id = c.dealer_id "
                "AND a.location_id = c.location_id AND a.dms_number = c.dms_number"
            )
        connection.execute(f"INSERT INTO {table} BY NAME FROM copied_part")
        connection.unregister("copied_part")
    return True
