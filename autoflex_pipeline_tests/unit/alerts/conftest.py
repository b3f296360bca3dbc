"""A state store, a clock, and a configuration with routes of which each test says which."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from autoflex_pipeline.alerts.keeping import keep
from autoflex_pipeline.alerts.kinds import Trouble, Watched
from autoflex_pipeline.alerts.sending import Sent, send_due
from autoflex_pipeline.settings import Settings, load_settings
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.state.alerts import AlertKey, unsent
from autoflex_pipeline_tests.receivers import Receiver, receiving

HEAD = '[claire]\nbase_url = "https://claire.example/api"\n'
DEALERS = """
[[dealers]]
id = "a"
name = "Garage A"
claire_location_id = "1"
{a}
[[dealers]]
id = "b"
name = "Garage B"
claire_location_id = "2"
"""
LOG = '[[alerts]]\nname = "team"\nto = "log"\n'
LOGIN, SOURCE = AlertKey("a", "login"), AlertKey("a", "source")


class Desk:
    """Tells ``keep`` what was found and gives what was put in the outbox for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = StateStore(folder / "state.sqlite")
        self.now = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
        self.settings = self.configure(LOG)

    def configure(self, routes: str = LOG, *, a: str = "") -> Settings:
        file = self.folder / "autoflex.toml"
        file.write_text(HEAD + DEALERS.format(a=a) + routes, encoding="utf-8")
        self.settings = load_settings(file)
        return self.settings

    def found(self, *watched: Watched, **passed: float) -> list[tuple[str, ...]]:
        """Some time later this was found; gives route, change and severity of the messages that it made."""
        self.now += timedelta(**(passed or {"minutes": 1}))
        with self.store.begin() as connection:
            before = {message["id"] for message in unsent(connection)}
            keep(connection, self.settings, watched, self.now)
            made = [message for message in unsent(connection) if message["id"] not in before]
        return [(message["route"], message["change"], message["severity"]) for message in made]

    def send(self, **passed: float) -> Sent:
        self.now += timedelta(**passed)
        return send_due(self.settings, self.store, lambda: self.now)


def wrong(key: AlertKey = LOGIN, severity: str = "error", size: int = 0) -> Watched:
    return Watched(key, Trouble(severity, size))  # type: ignore[arg-type]


def well(key: AlertKey = LOGIN) -> Watched:
    return Watched(key, None)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.store.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running
