"""Absence is a question, not an answer: found missing, asked again later, confirmed only with proof."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import duckdb
import pytest

from autoflex_pipeline.sources.absence import next_confirmation, note_missing
from autoflex_pipeline.sources.storing import store_extracts
from autoflex_pipeline_tests.unit.reading.test_storing import extract, record, store

FIRST = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
AN_HOUR = timedelta(minutes=60)


def stage(connection: duckdb.DuckDBPyConnection, number: str, dealer_id: str = "jansen") -> None:
    connection.execute(
        "INSERT INTO appointment BY NAME SELECT ? AS dealer_id, ? AS dms_number, 'W7' AS wo_number, "
        "?::DATE AS appointment_date, false AS is_billed, false AS is_internal, false AS is_canceled",
        [dealer_id, number, date(2026, 11, 24)],
    )


def stage_all(connection: duckdb.DuckDBPyConnection) -> None:
    """Nothing is to be staged any more."""
    connection.execute("INSERT INTO staged SELECT 'order', max(raw_seq) FROM sighting")


@pytest.fixture
def connection(undone: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Order 7 is staged, and a neighbour and another dealer's order of the same number with it."""
    stage(undone, "7")
    stage(undone, "8")
    stage(undone, "7", "pietersen")
    return undone


def quarantine(connection: duckdb.DuckDBPyConnection, number: str, **values: str) -> None:
    row = {"dealer_id": "jansen", "entity": "appointment", "state": "open"} | values
    connection.execute(
        "INSERT INTO quarantine BY NAME SELECT ? AS dealer_id, ? AS entity, ? AS state, ? AS dms_number, state AS hint",
        [*row.values(), number],
    )


def gone_from_quarantine(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, ...]]:
    """Dealer, entity and number of the entries that are gone, with the state that they had."""
    return connection.execute(
        "SELECT dealer_id, entity, dms_number, hint FROM quarantine WHERE state = 'gone' ORDER BY ALL"
    ).fetchall()


def missing(
    connection: duckdb.DuckDBPyConnection, minutes: int, *, proof: bool = True, on_dms: int | None = None
) -> list[str]:
    """Ask after ``minutes``, or ``on_dms`` minutes on the DMS's clock, which is a day behind."""
    dms_first = FIRST - timedelta(days=1)
    return note_missing(
        connection,
        "jansen",
        ["7"],
        now=FIRST + timedelta(minutes=minutes),
        dms_now=None if on_dms is None else dms_first + timedelta(minutes=on_dms),
        confirm_after=AN_HOUR,
        another_was_found=proof,
    )


def test_the_first_time_an_order_is_missing_nothing_is_concluded(connection: duckdb.DuckDBPyConnection) -> None:
    assert missing(connection, 0) == []
    assert next_confirmation(connection, "jansen", AN_HOUR) == FIRST + AN_HOUR


def test_when_all_were_found_nothing_is_concluded(connection: duckdb.DuckDBPyConnection) -> None:
    assert note_missing(connection, "jansen", [], now=FIRST, confirm_after=AN_HOUR, another_was_found=True) == []


def test_too_soon_nothing_is_concluded(connection: duckdb.DuckDBPyConnection) -> None:
    missing(connection, 0)
    assert missing(connection, 59) == []


def test_an_absence_is_confirmed_once_the_time_has_passed(connection: duckdb.DuckDBPyConnection) -> None:
    missing(connection, 0)
    assert missing(connection, 60) == ["7"]
    assert connection.execute("SELECT * FROM restage").fetchall() == [("jansen", "order", "7")]
    assert next_confirmation(connection, "jansen", AN_HOUR) is None


def test_an_absence_is_confirmed_by_both_clocks_however_far_they_are_apart(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    missing(connection, 0, on_dms=0)
    assert missing(connection, 60, on_dms=55) == ["7"], "it is told in whole seconds, by any of the DMS's servers"


@pytest.mark.parametrize("on_dms", [54, 1, 0, -600])
def test_a_clock_that_jumped_since_makes_the_absence_begin_anew(
    connection: duckdb.DuckDBPyConnection, on_dms: int
) -> None:
    """This machine's jumped ahead: the appointment was canceled a minute after it was first missing."""
    missing(connection, 0, on_dms=0)
    assert missing(connection, 60, on_dms=on_dms) == []
    assert next_confirmation(connection, "jansen", AN_HOUR) == FIRST + 2 * AN_HOUR
    assert missing(connection, 119, on_dms=on_dms + 59) == []
    assert missing(connection, 120, on_dms=on_dms + 60) == ["7"]


def test_an_absence_of_another_order_does_not_begin_anew(connection: duckdb.DuckDBPyConnection) -> None:
    missing(connection, 0, on_dms=0)
    note_missing(
        connection, "pietersen", ["7"], now=FIRST, dms_now=FIRST, confirm_after=AN_HOUR, another_was_found=True
    )
    note_missing(connection, "jansen", ["8"], now=FIRST, dms_now=FIRST, confirm_after=AN_HOUR, another_was_found=True)
    missing(connection, 60, on_dms=0)
    begun = connection.execute("SELECT dealer_id, dms_number, first_missing_at FROM absence ORDER BY ALL").fetchall()
    assert begun == [("jansen", "7", FIRST + AN_HOUR), ("jansen", "8", FIRST), ("pietersen", "7", FIRST)]


def test_a_confirmed_absence_does_not_begin_anew(connection: duckdb.DuckDBPyConnection) -> None:
    missing(connection, 0, on_dms=0)
    missing(connection, 60, on_dms=60)
    missing(connection, 120, on_dms=0)
    assert connection.execute("SELECT first_missing_at, confirmed_at FROM absence").fetchall() == [
        (FIRST, FIRST + AN_HOUR)
    ]


@pytest.mark.parametrize(("first", "then"), [(None, 0), (0, None), (None, None)])
def test_a_dms_that_did_not_tell_the_time_is_believed_by_this_machines_clock(
    connection: duckdb.DuckDBPyConnection, first: int | None, then: int | None
) -> None:
    missing(connection, 0, on_dms=first)
    assert missing(connection, 60, on_dms=then) == ["7"]


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


def test_an_order_that_is_stored_and_not_yet_staged_is_missing_from_the_first_question_on(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """As after a run that died in between; a parts order, and another dealer's, are not concerned."""
    connection.execute("DELETE FROM appointment")
    orders = [record("order", "7", order_type=1), record("order", "8", order_type=1), record("order", "9")]
    store(connection, extract("order", *orders))
    store(connection, extract("order", record("order", "6", order_type=1), dealer_id="pietersen"))
    note_missing(connection, "jansen", ["6", "7", "9"], now=FIRST, confirm_after=AN_HOUR, another_was_found=True)
    assert connection.execute("SELECT dms_number FROM absence").fetchall() == [("7",)]
    assert missing(connection, 60) == [], "what is to be staged would be staged as it was"
    stage(connection, "7")
    stage_all(connection)
    assert missing(connection, 61) == ["7"]


def test_what_was_to_be_staged_and_was_rejected_is_no_longer_missing_nor_in_quarantine(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    connection.execute("DELETE FROM appointment WHERE dealer_id = 'jansen' AND dms_number = '7'")
    store(connection, extract("order", record("order", "7", order_type=1)))
    missing(connection, 0)
    quarantine(connection, "7")
    stage_all(connection)
    assert missing(connection, 60) == []
    assert connection.execute("SELECT count(*) FROM absence").fetchall() == [(0,)]
    assert gone_from_quarantine(connection) == [("jansen", "appointment", "7", "open")]


def test_what_is_to_be_staged_stays_in_quarantine_until_it_was(connection: duckdb.DuckDBPyConnection) -> None:
    """Its newer version may be a good one."""
    connection.execute("DELETE FROM appointment WHERE dealer_id = 'jansen' AND dms_number = '7'")
    quarantine(connection, "7")
    store(connection, extract("order", record("order", "7", order_type=1)))
    missing(connection, 0)
    assert gone_from_quarantine(connection) == []


@pytest.mark.parametrize("order_type", [1, 2], ids=["work order", "parts order"])
def test_a_newer_version_that_is_to_be_staged_puts_a_confirmation_off(
    connection: duckdb.DuckDBPyConnection, order_type: int
) -> None:
    """It may be rejected or skipped: then the last good one is canceled, by the next question."""
    missing(connection, 0)
    store(connection, extract("order", record("order", "7", order_type=order_type), minutes=-10))
    assert missing(connection, 60) == []
    stage_all(connection)
    assert missing(connection, 61) == ["7"]


def test_what_came_back_bad_and_went_again_leaves_quarantine(connection: duckdb.DuckDBPyConnection) -> None:
    missing(connection, 0)
    missing(connection, 60)
    store(connection, extract("order", record("order", "7", order_type=1), minutes=90))
    stage_all(connection)
    quarantine(connection, "7")
    quarantine(connection, "8")
    missing(connection, 180, proof=False)
    assert gone_from_quarantine(connection) == [("jansen", "appointment", "7", "open")]


def test_an_order_that_came_back_and_is_missing_again_before_it_was_staged_stays_gone(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    missing(connection, 0)
    missing(connection, 60)
    store(connection, extract("order", record("order", "7", order_type=1), minutes=90))
    assert connection.execute("SELECT returned_at IS NULL FROM absence").fetchall() == [(False,)]
    missing(connection, 180)
    assert connection.execute("SELECT returned_at, confirmed_at FROM absence").fetchall() == [(None, FIRST + AN_HOUR)]


def test_what_was_never_staged_is_judged_again_when_the_dms_has_it_after_all(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """Its entry in quarantine was closed at the first question, and it may be byte for byte the same."""
    bad = [record("order", "6", order_type=1), record("order", "7", order_type=1)]
    store(connection, extract("order", *bad), extract("order", bad[0], dealer_id="pietersen"))
    stage(connection, "6", "pietersen")
    stage_all(connection)
    store(connection, extract("order", not_found=frozenset(("6", "7")), minutes=1))
    assert connection.execute("SELECT count(*) FROM nonexistent").fetchall() == [(2,)]
    store(connection, extract("order", *bad, minutes=1), extract("order", bad[0], dealer_id="pietersen", minutes=1))
    assert connection.execute("SELECT * FROM restage").fetchall() == [("jansen", "order", "6")]


def test_an_unknown_number_makes_no_absence(connection: duckdb.DuckDBPyConnection) -> None:
    note_missing(connection, "jansen", ["404"], now=FIRST, confirm_after=AN_HOUR, another_was_found=True)
    assert connection.execute("SELECT * FROM absence").fetchall() == []


def test_each_time_it_is_missing_is_remembered_and_the_first_time_stays(connection: duckdb.DuckDBPyConnection) -> None:
    stage(connection, "9")
    for number, minutes in (("9", 10), ("7", 0), ("7", 30)):
        note_missing(
            connection,
            "jansen",
            [number],
            now=FIRST + timedelta(minutes=minutes),
            confirm_after=AN_HOUR,
            another_was_found=True,
        )
    assert connection.execute(
        "SELECT dealer_id, dms_number, first_missing_at, last_missing_at FROM absence ORDER BY dms_number"
    ).fetchall() == [
        ("jansen", "7", FIRST, FIRST + timedelta(minutes=30)),
        ("jansen", "9", FIRST + timedelta(minutes=10), FIRST + timedelta(minutes=10)),
    ]
    assert next_confirmation(connection, "jansen", AN_HOUR) == FIRST + AN_HOUR
    assert next_confirmation(connection, "pietersen", AN_HOUR) is None


def test_a_confirmation_touches_no_neighbour_and_no_other_dealer(connection: duckdb.DuckDBPyConnection) -> None:
    for dealer_id, number in (("jansen", "7"), ("jansen", "8"), ("pietersen", "7")):
        note_missing(connection, dealer_id, [number], now=FIRST, confirm_after=AN_HOUR, another_was_found=True)
    assert missing(connection, 60) == ["7"]
    assert connection.execute(
        "SELECT dealer_id, dms_number, last_missing_at FROM absence WHERE confirmed_at IS NOT NULL"
    ).fetchall() == [("jansen", "7", FIRST + AN_HOUR)]
    assert connection.execute("SELECT DISTINCT last_missing_at FROM absence WHERE confirmed_at IS NULL").fetchall() == [
        (FIRST,)
    ]
    assert next_confirmation(connection, "jansen", AN_HOUR) == FIRST + AN_HOUR


def test_what_is_confirmed_is_not_confirmed_again(connection: duckdb.DuckDBPyConnection) -> None:
    missing(connection, 0)
    assert [missing(connection, minutes) for minutes in (60, 120)] == [["7"], []]


@pytest.fixture
def quarantined(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Order 404, never staged, and order 7, staged before, both rejected; and entries that look like theirs."""
    for number in ("404", "7"):
        quarantine(connection, number)
        quarantine(connection, number, dealer_id="pietersen")
        quarantine(connection, number, entity="car")
        quarantine(connection, number, state="healed")
    quarantine(connection, "405")
    return connection


def test_a_rejected_order_that_was_never_staged_leaves_quarantine_at_once(
    quarantined: duckdb.DuckDBPyConnection,
) -> None:
    stage(quarantined, "404", "pietersen")
    note_missing(quarantined, "jansen", ["404"], now=FIRST, confirm_after=AN_HOUR, another_was_found=False)
    assert gone_from_quarantine(quarantined) == [("jansen", "appointment", "404", "open")]


def test_a_rejected_order_that_was_staged_leaves_quarantine_when_its_absence_is_confirmed(
    quarantined: duckdb.DuckDBPyConnection,
) -> None:
    missing(quarantined, 0)
    assert gone_from_quarantine(quarantined) == []
    missing(quarantined, 60)
    assert gone_from_quarantine(quarantined) == [("jansen", "appointment", "7", "open")]


def absences(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, bool, bool]]:
    """Dealer and number of each, whether it is confirmed and whether it came back."""
    return connection.execute(
        "SELECT dealer_id, dms_number, confirmed_at IS NOT NULL, returned_at IS NOT NULL FROM absence ORDER BY ALL"
    ).fetchall()


@pytest.fixture
def known(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Confirmed absences of orders 7 and 8 and of another dealer's 7, an unconfirmed one of 9."""
    stage(connection, "9")
    for minutes in (0, 60):
        for dealer_id, number in (("jansen", "7"), ("jansen", "8"), ("pietersen", "7")):
            note_missing(
                connection,
                dealer_id,
                [number],
                now=FIRST + timedelta(minutes=minutes),
                confirm_after=AN_HOUR,
                another_was_found=True,
            )
    note_missing(
        connection,
        "jansen",
        ["9"],
        now=FIRST + AN_HOUR,
        confirm_after=AN_HOUR,
        another_was_found=True,
    )
    connection.execute("DELETE FROM restage")
    return connection


def test_an_order_comes_back_alone(known: duckdb.DuckDBPyConnection) -> None:
    store(known, extract("order", record("order", "7"), minutes=90))
    assert absences(known) == [
        ("jansen", "7", True, True),
        ("jansen", "8", True, False),
        ("jansen", "9", False, False),
        ("pietersen", "7", True, False),
    ]
    assert known.execute("SELECT * FROM restage").fetchall() == [("jansen", "order", "7")]


def test_only_the_absence_of_the_order_that_is_seen_is_forgotten(known: duckdb.DuckDBPyConnection) -> None:
    store(known, extract("order", record("order", "9"), minutes=90))
    assert absences(known) == [
        ("jansen", "7", True, False),
        ("jansen", "8", True, False),
        ("pietersen", "7", True, False),
    ]
    assert known.execute("SELECT * FROM restage").fetchall() == []


def test_a_car_with_the_number_of_an_order_brings_no_order_back(known: duckdb.DuckDBPyConnection) -> None:
    cars = [record("vehicle", number) for number in ("7", "9")]
    store(known, extract("vehicle", *cars), extract("order", record("order", "1000")))
    assert [each[2:] for each in absences(known)] == [(True, False), (True, False), (False, False), (True, False)]
    assert known.execute("SELECT * FROM restage").fetchall() == []


def test_when_an_order_came_back_is_the_first_time_it_was_seen_again(known: duckdb.DuckDBPyConnection) -> None:
    for minutes in (90, 120):
        store(known, extract("order", record("order", "7"), minutes=minutes))
    assert known.execute("SELECT returned_at FROM absence WHERE returned_at IS NOT NULL").fetchall() == [
        (FIRST + timedelta(minutes=90),)
    ]
    assert known.execute("SELECT * FROM restage").fetchall() == [("jansen", "order", "7")]


@pytest.mark.parametrize("number", ["7", "9"])
def test_an_order_that_was_seen_before_it_was_found_missing_is_asked_for_again(
    known: duckdb.DuckDBPyConnection, number: str
) -> None:
    before = absences(known)
    began = {"started_at": FIRST + timedelta(minutes=59)}
    read = extract("order", record("order", number), minutes=90, **began)
    assert store_extracts(known, [read], run_id="run-2").outdated == {"jansen": frozenset(number)}
    assert absences(known) == before
    assert known.execute("SELECT * FROM restage").fetchall() == []
