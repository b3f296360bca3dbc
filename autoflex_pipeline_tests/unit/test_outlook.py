"""The look of the schedule's tick: what one dealer's DMS does costs no other dealer its look."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from autoflex_pipeline.runs.outlook import Outlook, outlooks
from autoflex_pipeline.settings import DealerSettings, load_settings
from autoflex_pipeline.sources.autoflex_api.reading import Reading
from autoflex_pipeline.sources.connections import ApiConnections
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.state.dealers import remember

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
DEALER = """
[[dealers]]
id = "{id}"
name = "{id}"
claire_location_id = "{id}"
[dealers.api]
login_url = "https://dms.example/v2"
api_key_env = "API_KEY"
username_env = "USERNAME"
password_env = "PASSWORD"
"""
HANGING = ("hangs-1", "hangs-2", "hangs-3", "hangs-4", "hangs-5", "hangs-6")


class Dms:
    """A dealer's DMS with one open list."""

    def __init__(self, answer: Callable[[], None]) -> None:
        self._answer = answer

    def open_orders(self) -> Reading:
        self._answer()
        return Reading("order", (), complete=True, error=None, requests=1, pages=None)


class Connections(ApiConnections):
    """Each dealer's DMS answers as its entry of ``answers`` does, else at once."""

    def __init__(self, answers: dict[str, Callable[[], None]]) -> None:
        super().__init__()
        self._answers = answers

    def get(self, dealer: DealerSettings) -> Any:
        return Dms(self._answers.get(dealer.id, lambda: None))


@pytest.fixture
def released() -> Iterator[Event]:
    """Lets those that hang go, at the latest after the test."""
    event = Event()
    yield event
    event.set()


def look(folder: Path, answers: dict[str, Callable[[], None]], *, look_seconds: float = 30) -> dict[str, Outlook]:
    """The outlooks of the dealers of ``answers`` and of one that answers at once; each was looked at before."""
    dealer_ids = [*answers, "answers"]
    config = folder / "autoflex.toml"
    parts = ['[claire]\nbase_url = "https://claire.example"', *(DEALER.format(id=each) for each in dealer_ids)]
    config.write_text("\n".join(parts), encoding="utf-8")
    state = StateStore(folder / "warehouse.state.sqlite")
    with state.begin() as connection:
        for dealer_id in dealer_ids:
            remember(connection, dealer_id, look_digest="another")
    try:
        found = outlooks(load_settings(config), state, Connections(answers), now=NOW, look_seconds=look_seconds)
    finally:
        state.close()
    return {outlook.dealer_id: outlook for outlook in found}


def test_those_that_hang_share_one_limit_and_are_left_to_a_run_as_others_that_cannot_be_looked_at(
    tmp_path: Path, released: Event
) -> None:
    """Regression: the limit was each dealer's own, so that two that hung outlasted the schedule's evaluation."""
    started = time.monotonic()
    seen = look(tmp_path, {dealer_id: lambda: released.wait(60) and None for dealer_id in HANGING}, look_seconds=1)
    assert time.monotonic() - started < len(HANGING)
    assert [seen[dealer_id].has_work for dealer_id in HANGING] == [True] * len(HANGING)
    assert {seen[dealer_id].reason for dealer_id in HANGING} == {
        "could not be looked at: its DMS did not answer within 1 s; the run asks with more patience"
    }
    assert seen["answers"].has_work


def test_an_unforeseen_error_of_one_dealer_is_its_own_and_shows_nothing_of_what_came(tmp_path: Path) -> None:
    """Regression: it ended the look of all dealers."""

    def break_down() -> None:
        raise ValueError("van den Berg, Dorpsstraat 12")

    seen = look(tmp_path, {"breaks": break_down})
    assert seen["answers"].has_work
    assert seen["breaks"].has_work, "a run of it says why, and notes it"
    assert seen["breaks"].reason.startswith("could not be looked at: unexpected ValueError at test_outlook.py:")
    assert "Berg" not in seen["breaks"].reason
