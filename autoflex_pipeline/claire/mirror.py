"""Copies of the state store in the warehouse, brought up in bulk: what Claire acknowledged, and the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pyarrow as arrow
from sqlalchemy import Connection

from autoflex_pipeline.state.ledger import attempts_after, newest_attempt
from autoflex_pipeline.state.outbox import acknowledged_after, newest_change

Rows = list[dict[str, Any]]
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


def bring_up(connection: duckdb.DuckDBPyConnection, state: Connection) -> None:
    """Copy what is new in the state store; all of it when the store was replaced by another one."""
    _copy(connection, "acknowledged", "change_number", ACKNOWLEDGED, newest_change(state), _acknowledged(state))
    _copy(connection, "delivery", "delivery_id", DELIVERY, newest_attempt(state), _attempts(state))


def _acknowledged(state: Connection) -> Callable[[int], Iterator[Rows]]:
    return lambda after: acknowledged_after(state, after)


def _attempts(state: Connection) -> Callable[[int], Iterator[Rows]]:
    def read(after: int) -> Iterator[Rows]:
        for rows in attempts_after(state, after):
            yield [row | {"delivery_id": row["id"]} for row in rows]

    return read


def _copy(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    watermark: str,
    schema: arrow.Schema,
    newest: int,
    read: Callable[[int], Iterator[Rows]],
) -> None:
    row = connection.execute(f"SELECT coalesce(max({watermark}), 0) FROM {table}").fetchone()
    copied = int(row[0]) if row else 0
    if copied > newest:
        connection.execute(f"DELETE FROM {table}")
        copied = 0
    if copied == newest:
        return
    for rows in read(copied):
        part = arrow.Table.from_pylist(rows, schema=schema)
        connection.register("copied_part", part)
        if table == "acknowledged":
            connection.execute(
                "DELETE FROM acknowledged a USING copied_part c WHERE a.dealer_id = c.dealer_id "
                "AND a.location_id = c.location_id AND a.dms_number = c.dms_number"
            )
        connection.execute(f"INSERT INTO {table} BY NAME FROM copied_part")
        connection.unregister("copied_part")
