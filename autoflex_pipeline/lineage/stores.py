"""Opening the two stores for reading only: nothing is created, migrated or changed, whoever else is at work."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from autoflex_pipeline.errors import PipelineError
from autoflex_pipeline.sql_files import literal
from autoflex_pipeline.warehouse import Warehouse
from autoflex_pipeline.warehouse.schema import SCHEMA_VERSION, WarehouseVersionError
from autoflex_pipeline.warehouse.tables import all_tables

SOURCE = "source"
"""The warehouse's name while it is attached."""

Row = dict[str, Any]


class NothingStoredError(PipelineError):
    """No run has stored anything yet."""


@contextmanager
def empty_copy() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory with the warehouse's tables and no rows; closed at the end."""
    connection = duckdb.connect(
        ":memory:", config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        for table in all_tables():
            connection.execute(
                f"CREATE TABLE {table.name} ({', '.join(f'{each.name} {each.type}' for each in table.columns)})"
            )
        yield connection
    finally:
        connection.close()


@contextmanager
def attached(connection: duckdb.DuckDBPyConnection, warehouse: Warehouse) -> Iterator[None]:
    """The warehouse as schema ``source`` for the time of the block, read-only, under its lock: keep the block short.

    StoreBusyError when a run holds the file longer than the bounded wait; NothingStoredError when there is none;
    WarehouseDamagedError when DuckDB cannot read it.
    """
    if not warehouse.path.exists():
        raise NothingStoredError(f"there is no warehouse {warehouse.path} yet: run `autoflex-pipeline sync` first")
    with warehouse.errors_told(), warehouse.alone():
        connection.execute(f"ATTACH {literal(str(warehouse.path))} AS {SOURCE} (READ_ONLY)")
        try:
            row = connection.execute(f"SELECT coalesce(max(version), 0) FROM {SOURCE}.schema_version").fetchone()
            if row and row[0] > SCHEMA_VERSION:
                raise WarehouseVersionError(
                    f"the warehouse has schema version {row[0]}, this program knows {SCHEMA_VERSION}: "
                    "it was written by a newer version; upgrade this program"
                )
            yield
        finally:
            connection.execute(f"DETACH {SOURCE}")


def rows(connection: duckdb.DuckDBPyConnection, sql: str, values: Any = None) -> list[Row]:
    """The result of a query as dicts."""
    cursor = connection.execute(sql, values)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


class StateReader:
    """The state store, read without taking its write lock; without a file it is empty.

    SQLite opens it read-only, so a run that is writing neither waits nor is waited for.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) if path.exists() else None

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """The result of a query as dicts; moments are text (see ``moment``). StateDamagedError for a damaged file."""
        if self._connection is None:
            return []
        try:
            cursor = self._connection.execute(sql, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except sqlite3.DatabaseError as error:
            # Loaded for its words only: it takes longer than a whole trace.
            from autoflex_pipeline.state.store import damage

            raise damage(self._path, error) or error from None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()


def moment(text: str | None) -> datetime | None:
    """A moment as the state store keeps it: UTC without a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None
