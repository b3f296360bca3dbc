"""The ledger: every request that was made to deliver a document, append-only."""

from __future__ import annotations

from sqlalchemy import Connection, inspect

from autoflex_pipeline.state import ledger
from autoflex_pipeline_tests.unit.attempts import attempt


def test_attempts_are_given_oldest_first_after_a_number_in_parts(state: Connection) -> None:
    ledger.append(state, [attempt(number) for number in ("3", "1", "2", "5", "4")])
    parts = list(ledger.attempts_after(state, 1, ["id", "dms_number"], at_once=3))
    assert [[tuple(row) for row in part] for part in parts] == [[(2, "1"), (3, "2"), (4, "5")], [(5, "4")]]


def test_nothing_is_added_when_nothing_was_tried(state: Connection) -> None:
    ledger.append(state, [])
    assert ledger.newest_attempt(state) == 0


def test_the_newest_attempt_has_the_highest_number(state: Connection) -> None:
    ledger.append(state, [attempt("1"), attempt("2"), attempt("3")])
    assert ledger.newest_attempt(state) == 3


def test_a_number_is_not_given_twice_though_its_row_is_gone(state: Connection) -> None:
    ledger.append(state, [attempt("1")])
    state.exec_driver_sql("DELETE FROM ledger")
    ledger.append(state, [attempt("1")])
    assert ledger.newest_attempt(state) == 2


def test_the_last_attempt_of_a_run_counts_for_its_dealer(state: Connection) -> None:
    said = {"http_status": 422, "message": "price: no"}
    ledger.append(
        state,
        [
            attempt("1", "failed", http_status=None, message="no answer"),
            attempt("1", "rejected", **said),
            attempt("2"),
            attempt("1", "updated", run_id="run-2"),
            attempt("1", "failed", dealer_id="pietersen"),
        ],
    )
    assert ledger.last_attempts(state, "jansen", "run-1") == {
        "1": {"dms_number": "1", "result": "rejected", **said},
        "2": {"dms_number": "2", "result": "created", "http_status": 201, "message": None},
    }


def test_only_what_claire_may_not_have_said_may_be_empty(state: Connection) -> None:
    columns = inspect(state).get_columns("ledger")
    assert {column["name"] for column in columns if column["nullable"]} == {"http_status", "message"}
    assert inspect(state).get_pk_constraint("ledger")["constrained_columns"] == ["id"]
