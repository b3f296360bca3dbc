"""Absence is a question, not an answer: found missing, asked again later, confirmed only with proof."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from autoflex_pipeline.sources.absence import next_confirmation, note_missing
from autoflex_pipeline.warehouse import Warehouse
from autoflex_pipeline_tests.unit.reading.test_storing import extract, record, store

FIRST = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
AN_HOUR = timedelta(minutes=60)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with Warehouse(tmp_path / "warehouse.duckdb").open() as opened:
        opened.execute(
            "INSERT INTO appointment BY NAME SELECT 'jansen' AS dealer_id, '7' AS dms_number, 'W7' AS wo_number, "
            "?::DATE AS appointment_date, false AS is_billed, false AS is_internal, false AS is_canceled",
            [date(2026, 11, 24)],
        )
        yield opened


def missing(connection: duckdb.DuckDBPyConnection, minutes: int, *, proof: bool = True) -> list[str]:
    return note_missing(
        connection,
        "jansen",
        ["7"],
        now=FIRST + timedelta(minutes=minutes),
        confirm_after=AN_HOUR,
        another_was_found=proof,
    )


def test_the_first_time_an_order_is_missing_nothing_is_concluded(connection: duckdb.DuckDBPyConnection) -> None:
    assert missing(connection, 0) == []
    assert next_confirmation(connection, "jansen", AN_HOUR) == FIRST + AN_HOUR


def test_too_soon_nothing_is_concluded(connection: duckdb.DuckDBPyConnection) -> None:
    missing(connection, 0)
    assert missing(connection, 59) == []


def test_an_absence_is_confirmed_once_the_time_has_passed(connection: duckdb.DuckDBPyConnection) -> None:
    missing(connection, 0)
    assert missing(connection, 60) == ["7"]
    assert connection.execute("SELECT * FROM restage").fetchall() == [("jansen", "order", "7")]
    assert next_confirmation(connection, "jansen", AN_HOUR) is None


def test_without_another_order_found_by_id_nothing_is_concluded(connection: duckdb.DuckDBPyConnection) -> None:
    missing(connection, 0)
    assert missing(connection, 120, proof=False) == []


def test_one_question_is_never_enough_even_without_a_waiting_time(connection: duckdb.DuckDBPyConnection) -> None:
    now = FIRST
    again = [
        note_missing(connection, "jansen", ["7"], now=now, confirm_after=timedelta(0), another_was_found=True)
        for _ in range(2)
    ]
    assert again == [[], []]


def test_an_order_that_is_seen_before_confirmation_was_never_missing(connection: duckdb.DuckDBPyConnection) -> None:
    missing(connection, 0)
    store(connection, extract("order", record("order", "7"), minutes=5))
    assert connection.execute("SELECT * FROM absence").fetchall() == []


def test_an_order_that_comes_back_after_confirmation_is_staged_again(connection: duckdb.DuckDBPyConnection) -> None:
    missing(connection, 0)
    missing(connection, 60)
    connection.execute("DELETE FROM restage")
    store(connection, extract("order", record("order", "7"), minutes=90))
    assert connection.execute("SELECT * FROM restage").fetchall() == [("jansen", "order", "7")]
    assert connection.execute("SELECT returned_at IS NOT NULL FROM absence").fetchall() == [(True,)]


def test_an_unknown_number_makes_no_absence(connection: duckdb.DuckDBPyConnection) -> None:
    note_missing(connection, "jansen", ["404"], now=FIRST, confirm_after=AN_HOUR, another_was_found=True)
    assert connection.execute("SELECT * FROM absence").fetchall() == []
