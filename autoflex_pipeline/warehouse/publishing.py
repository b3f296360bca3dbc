"""Publishing the analysts' copy: the warehouse selected into a new pseudonymised DuckDB file.

A copy of the file would carry everything, also what was deleted; so what analysts may see is selected into a new one.
All tables are read in one transaction under the warehouse's lock, so that they show one moment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version as installed_version
from pathlib import Path
from time import monotonic
from typing import Any

import duckdb
from filelock import FileLock, Timeout

from autoflex_pipeline.disk import disk_errors_told
from autoflex_pipeline.errors import StoreBusyError
from autoflex_pipeline.settings import Settings
from autoflex_pipeline.sql_files import literal
from autoflex_pipeline.warehouse.analyst_selects import selects
from autoflex_pipeline.warehouse.analyst_tables import PUBLISHED, published_tables
from autoflex_pipeline.warehouse.connection import PRIVATE_MODE, Warehouse
from autoflex_pipeline.warehouse.pseudonyms import install_masks, pseudonym_key
from autoflex_pipeline.warehouse.schema import SCHEMA_VERSION
from autoflex_pipeline.warehouse.tables import Table
from autoflex_pipeline.warehouse.versions import (
    building_path,
    check_analytics_path,
    new_version,
    release,
    remove_old,
    remove_with_leavings,
)

COPY = "analysts_copy"
WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Published:
    """A copy that was made: where, its rows by table, its size, how long it took, the moment that it shows."""

    path: Path
    rows: dict[str, int]
    bytes: int
    seconds: float
    as_of: datetime


def publish(
    settings: Settings, warehouse: Warehouse, *, run_id: str, now: datetime, wait_seconds: float = WAIT_SECONDS
) -> Published:
    """Make a new version of the analysts' copy and link ``analytics_path`` to it.

    ConfigurationError when the key for pseudonyms is missing or the path is not fit; StoreBusyError when another
    publication, or the warehouse, is busy for longer than ``wait_seconds``; DiskError when the disk is full or fails.
    On any error the last version stays.
    """
    started = monotonic()

    def clock() -> datetime:
        """``now``, and what has passed since: waiting for the lock may have taken long."""
        return now + timedelta(seconds=monotonic() - started)

    key = pseudonym_key(settings)
    check_analytics_path(settings)
    link = settings.warehouse.analytics_path
    copy = f"the analysts' copy {link}"
    with disk_errors_told(copy), _one_publication(link, wait_seconds):
        building = building_path(link)
        remove_with_leavings(building)
        try:
            with warehouse.open() as connection, disk_errors_told(copy):
                as_of = clock()
                _prepare(connection, settings, key, building)
                rows = _fill(connection)
                _seal(connection, [clock(), as_of, run_id, _versions()])
            path = new_version(link, as_of)
            release(building, path, link)
        finally:
            remove_with_leavings(building)
        remove_old(settings)
    rows[PUBLISHED.name] = 1
    return Published(path, rows, path.stat().st_size, monotonic() - started, as_of)


@contextmanager
def _one_publication(link: Path, wait_seconds: float) -> Iterator[None]:
    """One at a time, so that an older moment never takes the place of a newer one."""
    link.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(link.with_name(f".{link.name}.lock"), timeout=wait_seconds, mode=PRIVATE_MODE, poll_interval=0.02)
    try:
        lock.acquire()
    except Timeout:
        raise StoreBusyError(
            f"the analysts' copy {link} was being published by another process for more than {wait_seconds:g} s; "
            "find that process, or try again"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _prepare(connection: duckdb.DuckDBPyConnection, settings: Settings, key: bytes | None, building: Path) -> None:
    """Attach the new file and begin the transaction that reads one moment of the warehouse.

    DuckDB writes to one file per transaction, so what opening changed in the warehouse is committed first.
    """
    connection.commit()
    connection.execute(f"ATTACH {literal(str(building))} AS {COPY}")
    install_masks(connection, settings, key)
    connection.begin()


def _fill(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Select every table into the new file; rows by table."""
    statements = selects(COPY)
    rows = {}
    for table in published_tables():
        _create(connection, table)
        rows[table.name] = _insert(connection, table, statements[table.name]) if table.name in statements else 0
    return rows


def _seal(connection: duckdb.DuckDBPyConnection, published: list[Any]) -> None:
    """Add the one row of ``published`` and write the file through.

    Done here and not by closing, which would hide a full disk.
    """
    connection.execute(f"INSERT INTO {COPY}.{PUBLISHED.name} VALUES (?, ?, ?, ?)", published)
    connection.commit()
    connection.execute(f"CHECKPOINT {COPY}")
    connection.execute(f"DETACH {COPY}")
    connection.begin()


def _create(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    columns = ", ".join(f"{column.name} {column.type}" for column in table.columns)
    connection.execute(f"CREATE TABLE {COPY}.{table.name} ({columns})")
    connection.execute(f"COMMENT ON TABLE {COPY}.{table.name} IS {literal(table.description)}")
    for column in table.columns:
        connection.execute(f"COMMENT ON COLUMN {COPY}.{table.name}.{column.name} IS {literal(column.description)}")


def _insert(connection: duckdb.DuckDBPyConnection, table: Table, select: str) -> int:
    row = connection.execute(f"INSERT INTO {COPY}.{table.name} ({', '.join(table.column_names)}) {select}").fetchone()
    return int(row[0]) if row else 0


def _versions() -> str:
    return json.dumps(
        {
            "autoflex_pipeline": installed_version("autoflex-pipeline"),
            "warehouse_schema": SCHEMA_VERSION,
            "duckdb": duckdb.__version__,
        }
    )
