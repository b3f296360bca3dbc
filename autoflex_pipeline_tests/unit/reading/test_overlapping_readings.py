"""Two runs that read the same at once: which of both readings is older cannot be told, so what is known stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import duckdb
import pytest

from autoflex_pipeline.sources.absence import note_missing
from autoflex_pipeline.sources.extract import Extract
from autoflex_pipeline.sources.storing import store_extracts
from autoflex_pipeline_tests.unit.reading.test_absence import stage
from autoflex_pipeline_tests.unit.reading.test_storing import (
    MOMENT,
    extract,
    keyless,
    lines_of,
    record,
    reject_keyless,
    rows,
    still_open,
    store,
)


@pytest.fixture
def connection(undone: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    return undone


def began(minutes: int) -> dict[str, Any]:
    """An extract that began then, whenever it ended."""
    return {"started_at": MOMENT + timedelta(minutes=minutes)}


def again(connection: duckdb.DuckDBPyConnection, *extracts: Extract) -> dict[str, frozenset[str]]:
    """Store them as another run; gives what is to be read again."""
    return store_extracts(connection, extracts, run_id="run-2").outdated


def test_a_reading_begun_before_the_stored_version_was_read_is_seen_and_not_taken(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    store(connection, extract("order", record("order", "7", n=2), record("order", "8", n=1), minutes=10))
    late = extract("order", record("order", "7", n=1), record("order", "8", n=1), minutes=20, **began(9))
    assert again(connection, late) == {"jansen": frozenset("7")}
    assert rows(connection, "SELECT (record ->> 'n')::INT FROM raw_record ORDER BY seq") == [(2,), (1,)]
    hashes = rows(connection, "SELECT raw_hash FROM raw_record ORDER BY seq")
    assert rows(connection, "SELECT raw_hash FROM sighting ORDER BY raw_seq") == hashes
    assert rows(connection, "SELECT DISTINCT run_id, seen_at FROM sighting") == [
        ("run-2", MOMENT + timedelta(minutes=20))
    ]


def test_an_equal_record_read_earlier_does_not_make_the_known_one_look_older(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    store(connection, extract("order", record("order", "7", n=1), minutes=10))
    assert again(connection, extract("order", record("order", "7", n=1), minutes=5)) == {}
    assert rows(connection, "SELECT seen_at FROM sighting") == [(MOMENT + timedelta(minutes=10),)]


@pytest.mark.parametrize("minutes", [10, 11])
def test_a_reading_begun_when_the_stored_version_had_been_read_is_taken(
    connection: duckdb.DuckDBPyConnection, minutes: int
) -> None:
    store(connection, extract("order", record("order", "7", n=1), minutes=10))
    assert again(connection, extract("order", record("order", "7", n=2), minutes=20, **began(minutes))) == {}
    assert rows(connection, "SELECT (record ->> 'n')::INT FROM raw_record ORDER BY seq") == [(1,), (2,)]


def test_of_one_runs_readings_the_last_one_wins_also_over_what_it_stored_itself(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    first = extract("order", record("order", "7", n=1), minutes=10, **began(0))
    by_id = extract("order", record("order", "7", n=2), minutes=12, **began(10))
    assert again(connection, first, by_id) == {}
    assert again(connection, extract("order", record("order", "7", n=3), minutes=13, **began(12))) == {}
    assert rows(connection, "SELECT (record ->> 'n')::INT FROM raw_record ORDER BY seq") == [(2,), (3,)]


def test_a_list_of_lines_read_earlier_leaves_the_known_one(connection: duckdb.DuckDBPyConnection) -> None:
    store(connection, extract("order_line", *lines_of("7", "10", "20"), read_ids=frozenset("7"), minutes=10))
    for table in ("restage", "document_dirty"):
        connection.execute(f"DELETE FROM {table}")
    old = extract("order_line", *lines_of("7", "10"), read_ids=frozenset("78"), minutes=20, **began(9))
    assert again(connection, old) == {"jansen": frozenset("7")}
    assert rows(connection, "SELECT order_key, line_keys FROM line_list ORDER BY 1") == [("7", ["10", "20"]), ("8", [])]
    assert rows(connection, "SELECT * FROM restage") == []
    assert rows(connection, "SELECT * FROM document_dirty") == [("jansen", "8")]


def test_a_line_read_earlier_has_its_order_read_again(connection: duckdb.DuckDBPyConnection) -> None:
    known = record("order_line", "10", "7", n=2)
    store(connection, extract("order_line", known, read_ids=frozenset("7"), minutes=10))
    old = extract("order_line", record("order_line", "10", "7", n=1), read_ids=frozenset("7"), minutes=20, **began(9))
    assert again(connection, old) == {"jansen": frozenset("7")}
    assert rows(connection, "SELECT count(*) FROM raw_record") == [(1,)]


def test_what_was_not_found_before_it_was_seen_exists(connection: duckdb.DuckDBPyConnection) -> None:
    store(connection, extract("vehicle", record("vehicle", "1"), minutes=10))
    old = extract("vehicle", not_found=frozenset("12"), minutes=20, **began(9))
    assert again(connection, old) == {"jansen": frozenset("1")}
    assert rows(connection, "SELECT record_key FROM nonexistent") == [("2",)]


def test_what_was_seen_before_it_was_not_found_does_not_exist(connection: duckdb.DuckDBPyConnection) -> None:
    store(connection, extract("vehicle", not_found=frozenset("1"), minutes=10))
    old = extract("vehicle", record("vehicle", "1"), minutes=20, **began(9))
    assert again(connection, old) == {"jansen": frozenset("1")}
    assert rows(connection, "SELECT record_key FROM nonexistent") == [("1",)]


def test_a_reading_begun_earlier_says_nothing_of_a_record_without_a_key(connection: duckdb.DuckDBPyConnection) -> None:
    store(connection, extract("order", keyless(1), minutes=10))
    reject_keyless(connection)
    again(connection, extract("order", record("order", "7"), minutes=20, **began(9)))
    assert still_open(connection) == [("jansen", 1)]
    again(connection, extract("order", record("order", "7"), minutes=20, **began(10)))
    assert still_open(connection) == []


def test_a_list_of_lines_begun_when_the_known_one_had_been_read_takes_its_place(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    store(connection, extract("order_line", *lines_of("7", "10", "20"), read_ids=frozenset("7"), minutes=10))
    new = extract("order_line", *lines_of("7", "20"), read_ids=frozenset("7"), minutes=20, **began(10))
    assert again(connection, new) == {}
    assert rows(connection, "SELECT line_keys FROM line_list") == [(["20"],)]


def test_a_list_of_lines_read_earlier_that_says_the_same_is_not_read_again(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    store(connection, extract("order_line", *lines_of("7", "10"), read_ids=frozenset("7"), minutes=10))
    old = extract("order_line", *lines_of("7", "10"), read_ids=frozenset("7"), minutes=20, **began(9))
    assert again(connection, old) == {}


def test_what_was_not_found_from_when_it_had_been_seen_does_not_exist(connection: duckdb.DuckDBPyConnection) -> None:
    store(connection, extract("vehicle", record("vehicle", "1"), minutes=10))
    assert again(connection, extract("vehicle", not_found=frozenset("1"), minutes=20, **began(10))) == {}
    assert rows(connection, "SELECT record_key FROM nonexistent") == [("1",)]


def test_a_list_begun_earlier_says_nothing_of_a_line_without_a_key(connection: duckdb.DuckDBPyConnection) -> None:
    line = record("order_line", None, "7", n=1)
    store(connection, extract("order_line", line, read_ids=frozenset("7"), minutes=10))
    again(connection, extract("order_line", read_ids=frozenset("7"), minutes=20, **began(9)))
    assert rows(connection, "SELECT count(*) FROM sighting") == [(1,)]
    again(connection, extract("order_line", read_ids=frozenset("7"), minutes=20, **began(10)))
    assert rows(connection, "SELECT count(*) FROM sighting") == [(0,)]


def missing_at(connection: duckdb.DuckDBPyConnection, *minutes: int) -> None:
    """Order 7 was staged, and found missing at these times; an hour later that is confirmed."""
    stage(connection, "7")
    for minute in minutes:
        now = MOMENT + timedelta(minutes=minute)
        confirm_after = timedelta(minutes=60)
        note_missing(connection, "jansen", ["7"], now=now, confirm_after=confirm_after, another_was_found=True)
    connection.execute("DELETE FROM restage")


@pytest.mark.parametrize(("begun", "left"), [(9, 1), (10, 0), (11, 0)])
def test_an_order_seen_from_when_it_was_found_missing_was_never_missing(
    connection: duckdb.DuckDBPyConnection, begun: int, left: int
) -> None:
    missing_at(connection, 10)
    outdated = again(connection, extract("order", record("order", "7"), minutes=20, **began(begun)))
    assert outdated == ({"jansen": frozenset("7")} if left else {})
    assert rows(connection, "SELECT count(*) FROM absence") == [(left,)]


@pytest.mark.parametrize(("begun", "returned"), [(69, 0), (70, 1), (71, 1)])
def test_an_order_seen_from_when_its_absence_was_confirmed_has_come_back(
    connection: duckdb.DuckDBPyConnection, begun: int, returned: int
) -> None:
    missing_at(connection, 10, 70)
    again(connection, extract("order", record("order", "7"), minutes=80, **began(begun)))
    assert rows(connection, "SELECT count(returned_at) FROM absence") == [(returned,)]
    assert rows(connection, "SELECT count(*) FROM restage WHERE record_key = '7'") == [(returned,)]
