"""What unit tests of several folders share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import duckdb


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse that is made once for a module."""
    from autoflex_pipeline.warehouse import Warehouse

    with Warehouse(tmp_path_factory.mktemp("opened") / "warehouse.duckdb").open() as connection:
        connection.commit()
        connection.begin()
        yield connection


@pytest.fixture
def undone(opened: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty warehouse in a transaction that is undone after the test."""
    yield opened
    opened.rollback()
    opened.begin()
