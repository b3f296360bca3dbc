"""Which orders are asked for by id: those known to be open, wherever, that a complete open list lacks."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import duckdb
import pytest

from autoflex_pipeline.model import dms_name
from autoflex_pipeline.sources.absence import open_in_claire_only, orders_to_ask_for
from autoflex_pipeline_tests.unit.reading.test_storing import extract, record, store

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
BILLED = dms_name("appointment", "is_billed")


@pytest.fixture
def connection(undone: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    return undone


def insert(connection: duckdb.DuckDBPyConnection, table: str, number: str, **values: Any) -> None:
    row = {"dealer_id": "jansen", "dms_number": number} | values
    names = ", ".join(f"? AS {name}" for name in row)
    connection.execute(f"INSERT INTO {table} BY NAME SELECT {names}", list(row.values()))


def stage(connection: duckdb.DuckDBPyConnection, number: str, **values: Any) -> None:
    row: dict[str, Any] = {"wo_number": "W", "appointment_date": date(2026, 11, 24)}
    row |= {"is_billed": False, "is_internal": False, "is_canceled": False}
    insert(connection, "appointment", number, **row | values)


def acknowledge(connection: duckdb.DuckDBPyConnection, number: str, **values: Any) -> None:
    insert(connection, "acknowledged", number, **{"is_billed": False, "is_canceled": False} | values)


def reject(connection: duckdb.DuckDBPyConnection, number: str | None, **values: Any) -> None:
    insert(connection, "quarantine", number or "", **{"entity": "appointment", "state": "open"} | values)


def asked(connection: duckdb.DuckDBPyConnection, *listed: str) -> list[str]:
    return orders_to_ask_for(connection, "jansen", listed)


def test_open_ones_that_the_list_lacks_are_asked_for_in_order(connection: duckdb.DuckDBPyConnection) -> None:
    for number in ("30", "10", "20"):
        stage(connection, number)
    stage(connection, "40", is_billed=True)
    stage(connection, "50", dealer_id="pietersen")
    assert asked(connection, "10", "99") == ["20", "30"]


def test_open_ones_that_are_stored_and_not_yet_staged_are_asked_for(connection: duckdb.DuckDBPyConnection) -> None:
    """As after a run that died in between: billed meanwhile, one would be staged as it was."""
    store(
        connection,
        extract("order", record("order", "1", order_type=1), record("order", "2", order_type=1)),
        extract("order", record("order", "3", order_type=1), dealer_id="pietersen"),
    )
    connection.execute("INSERT INTO staged SELECT 'order', max(raw_seq) FROM sighting WHERE entity = 'order'")
    store(
        connection,
        extract(
            "order",
            record("order", "2", notes="x", order_type=1),
            record("order", "4", order_type=1),
            record("order", "5", order_type=1, **{BILLED: 1}),
            record("order", "6", order_type=1, **{BILLED: True}),
            record("order", "7", order_type=2),
            record("order", "8", order_type=1, **{BILLED: 0}),
            record("order", None, order_type=1),
        ),
        extract("vehicle", record("vehicle", "9", order_type=1)),
        extract("order", record("order", "10", order_type=1), dealer_id="pietersen"),
    )
    assert asked(connection, "8") == ["2", "4"]


def test_one_whose_absence_is_confirmed_is_asked_for_no_more(connection: duckdb.DuckDBPyConnection) -> None:
    for number in ("1", "2", "3"):
        stage(connection, number)
    insert(connection, "absence", "1", confirmed_at=NOW)
    insert(connection, "absence", "2", confirmed_at=None)
    insert(connection, "absence", "3", confirmed_at=NOW, dealer_id="pietersen")
    assert asked(connection) == ["2", "3"]


def test_one_that_came_back_and_is_not_staged_yet_is_asked_for(connection: duckdb.DuckDBPyConnection) -> None:
    """As after a run that died in between: it would be uncanceled as it was then."""
    stage(connection, "1")
    insert(connection, "absence", "1", confirmed_at=NOW, returned_at=NOW)
    store(connection, extract("order", record("order", "2", order_type=1)))
    insert(connection, "absence", "2", confirmed_at=NOW)
    assert asked(connection) == ["1", "2"]


def test_billed_ones_are_asked_for_while_they_are_missing_and_to_be_made_in_claire(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    for number in ("1", "2", "3", "4", "5"):
        stage(connection, number, is_billed=True)
        insert(connection, "document", number, is_owed=number != "2")
    for number in ("1", "2", "3", "4"):
        insert(connection, "absence", number, confirmed_at=NOW if number == "4" else None)
    insert(connection, "absence", "5", dealer_id="pietersen")
    insert(connection, "document", "2", is_owed=True, dealer_id="pietersen")
    acknowledge(connection, "3")
    acknowledge(connection, "1", dealer_id="pietersen")
    assert asked(connection) == ["1"]


def test_open_ones_in_quarantine_are_asked_for(connection: duckdb.DuckDBPyConnection) -> None:
    store(
        connection,
        extract(
            "order",
            record("order", "1", order_type=1),
            record("order", "2", order_type=1, **{BILLED: 1}),
            record("order", "3", order_type=1, **{BILLED: True}),
            record("order", "4", order_type=1, **{BILLED: 0}),
            record("order", "5", order_type=1),
            record("order", "6", order_type=1),
            record("order", "9", order_type=2),
        ),
        extract("vehicle", record("vehicle", "7", order_type=1)),
        extract("order", record("order", "8", order_type=1), dealer_id="pietersen"),
    )
    connection.execute("INSERT INTO staged SELECT 'order', max(raw_seq) FROM sighting")
    for number in ("1", "2", "3", "4", "7", "8", "9"):
        reject(connection, number)
    reject(connection, "5", state="healed")
    reject(connection, "6", entity="car")
    reject(connection, "6", dealer_id="pietersen")
    assert asked(connection) == ["1", "4"]


def test_one_in_quarantine_is_open_as_its_newest_version_says(connection: duckdb.DuckDBPyConnection) -> None:
    numbers = {"1": (1, 0), "2": (0, 1)}
    for version in (0, 1):
        rows = [record("order", number, order_type=1, **{BILLED: flags[version]}) for number, flags in numbers.items()]
        store(connection, extract("order", *rows))
    connection.execute("INSERT INTO staged SELECT 'order', max(raw_seq) FROM sighting")
    for number in numbers:
        reject(connection, number)
    assert asked(connection) == ["1"]


def test_what_claire_holds_as_open_and_staging_does_not_know_is_asked_for(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    for number in ("1", "2", "3", "6"):
        acknowledge(connection, number)
    acknowledge(connection, "4", is_billed=True)
    acknowledge(connection, "5", is_canceled=True)
    acknowledge(connection, "7", dealer_id="pietersen")
    stage(connection, "2", is_billed=True)
    store(connection, extract("order", not_found=frozenset("3")), extract("vehicle", not_found=frozenset("1")))
    store(connection, extract("order", not_found=frozenset("6"), dealer_id="pietersen"))
    stage(connection, "1", dealer_id="pietersen")
    assert open_in_claire_only(connection, "jansen") == {"1", "6"}
    assert asked(connection, "6") == ["1"]
