from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from autoflex_pipeline.state import StateStore
from autoflex_pipeline.state.holds import HoldKind, current_hold, lift_hold, place_hold

NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    store = StateStore(tmp_path / "warehouse.state.sqlite")
    yield store
    store.close()


def fail(store: StateStore, cause: str = "c1", now: datetime = NOW, kind: HoldKind = "login") -> float:
    """One more failure of dealer d; the minutes until the next try."""
    with store.begin() as connection:
        place_hold(connection, "d", kind, cause, "the password was refused; correct it", now)
        hold = current_hold(connection, "d")
    assert hold is not None
    return (hold["next_try_at"] - now) / timedelta(minutes=1)


def test_the_same_cause_is_tried_after_5_then_15_then_every_60_minutes(store: StateStore) -> None:
    assert [fail(store, now=NOW + timedelta(hours=hour)) for hour in range(5)] == [5, 15, 60, 60, 60]


def test_a_hold_remembers_since_when(store: StateStore) -> None:
    fail(store)
    fail(store, now=NOW + timedelta(hours=1))
    with store.begin() as connection:
        hold = current_hold(connection, "d")
    assert hold is not None
    assert (hold["since"], hold["attempts"], hold["message"]) == (NOW, 2, "the password was refused; correct it")


def test_another_cause_or_kind_starts_anew(store: StateStore) -> None:
    assert [fail(store), fail(store)] == [5, 15]
    assert fail(store, cause="c2") == 5
    assert [fail(store, cause="c2"), fail(store, cause="c2", kind="guard")] == [15, 5]


def test_a_lifted_hold_is_gone_and_counts_anew(store: StateStore) -> None:
    fail(store)
    with store.begin() as connection:
        lift_hold(connection, "d")
        assert current_hold(connection, "d") is None
    assert fail(store) == 5


def test_a_hold_is_one_dealers_own(store: StateStore) -> None:
    fail(store)
    with store.begin() as connection:
        assert current_hold(connection, "e") is None
        lift_hold(connection, "e")
        assert current_hold(connection, "d") is not None
