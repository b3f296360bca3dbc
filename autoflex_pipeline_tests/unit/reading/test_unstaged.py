"""Work orders that are stored and not yet staged, as after a run that died in between."""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
import pytest

from autoflex_pipeline.sources.unstaged import StoredOrder, orders_to_be_staged
from autoflex_pipeline_tests.unit.reading.test_asking import BILLED, reject
from autoflex_pipeline_tests.unit.reading.test_storing import extract, record, store


@pytest.fixture
def connection(undone: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Order 1 is staged."""
    store(undone, extract("order", record("order", "1", order_type=1)))
    undone.execute("INSERT INTO staged SELECT 'order', max(raw_seq) FROM sighting")
    return undone


def keep(connection: duckdb.DuckDBPyConnection, number: str | None, dealer_id: str = "jansen", **values: Any) -> None:
    row = record("order", number, **{"order_type": 1, **values})
    store(connection, extract("order", row, dealer_id=dealer_id))


def found(connection: duckdb.DuckDBPyConnection, **options: bool) -> list[str]:
    return [order.number for order in orders_to_be_staged(connection, "jansen", **options)]


def one(connection: duckdb.DuckDBPyConnection) -> StoredOrder:
    (order,) = orders_to_be_staged(connection, "jansen")
    return order


def test_they_come_by_number_and_are_this_dealers_work_orders(connection: duckdb.DuckDBPyConnection) -> None:
    keep(connection, "3")
    keep(connection, "2", order_type="werkplaats")
    keep(connection, "4", order_type=2)
    keep(connection, "5", order_type=None)
    keep(connection, "6", dealer_id="pietersen")
    keep(connection, None)
    store(connection, extract("vehicle", record("vehicle", "7", order_type=1)))
    assert found(connection) == ["2", "3"]


def test_before_the_first_staging_it_is_all_of_them(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("DELETE FROM staged")
    connection.execute("INSERT INTO staged VALUES ('order_line', 99)")
    assert found(connection) == ["1"]


def test_one_that_changed_since_it_was_staged_is_to_be_staged_once(connection: duckdb.DuckDBPyConnection) -> None:
    keep(connection, "1", notes="x")
    reject(connection, "1")
    assert found(connection, rejected=True) == ["1"]


def test_those_in_quarantine_only_when_they_are_asked_for(connection: duckdb.DuckDBPyConnection) -> None:
    reject(connection, "1")
    assert found(connection) == []
    assert found(connection, rejected=True) == ["1"]


@pytest.mark.parametrize(
    "entry",
    [{"entity": "car"}, {"state": "healed"}, {"dealer_id": "pietersen"}],
    ids=["car", "healed", "another dealer"],
)
def test_an_entry_of_something_else_is_none_of_the_order(
    connection: duckdb.DuckDBPyConnection, entry: dict[str, str]
) -> None:
    reject(connection, "1", **entry)
    assert found(connection, rejected=True) == []


def test_what_reading_asks_about_it(connection: duckdb.DuckDBPyConnection) -> None:
    values = {"vehicle_id": 7001, "relation_id": " 3001 ", "last_modified": "20261124T090000"}
    keep(connection, "2", plan_date_from="20261124T083000", **values)
    order = one(connection)
    assert (order.car, order.contractor, order.modified_at) == ("7001", "3001", "20261124T090000")
    assert (order.day, order.is_open, order.is_there) == (date(2026, 11, 24), True, True)


def test_what_is_empty_is_none(connection: duckdb.DuckDBPyConnection) -> None:
    keep(connection, "2", vehicle_id=0, relation_id=None, plan_date_from="morgen", **{BILLED: 1})
    order = one(connection)
    assert (order.car, order.contractor, order.modified_at, order.day) == (None, None, None, None)
    assert not order.is_open


def test_whether_the_dms_still_has_it(connection: duckdb.DuckDBPyConnection) -> None:
    keep(connection, "2")
    store(connection, extract("vehicle", not_found=frozenset("2")))
    store(connection, extract("order", not_found=frozenset("2"), dealer_id="pietersen"))
    assert one(connection).is_there
    store(connection, extract("order", not_found=frozenset("2")))
    assert not one(connection).is_there
