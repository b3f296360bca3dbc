"""Before "not found" is believed, another known order has to be found by its id: which one, and what it proves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from autoflex_pipeline.runs.orders import _another_known_order
from autoflex_pipeline.sources.extract import Extract
from autoflex_pipeline_tests.unit.reading.test_storing import extract, record, store


class Context:
    """Stands for the context of a run: one warehouse, and DMSs that know the orders in ``there``."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self.there: set[str] = set()
        self.asked: list[tuple[str, str, list[str]]] = []
        self.warehouse: Any = self
        self.settings: Any = SimpleNamespace(dealer=lambda dealer_id: SimpleNamespace(id=dealer_id))
        self.apis: Any = SimpleNamespace(get=lambda dealer: SimpleNamespace(by_ids=self._by_ids(dealer.id)))

    def _by_ids(self, dealer_id: str) -> Any:
        def by_ids(entity: str, numbers: list[str]) -> Any:
            self.asked.append((dealer_id, entity, numbers))
            return SimpleNamespace(records=[number for number in numbers if number in self.there])

        return by_ids

    @contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        yield self._connection

    def for_each(self, dealers: list[Any], ask: Any) -> list[Any]:
        return [(dealer, ask(dealer)) for dealer in dealers]

    def proof(self, listed: Extract, found: Extract) -> dict[str, bool]:
        context: Any = self
        return _another_known_order(context, {"jansen": listed}, {"jansen": found})


@pytest.fixture
def context(undone: duckdb.DuckDBPyConnection) -> Context:
    return Context(undone)


EMPTY = extract("order")
MISSING = extract("order", not_found=frozenset("79"))


def test_an_order_that_was_found_with_the_missing_ones_is_proof_enough(context: Context) -> None:
    found = extract("order", record("order", "8"), not_found=frozenset("7"))
    assert context.proof(EMPTY, found) == {"jansen": True}
    assert context.asked == []


def test_where_nothing_is_missing_nothing_is_asked(context: Context) -> None:
    assert context.proof(extract("order", record("order", "1")), EMPTY) == {}
    assert context.asked == []


@pytest.mark.parametrize("is_there", [True, False])
def test_the_first_order_of_the_list_is_asked_for_by_id(context: Context, is_there: bool) -> None:
    context.there = {"2"} if is_there else set()
    listed = extract("order", record("order", None), record("order", "2"), record("order", "3"))
    assert context.proof(listed, MISSING) == {"jansen": is_there}
    assert context.asked == [("jansen", "order", ["2"])]


def test_without_a_list_the_order_seen_last_that_is_not_missing_itself_is_asked_for(
    context: Context, undone: duckdb.DuckDBPyConnection
) -> None:
    store(undone, extract("order", record("order", "1"), minutes=1))
    store(undone, extract("order", record("order", "2"), record("order", "3"), minutes=2))
    store(undone, extract("order", record("order", "7"), record("order", None), minutes=3))
    store(undone, extract("vehicle", record("vehicle", "4"), minutes=4))
    store(undone, extract("order", record("order", "5"), minutes=5, dealer_id="pietersen"))
    context.there = {"3"}
    assert context.proof(EMPTY, MISSING) == {"jansen": True}
    assert context.asked == [("jansen", "order", ["3"])]


def test_a_dealer_of_whom_no_other_order_is_known_has_no_proof(
    context: Context, undone: duckdb.DuckDBPyConnection
) -> None:
    store(undone, extract("order", record("order", "7")))
    assert context.proof(EMPTY, MISSING) == {}
    assert context.asked == []
