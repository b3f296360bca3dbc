"""What unit tests of several folders share: stores in memory, for rules that have to do with no files and locks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import duckdb
    from sqlalchemy import Connection, Engine


@pytest.fixture(scope="module")
def tables() -> Iterator[duckdb.DuckDBPyConnection]:
    """The tables of a warehouse, made once for a module."""
    import duckdb

    from autoflex_pipeline.warehouse.tables import all_tables

    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table in all_tables():
            columns = ", ".join(f"{column.name} {column.type}" for column in table.columns)
            connection.execute(f"CREATE TABLE {table.name} ({columns})")
        yield connection


@pytest.fixture
def undone(tables: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty warehouse, in a transaction that is undone after the test."""
    tables.begin()
    yield tables
    tables.rollback()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """The tables of a state store, made once for a module."""
    from sqlalchemy import StaticPool, create_engine

    from autoflex_pipeline.state import ledger, marks, outages, outbox  # noqa: F401  (they declare their tables)
    from autoflex_pipeline.state.store import metadata

    engine = create_engine("sqlite://", poolclass=StaticPool)
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def state(engine: Engine) -> Iterator[Connection]:
    """An empty state store, in a transaction that is undone after the test."""
    with engine.connect() as connection:
        yield connection
        connection.rollback()
