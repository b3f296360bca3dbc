"""Storing extracts: verbatim, append-only, what was seen, the lists of lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from autoflex_pipeline.sources.autoflex_api.pages import Record
from autoflex_pipeline.sources.extract import Extract
from autoflex_pipeline.sources.storing import store_extracts
from autoflex_pipeline.warehouse import Warehouse

MOMENT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with Warehouse(tmp_path / "warehouse.duckdb").open() as opened:
        yield opened


def record(entity: str, key: str | None, parent: str | None = None, ordinal: int = 1, **values: Any) -> Record:
    return Record(entity, key, parent, json.dumps({"id": key, **values}), f"{entity}?page=1", ordinal)


def extract(entity: str, *records: Record, minutes: int = 0, **values: Any) -> Extract:
    moment = MOMENT + timedelta(minutes=minutes)
    defaults: dict[str, Any] = {"is_complete": True, "error": None, "started_at": moment, "finished_at": moment}
    return Extract(
        dealer_id=values.pop("dealer_id", "jansen"), entity=entity, source="test", records=records, **defaults | values
    )


def store(connection: duckdb.DuckDBPyConnection, *extracts: Extract, run_id: str = "run-1") -> None:
    store_extracts(connection, extracts, run_id=run_id)


def rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()


def test_a_record_is_kept_to_the_letter(connection: duckdb.DuckDBPyConnection) -> None:
    text = '{"order_id": 7,  "notes": "a\\u00e9 \\"b\\"", "price": 389.00}'
    store(connection, extract("order", Record("order", "7", None, text, "order?page=1", 1)))
    assert rows(connection, "SELECT record FROM raw_record") == [(text,)]


def test_an_unchanged_record_is_not_stored_again_but_counts_as_seen(connection: duckdb.DuckDBPyConnection) -> None:
    store(connection, extract("order", record("order", "7", n=1)))
    store(connection, extract("order", record("order", "7", n=1), minutes=5), run_id="run-2")
    assert rows(connection, "SELECT count(*) FROM raw_record") == [(1,)]
    assert rows(connection, "SELECT run_id, raw_seq, seen_at FROM sighting") == [
        ("run-2", 1, MOMENT + timedelta(minutes=5))
    ]


def test_a_record_that_returns_to_an_earlier_state_is_stored_again(connection: duckdb.DuckDBPyConnection) -> None:
    for n in (1, 2, 1):
        store(connection, extract("order", record("order", "7", n=n)))
    assert rows(connection, "SELECT seq, (record ->> 'n')::INT FROM raw_record ORDER BY seq") == [
        (1, 1),
        (2, 2),
        (3, 1),
    ]


def test_equal_numbers_of_two_dealers_are_two_records(connection: duckdb.DuckDBPyConnection) -> None:
    store(
        connection,
        extract("order", record("order", "7", n=1)),
        extract("order", record("order", "7", n=1), dealer_id="pietersen"),
    )
    assert rows(connection, "SELECT count(*) FROM sighting") == [(2,)]


def test_of_a_record_that_came_twice_the_last_one_read_wins(connection: duckdb.DuckDBPyConnection) -> None:
    store(connection, extract("order", record("order", "7", n=1)), extract("order", record("order", "7", n=2)))
    assert rows(connection, "SELECT (record ->> 'n')::INT FROM raw_record") == [(2,)]


def test_records_without_a_key_are_known_by_their_content(connection: duckdb.DuckDBPyConnection) -> None:
    keyless = (record("order", None, n=1), record("order", None, n=2))
    store(connection, extract("order", *keyless))
    store(connection, extract("order", *keyless))
    assert rows(connection, "SELECT count(*) FROM raw_record") == [(2,)]
    assert rows(connection, "SELECT count(*) FROM sighting") == [(2,)]


def test_the_list_of_lines_keeps_the_order_given(connection: duckdb.DuckDBPyConnection) -> None:
    lines = [record("order_line", key, "7") for key in ("30", "10", "20")]
    store(connection, extract("order_line", *lines, read_ids=frozenset(["7", "8"])))
    assert rows(connection, "SELECT order_key, line_keys FROM line_list ORDER BY 1") == [
        ("7", ["30", "10", "20"]),
        ("8", []),
    ]


def test_lines_of_an_order_that_was_not_read_completely_change_no_list(connection: duckdb.DuckDBPyConnection) -> None:
    store(
        connection,
        extract(
            "order_line", record("order_line", "10", "7"), record("order_line", "20", "7"), read_ids=frozenset("7")
        ),
    )
    store(connection, extract("order_line", record("order_line", "10", "7"), is_complete=False, error="broke off"))
    assert rows(connection, "SELECT line_keys FROM line_list") == [(["10", "20"],)]


def test_lines_that_changed_places_or_left_are_staged_again(connection: duckdb.DuckDBPyConnection) -> None:
    first = [record("order_line", key, "7") for key in ("10", "20", "30")]
    store(connection, extract("order_line", *first, read_ids=frozenset("7")))
    assert rows(connection, "SELECT * FROM restage") == []
    store(connection, extract("order_line", first[1], first[0], read_ids=frozenset("7")))
    assert sorted(rows(connection, "SELECT record_key FROM restage")) == [("10",), ("20",), ("30",)]
    assert ("jansen", "7") in rows(connection, "SELECT * FROM document_dirty")


def test_lines_first_read_in_part_are_staged_again_once_their_places_are_known(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    early, late = record("order_line", "10", "7"), record("order_line", "20", "7")
    store(connection, extract("order_line", early, is_complete=False, error="broke off"))
    assert rows(connection, "SELECT * FROM restage") == []
    store(connection, extract("order_line", early, late, read_ids=frozenset("7")))
    assert rows(connection, "SELECT * FROM restage") == [("jansen", "order_line", "10")]


def test_what_the_dms_says_does_not_exist_is_remembered_until_it_is_seen(connection: duckdb.DuckDBPyConnection) -> None:
    store(connection, extract("vehicle", not_found=frozenset(["1", "2"])))
    assert sorted(rows(connection, "SELECT record_key FROM nonexistent")) == [("1",), ("2",)]
    store(connection, extract("vehicle", record("vehicle", "2")))
    assert rows(connection, "SELECT record_key FROM nonexistent") == [("1",)]


def test_sql_in_a_record_is_text(connection: duckdb.DuckDBPyConnection) -> None:
    evil = "'); DROP TABLE raw_record; --"
    store(connection, extract("order", record("order", evil, notes=evil)))
    assert rows(connection, "SELECT record_key FROM raw_record") == [(evil,)]
