"""The tables as they stand in the file: creation, forward migration, refusal of files from a newer version."""

from __future__ import annotations

import re

import duckdb

from autoflex_pipeline.errors import PipelineError
from autoflex_pipeline.model import MODELS
from autoflex_pipeline.sql_files import literal
from autoflex_pipeline.warehouse.tables import Table, all_tables, history_select

SCHEMA_VERSION = 1
"""Raise it with each change that adding missing tables and columns cannot make, and add the step to MIGRATIONS."""

MIGRATIONS: dict[int, str] = {}
"""SQL that brings a file from the version before to this one; version 1 is what ``_create_missing`` makes."""

COLUMN_NAME = re.compile(r'[(,] ?"?(\w+)"? ')
"""A column in a CREATE TABLE of DuckDB's. Where it finds one too few, the columns are only looked at more closely.

It takes the fields of a STRUCT for columns too: no declared table has one (a test says so)."""


class WarehouseVersionError(PipelineError):
    """The file was written by a newer version of this program."""


def ensure_schema(connection: duckdb.DuckDBPyConnection) -> bool:
    """Bring the file to this program's schema; gives whether it was another. Inside the caller's transaction.

    Cheap when it is there already.
    """
    version = stored_version(connection)
    if version > SCHEMA_VERSION:
        raise WarehouseVersionError(
            f"the warehouse {_file_of(connection)} has schema version {version}, this program knows "
            f"{SCHEMA_VERSION}: it was written by a newer version; upgrade this program"
        )
    if version:
        for step in range(version + 1, SCHEMA_VERSION + 1):
            connection.execute(MIGRATIONS[step])
    changed = not _has_all_columns(connection) and _create_missing(connection)
    if version != SCHEMA_VERSION:
        connection.execute("INSERT INTO schema_version VALUES (?, now())", [SCHEMA_VERSION])
    return changed or version != SCHEMA_VERSION


def stored_version(connection: duckdb.DuckDBPyConnection) -> int:
    """The schema version of the file; 0 for a new one."""
    known = connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'schema_version'").fetchone()
    if not known:
        return 0
    row = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()
    return int(row[0]) if row else 0


def _file_of(connection: duckdb.DuckDBPyConnection) -> str:
    row = connection.execute("SELECT path FROM duckdb_databases() WHERE database_name = current_database()").fetchone()
    return str(row[0]) if row else ""


def _has_all_columns(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether no column is missing, by the tables' own statements: the view of all columns takes ten times as long."""
    statements = dict(connection.execute("SELECT table_name, sql FROM duckdb_tables()").fetchall())
    there = {name: set(COLUMN_NAME.findall(sql)) for name, sql in statements.items()}
    return all(there.get(table.name, set()).issuperset(table.column_names) for table in all_tables())


def _create_missing(connection: duckdb.DuckDBPyConnection) -> bool:
    """Create tables, columns, views and comments that the declarations have and the file lacks; gives whether any."""
    there: dict[str, set[str]] = {}
    for table, column in connection.execute("SELECT table_name, column_name FROM duckdb_columns()").fetchall():
        there.setdefault(table, set()).add(column)
    changed = False
    for table in all_tables():
        if table.name not in there:
            columns = ", ".join(f"{column.name} {column.type}" for column in table.columns)
            connection.execute(f"CREATE TABLE {table.name} ({columns})")
        elif missing := [column for column in table.columns if column.name not in there[table.name]]:
            for column in missing:
                connection.execute(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {column.type}")
        else:
            continue
        changed = True
        _comment(connection, table)
    if changed:
        for entity in MODELS:
            connection.execute(f"CREATE OR REPLACE VIEW {entity}_history AS {history_select(entity)}")
            connection.execute(f"COMMENT ON VIEW {entity}_history IS 'Every accepted version of {entity}.'")
    return changed


def _comment(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    connection.execute(f"COMMENT ON TABLE {table.name} IS {literal(table.description)}")
    for column in table.columns:
        connection.execute(f"COMMENT ON COLUMN {table.name}.{column.name} IS {literal(column.description)}")
