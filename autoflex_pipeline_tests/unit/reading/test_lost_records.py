"""What was read and is not among what is seen afterwards is told, counted from what was read."""

from __future__ import annotations

import duckdb
import pyarrow as arrow
import pytest

from autoflex_pipeline.sources import storing
from autoflex_pipeline.sources.extract import Extract
from autoflex_pipeline.sources.storing import Stored, store_extracts
from autoflex_pipeline_tests.unit.reading.test_storing import extract, record

real = storing._records


def lost(connection: duckdb.DuckDBPyConnection, *extracts: Extract) -> frozenset[str]:
    return store_extracts(connection, extracts, run_id="run-1").lost


def test_nothing_read_is_nothing_lost(undone: duckdb.DuckDBPyConnection) -> None:
    assert store_extracts(undone, [], run_id="run-1") == Stored({}, frozenset())


@pytest.mark.parametrize(
    "extracts",
    [
        [extract("order")],
        [extract("order", record("order", "7"))],
        [extract("order", record("order", "7"), record("order", "8")), extract("vehicle", record("vehicle", "7"))],
        [extract("order", record("order", "7"), record("order", "7", n=2))],
        [extract("order", record("order", "7")), extract("order", record("order", "7", n=2))],
        [extract("order", record("order", None, n=1), record("order", None, n=2), record("order", None, n=1))],
        [extract("order", record("order", "7")), extract("order", record("order", "7"), dealer_id="pietersen")],
    ],
    ids=["none", "one", "two kinds", "twice in one", "twice in two", "without a key", "two dealers"],
)
def test_what_was_read_is_seen_also_when_it_comes_again(
    undone: duckdb.DuckDBPyConnection, extracts: list[Extract]
) -> None:
    assert [lost(undone, *extracts), lost(undone, *extracts)] == [frozenset(), frozenset()]


@pytest.mark.parametrize("others", [0, 1, 2])
def test_a_record_that_is_not_stored_is_told_for_its_dealer_alone(
    undone: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    extracts = [
        extract("order", record("order", "7"), *[record("order", f"8{number}") for number in range(others)]),
        extract("order", record("order", "7"), dealer_id="pietersen"),
    ]
    with monkeypatch.context() as patch:
        patch.setattr(storing, "_records", without_the_first)
        assert lost(undone, *extracts) == {"jansen"}
    assert lost(undone, *extracts) == frozenset(), "stored by a program without the defect"


def test_of_records_without_a_key_the_one_that_is_not_stored_is_told(
    undone: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "_records", without_the_first)
    assert lost(undone, extract("order", record("order", None, n=1), record("order", None, n=2))) == {"jansen"}


def without_the_first(extracts: list[Extract]) -> arrow.Table:
    return real(extracts).slice(1)
