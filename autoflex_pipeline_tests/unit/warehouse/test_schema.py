from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from autoflex_pipeline.model import MODELS, fields
from autoflex_pipeline.warehouse import Warehouse
from autoflex_pipeline.warehouse.schema import COLUMN_NAME, SCHEMA_VERSION, WarehouseVersionError, stored_version
from autoflex_pipeline.warehouse.tables import all_tables


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"


def test_a_new_file_has_every_declared_table_and_column_with_a_comment(path: Path) -> None:
    with Warehouse(path).open() as connection:
        columns = connection.execute(
            "SELECT table_name, column_name, comment FROM duckdb_columns() "
            "WHERE table_name IN (SELECT table_name FROM duckdb_tables())"
        ).fetchall()
        without = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE coalesce(comment, '') = ''"
        ).fetchall()
        views = connection.execute("SELECT view_name, comment FROM duckdb_views() WHERE NOT internal").fetchall()
    declared = {(table.name, column.name): column.description for table in all_tables() for column in table.columns}
    assert {(table, column): comment for table, column, comment in columns} == declared
    assert all(declared.values())
    assert without == []
    assert {name for name, comment in views if comment} == {f"{entity}_history" for entity in MODELS}


def test_nothing_but_its_columns_is_taken_for_a_column_of_a_table(path: Path) -> None:
    """Else a column that an older file lacks could be passed over: the fields of a STRUCT would be found too."""
    with Warehouse(path).open() as connection:
        statements = dict(connection.execute("SELECT table_name, sql FROM duckdb_tables()").fetchall())
    found = {name: sorted(COLUMN_NAME.findall(sql)) for name, sql in statements.items()}
    assert found == {table.name: sorted(table.column_names) for table in all_tables()}


def test_no_table_or_column_is_declared_twice() -> None:
    tables = Counter(table.name for table in all_tables())
    assert [name for name, count in tables.items() if count > 1] == []
    for table in all_tables():
        assert [name for name, count in Counter(table.column_names).items() if count > 1] == [], table.name


@pytest.mark.parametrize("entity", MODELS)
def test_every_field_of_the_model_is_a_column(path: Path, entity: str) -> None:
    with Warehouse(path).open() as connection:
        columns = {row[0] for row in connection.execute(f"DESCRIBE {entity}").fetchall()}
    assert {field.name for field in fields(entity)} <= columns


@pytest.mark.parametrize("table", ["car", "car_past", "quarantine"])
def test_a_declared_column_that_the_file_lacks_appears_and_the_rows_stay(path: Path, table: str) -> None:
    column = next(table_ for table_ in all_tables() if table_.name == table).columns[-1]
    with Warehouse(path).open() as connection:
        connection.execute("DROP VIEW car_history")
        connection.execute(f"INSERT INTO {table} (dealer_id, dms_number) VALUES ('d', '1')")
        connection.execute(f"ALTER TABLE {table} DROP COLUMN {column.name}")
    with Warehouse(path).open() as connection:
        assert connection.execute(f"SELECT dms_number, {column.name} FROM {table}").fetchall() == [("1", None)]
        comment = connection.execute(
            "SELECT comment FROM duckdb_columns() WHERE table_name = ? AND column_name = ?", [table, column.name]
        ).fetchone()
        assert comment == (column.description,)
        assert connection.execute("SELECT count(*) FROM car_history").fetchone() is not None


def test_a_table_that_the_file_lacks_appears(path: Path) -> None:
    with Warehouse(path).open() as connection:
        connection.execute("DROP TABLE absence")
    with Warehouse(path).open() as connection:
        assert connection.execute("SELECT count(*) FROM absence").fetchone() == (0,)


def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(path: Path) -> None:
    with Warehouse(path).open() as connection:
        connection.execute("INSERT INTO schema_version VALUES (?, now())", [SCHEMA_VERSION + 1])
        connection.execute("DROP TABLE absence")
    message = f"has schema version {SCHEMA_VERSION + 1}, this program knows {SCHEMA_VERSION}.*upgrade this program"
    with pytest.raises(WarehouseVersionError, match=message), Warehouse(path).open():
        pytest.fail("it must not be opened")
    with pytest.raises(WarehouseVersionError), Warehouse(path, wait_seconds=0).open():
        pytest.fail("refused again, and the lock is free")


def test_opening_again_applies_no_version_twice(path: Path) -> None:
    for _ in range(3):
        with Warehouse(path).open() as connection:
            assert stored_version(connection) == SCHEMA_VERSION
            assert connection.execute("SELECT count(*) FROM schema_version").fetchone() == (SCHEMA_VERSION,)


def test_the_history_shows_replaced_and_current_versions(path: Path) -> None:
    with Warehouse(path).open() as connection:
        connection.execute(
            "INSERT INTO car_past (dealer_id, dms_number, make, valid_from, valid_to) "
            "VALUES ('d', '1', 'Opel', '2026-01-01', '2026-02-01')"
        )
        connection.execute(
            "INSERT INTO car (dealer_id, dms_number, make, observed_at) VALUES ('d', '1', 'Fiat', '2026-02-01')"
        )
        rows = connection.execute(
            "SELECT make, valid_from::DATE::VARCHAR, valid_to::DATE::VARCHAR FROM car_history ORDER BY valid_from"
        ).fetchall()
    assert rows == [("Opel", "2026-01-01", "2026-02-01"), ("Fiat", "2026-02-01", None)]
