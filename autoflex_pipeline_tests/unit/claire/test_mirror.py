"""The copies of ledger and acknowledgements in the warehouse: what is new, or all of it after another store came."""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
import pytest
from sqlalchemy import Connection

from autoflex_pipeline.claire.mirror import bring_up
from autoflex_pipeline.state import ledger, outbox
from autoflex_pipeline.state.marks import PUBLISH_WANTED, mark, set_mark
from autoflex_pipeline_tests.unit.attempts import NOW, attempt


def acknowledge(state: Connection, dms_number: str, *, location: str = "101", document_hash: str = "hash") -> None:
    row = {
        "dms_number": dms_number,
        "claire_id": "c",
        "status": "New entry",
        "held": "[]",
        "document_hash": document_hash,
        "intent_number": 1,
        "is_billed": True,
        "is_canceled": False,
        "appointment_date": date(2026, 11, 24),
        "acknowledged_at": NOW,
    }
    outbox.acknowledge(state, "jansen", location, [row])


def acknowledged(undone: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return undone.execute("SELECT location_id, dms_number, document_hash FROM acknowledged ORDER BY ALL").fetchall()


def attempts(undone: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return undone.execute("SELECT delivery_id, dms_number, result FROM delivery ORDER BY ALL").fetchall()


def test_every_column_is_copied(undone: duckdb.DuckDBPyConnection, state: Connection) -> None:
    ledger.append(state, [attempt("1", "failed", http_status=None)])
    acknowledge(state, "1")
    bring_up(undone, state)
    assert undone.execute("FROM delivery").fetchall() == [(1, "jansen", "1", NOW, "failed", None, None, "[]", "run-1")]
    assert undone.execute("FROM acknowledged").fetchall() == [
        ("jansen", "101", "1", "hash", True, False, date(2026, 11, 24), 1)
    ]


def test_what_is_new_is_added_and_what_changed_takes_the_old_ones_place(
    undone: duckdb.DuckDBPyConnection, state: Connection
) -> None:
    for number in ("1", "2"):
        acknowledge(state, number)
        acknowledge(state, number, location="102")
    ledger.append(state, [attempt("1"), attempt("2")])
    bring_up(undone, state)
    acknowledge(state, "1", document_hash="new")
    ledger.append(state, [attempt("1", "updated")])
    for _ in range(2):
        bring_up(undone, state)
        assert acknowledged(undone) == [
            ("101", "1", "new"),
            ("101", "2", "hash"),
            ("102", "1", "hash"),
            ("102", "2", "hash"),
        ]
        assert attempts(undone) == [(1, "1", "created"), (2, "2", "created"), (3, "1", "updated")]


def test_another_dealers_copy_stays(undone: duckdb.DuckDBPyConnection, state: Connection) -> None:
    undone.execute(
        "INSERT INTO acknowledged BY NAME SELECT 'pietersen' AS dealer_id, '101' AS location_id, '1' AS dms_number, "
        "'theirs' AS document_hash, 0 AS change_number"
    )
    acknowledge(state, "1")
    bring_up(undone, state)
    assert acknowledged(undone) == [("101", "1", "hash"), ("101", "1", "theirs")]


def test_nothing_is_read_when_nothing_is_new(
    undone: duckdb.DuckDBPyConnection, state: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    acknowledge(state, "1")
    ledger.append(state, [attempt("1")])
    bring_up(undone, state)
    read: list[object] = []
    for name in ("acknowledged_after", "attempts_after"):
        monkeypatch.setattr(f"autoflex_pipeline.claire.mirror.{name}", lambda *asked: read.append(asked) or [])
    bring_up(undone, state)
    assert read == []
    assert (len(acknowledged(undone)), len(attempts(undone))) == (1, 1)


def test_after_an_older_store_was_put_back_all_is_copied_anew(
    undone: duckdb.DuckDBPyConnection, state: Connection
) -> None:
    for number in ("1", "2"):
        acknowledge(state, number)
    ledger.append(state, [attempt("1"), attempt("2")])
    bring_up(undone, state)
    state.exec_driver_sql("DELETE FROM acknowledged WHERE dms_number = '2'")
    state.exec_driver_sql("UPDATE outbox_origin SET last_change = 1")
    state.exec_driver_sql("DELETE FROM ledger WHERE id = 2")
    bring_up(undone, state)
    assert acknowledged(undone) == [("101", "1", "hash")]
    assert attempts(undone) == [(1, "1", "created")]


def test_the_part_that_was_copied_is_not_left_behind(undone: duckdb.DuckDBPyConnection, state: Connection) -> None:
    acknowledge(state, "1")
    bring_up(undone, state)
    assert undone.execute("SELECT count(*) FROM duckdb_views() WHERE view_name = 'copied_part'").fetchone() == (0,)


def test_what_is_copied_is_to_be_published(undone: duckdb.DuckDBPyConnection, state: Connection) -> None:
    """A run whose disk failed at that moment published without it, and the next run saw nothing new to publish."""
    bring_up(undone, state)
    assert not mark(state, PUBLISH_WANTED)
    for change in (lambda: acknowledge(state, "50001"), lambda: ledger.append(state, [attempt("50001")])):
        change()
        bring_up(undone, state)
        assert mark(state, PUBLISH_WANTED)
        set_mark(state, PUBLISH_WANTED, False)
        bring_up(undone, state)
        assert not mark(state, PUBLISH_WANTED)


def test_a_copy_that_becomes_empty_is_to_be_published(undone: duckdb.DuckDBPyConnection, state: Connection) -> None:
    """The store was replaced by one in which nothing was delivered yet."""
    ledger.append(state, [attempt("1")])
    bring_up(undone, state)
    set_mark(state, PUBLISH_WANTED, False)
    state.exec_driver_sql("DELETE FROM ledger")
    bring_up(undone, state)
    assert attempts(undone) == []
    assert mark(state, PUBLISH_WANTED)
