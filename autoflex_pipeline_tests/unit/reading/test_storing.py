"""Storing extracts: verbatim, append-only, what was seen, the lists of lines."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pytest

from autoflex_pipeline.sources.autoflex_api.pages import Record
from autoflex_pipeline.sources.extract import Extract
from autoflex_pipeline.sources.storing import store_extracts

MOMENT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@pytest.fixture
def connection(undone: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    return undone


def record(entity: str, key: str | None, parent: str | None = None, ordinal: int = 1, **values: Any) -> Record:
    return Record(entity, key, parent, json.dumps({"id": key, **values}), f"{entity}?page=1", ordinal)


def extract(entity: str, *records: Record, minutes: int = 0, **values: Any) -> Extract:
    moment = MOMENT + timedelta(minutes=minutes)
    defaults: dict[str, Any] = {"is_complete": True, "error": None, "started_at": moment, "finished_at": moment}
    return Extract(
        dealer_id=values.pop("dealer_id", "jansen"),
        entity=entity,
        source=values.pop("source", "test"),
        records=records,
        **defaults | values,
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


def keyless(n: int, entity: str = "order", parent: str | None = None) -> Record:
    return record(entity, None, parent, n=n)


def reject_keyless(connection: duckdb.DuckDBPyConnection) -> None:
    """Each record without a key that was seen stands in quarantine, as staging leaves it."""
    connection.execute(
        "INSERT INTO quarantine BY NAME SELECT dealer_id, entity, raw_seq, 'open' AS state, "
        "NULL::VARCHAR AS dms_number FROM sighting WHERE record_key IS NULL"
    )


def still_open(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return rows(
        connection,
        "SELECT raw.dealer_id, (raw.record ->> 'n')::INT FROM quarantine JOIN raw_record raw ON raw.seq = raw_seq "
        "WHERE state = 'open' ORDER BY ALL",
    )


def seen_keyless(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return rows(
        connection,
        "SELECT raw.dealer_id, (raw.record ->> 'n')::INT FROM sighting JOIN raw_record raw ON raw.seq = raw_seq "
        "WHERE sighting.record_key IS NULL ORDER BY ALL",
    )


WINDOW = (date(2026, 11, 1), date(2026, 11, 30))


@pytest.mark.parametrize("window", [None, WINDOW])
def test_a_record_without_a_key_that_its_list_brings_no_more_is_gone(
    connection: duckdb.DuckDBPyConnection, window: tuple[date, date] | None
) -> None:
    both = (keyless(1), keyless(2))
    store(
        connection,
        extract("order", *both, record("order", "7"), window=window),
        extract("order", *both, dealer_id="pietersen", window=window),
    )
    reject_keyless(connection)
    store(connection, extract("order", keyless(2), record("order", "7"), window=window))
    others = [("jansen", 2), ("pietersen", 1), ("pietersen", 2)]
    assert still_open(connection) == others
    assert seen_keyless(connection) == others
    assert rows(connection, "SELECT record_key FROM sighting WHERE record_key IS NOT NULL") == [("7",)]
    assert rows(connection, "SELECT state FROM quarantine WHERE state <> 'open'") == [("gone",)]


@pytest.mark.parametrize(
    "later",
    [
        {"is_complete": False, "error": "broke off"},
        {"window": WINDOW},
        {"source": "file:orders.csv"},
        {"dealer_id": "pietersen"},
        {"entity": "relation"},
    ],
)
def test_a_reading_of_something_else_or_in_part_says_nothing_of_a_record_without_a_key(
    connection: duckdb.DuckDBPyConnection, later: dict[str, Any]
) -> None:
    store(connection, extract("order", keyless(1)))
    reject_keyless(connection)
    store(connection, extract(later.pop("entity", "order"), **later))
    assert still_open(connection) == [("jansen", 1)]
    assert seen_keyless(connection) == [("jansen", 1)]


@pytest.mark.parametrize("change", [(date(2026, 11, 2), WINDOW[1]), (WINDOW[0], date(2026, 12, 1)), None])
def test_a_reading_of_other_days_says_nothing_of_a_record_without_a_key(
    connection: duckdb.DuckDBPyConnection, change: tuple[date, date] | None
) -> None:
    store(connection, extract("order", keyless(1), window=WINDOW))
    reject_keyless(connection)
    store(connection, extract("order", window=change))
    assert still_open(connection) == [("jansen", 1)]


def test_a_part_without_a_key_is_not_judged_by_what_another_question_for_parts_brings(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    store(connection, extract("relation", keyless(1, "relation")))
    reject_keyless(connection)
    store(connection, extract("relation"))
    assert still_open(connection) == [("jansen", 1)]


def test_a_line_without_a_key_that_its_order_has_no_more_is_gone(connection: duckdb.DuckDBPyConnection) -> None:
    lines = [keyless(n, "order_line", parent) for n, parent in ((1, "7"), (2, "7"), (3, "8"))]
    store(connection, extract("order_line", *lines, read_ids=frozenset("78")))
    store(connection, extract("order_line", *lines, read_ids=frozenset("78"), dealer_id="pietersen"))
    reject_keyless(connection)
    store(connection, extract("order_line", lines[1], read_ids=frozenset("7")))
    left = [("jansen", 2), ("jansen", 3), ("pietersen", 1), ("pietersen", 2), ("pietersen", 3)]
    assert still_open(connection) == left
    assert seen_keyless(connection) == left


def test_what_has_a_key_stays_in_quarantine_whatever_becomes_of_those_without(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    store(connection, extract("order", keyless(1), keyless(2)))
    connection.execute(
        "INSERT INTO quarantine BY NAME SELECT dealer_id, raw_seq, 'open' AS state, '7' AS dms_number FROM sighting"
    )
    reject_keyless(connection)
    connection.execute("UPDATE quarantine SET state = 'healed' WHERE raw_seq = 2 AND dms_number IS NULL")
    store(connection, extract("order"))
    assert rows(connection, "SELECT raw_seq, dms_number, state FROM quarantine ORDER BY ALL") == [
        (1, "7", "open"),
        (1, None, "gone"),
        (2, "7", "open"),
        (2, None, "healed"),
    ]


def test_a_record_without_a_key_that_comes_back_is_new(connection: duckdb.DuckDBPyConnection) -> None:
    for records in ((keyless(1),), (), (keyless(1),)):
        store(connection, extract("order", *records))
    assert rows(connection, "SELECT seq FROM raw_record ORDER BY seq") == [(1,), (2,)]


def test_an_extract_is_remembered_with_its_window_its_rows_and_its_run(connection: duckdb.DuckDBPyConnection) -> None:
    first = extract("order", record("order", "7"), record("order", "8"), window=WINDOW)
    second = extract("vehicle", is_complete=False, error="broke off", minutes=1)
    store(connection, first, second, run_id="run-9")
    assert rows(
        connection,
        "SELECT extract_id, dealer_id, entity, source, window_from, window_to, is_complete, rows, started_at, "
        "finished_at, run_id, error FROM extract ORDER BY started_at",
    ) == [
        (first.extract_id, "jansen", "order", "test", *WINDOW, True, 2, MOMENT, MOMENT, "run-9", None),
        (second.extract_id, "jansen", "vehicle", "test", None, None, False, 0)
        + (MOMENT + timedelta(minutes=1),) * 2
        + ("run-9", "broke off"),
    ]


def test_a_version_is_kept_with_where_it_came_from(connection: duckdb.DuckDBPyConnection) -> None:
    first = extract("order_line", record("order_line", "10", "7"))
    store(connection, extract("order", record("order", "7"), minutes=1), first, run_id="run-9")
    assert rows(
        connection,
        "SELECT seq, entity, record_key, parent_key, source, extract_id, fetched_at, run_id FROM raw_record "
        "WHERE entity = 'order_line'",
    ) == [(2, "order_line", "10", "7", "order_line?page=1", first.extract_id, MOMENT, "run-9")]


def test_what_was_registered_for_storing_is_not_left_behind(connection: duckdb.DuckDBPyConnection) -> None:
    store(connection, extract("order", record("order", "7")))
    assert rows(connection, "SELECT view_name FROM duckdb_views() WHERE view_name LIKE 'incoming%'") == []


def test_equal_numbers_of_two_kinds_are_two_records(connection: duckdb.DuckDBPyConnection) -> None:
    for n in (1, 2):
        store(connection, extract("order", record("order", "7", n=1)), extract("vehicle", record("vehicle", "7", n=n)))
    assert rows(connection, "SELECT entity, raw_seq FROM sighting ORDER BY entity") == [("order", 1), ("vehicle", 3)]


def test_what_does_not_exist_is_remembered_by_dealer_kind_and_number_with_the_last_time(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    ones = frozenset("1")
    for minutes in (5, 10):
        store(
            connection,
            extract("vehicle", not_found=ones, minutes=minutes),
            extract("vehicle", not_found=ones, minutes=minutes - 1),
        )
    store(connection, extract("vehicle", not_found=ones, dealer_id="pietersen"))
    store(connection, extract("relation", not_found=ones))
    store(connection, extract("vehicle", not_found=frozenset("2")))
    every = "SELECT dealer_id, entity, record_key, asked_at FROM nonexistent ORDER BY ALL"
    assert rows(connection, every) == [
        ("jansen", "relation", "1", MOMENT),
        ("jansen", "vehicle", "1", MOMENT + timedelta(minutes=10)),
        ("jansen", "vehicle", "2", MOMENT),
        ("pietersen", "vehicle", "1", MOMENT),
    ]
    store(connection, extract("vehicle", record("vehicle", "1"), minutes=10))
    assert [row[:3] for row in rows(connection, every)] == [
        ("jansen", "relation", "1"),
        ("jansen", "vehicle", "2"),
        ("pietersen", "vehicle", "1"),
    ]


def lines_of(order: str, *keys: str) -> list[Record]:
    return [record("order_line", key, order) for key in keys]


def test_each_orders_list_is_its_own(connection: duckdb.DuckDBPyConnection) -> None:
    both = [*lines_of("7", "10", "20"), *lines_of("8", "30")]
    for dealer_id in ("jansen", "pietersen"):
        store(connection, extract("order_line", *both, read_ids=frozenset("78"), dealer_id=dealer_id))
    for table in ("restage", "document_dirty"):
        connection.execute(f"DELETE FROM {table}")
    store(
        connection,
        extract("order_line", *lines_of("7", "20"), read_ids=frozenset("7"), minutes=9),
        extract("vehicle", read_ids=frozenset("8")),
    )
    assert rows(connection, "SELECT dealer_id, order_key, line_keys, read_at FROM line_list ORDER BY ALL") == [
        ("jansen", "7", ["20"], MOMENT + timedelta(minutes=9)),
        ("jansen", "8", ["30"], MOMENT),
        ("pietersen", "7", ["10", "20"], MOMENT),
        ("pietersen", "8", ["30"], MOMENT),
    ]
    assert rows(connection, "SELECT * FROM restage ORDER BY ALL") == [
        ("jansen", "order_line", "10"),
        ("jansen", "order_line", "20"),
    ]
    assert rows(connection, "SELECT * FROM document_dirty") == [("jansen", "7")]


def test_a_list_that_is_as_it_was_changes_nothing(connection: duckdb.DuckDBPyConnection) -> None:
    for _ in range(2):
        for table in ("restage", "document_dirty"):
            connection.execute(f"DELETE FROM {table}")
        store(connection, extract("order_line", *lines_of("7", "10"), read_ids=frozenset("7")))
    assert rows(connection, "SELECT * FROM restage") == []
    assert rows(connection, "SELECT * FROM document_dirty") == []


def test_what_was_read_of_one_dealer_or_kind_says_nothing_of_anothers_lines(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    store(connection, extract("order_line", *lines_of("7", "10"), is_complete=False, error="broke off"))
    store(
        connection,
        extract("order_line", *lines_of("7", "10"), read_ids=frozenset("7")),
        extract("order_line", *lines_of("9", "10"), dealer_id="pietersen"),
        extract("vehicle", record("vehicle", "10")),
        extract("order_line", *lines_of("9", "11")),
    )
    assert rows(connection, "SELECT * FROM restage") == [("jansen", "order_line", "10")]


def test_no_extract_changes_nothing(connection: duckdb.DuckDBPyConnection) -> None:
    store(connection)
    assert rows(connection, "SELECT * FROM extract") == []
