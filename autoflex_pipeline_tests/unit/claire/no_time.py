"""Waiting that takes no time: for the gate to Claire and the retries behind it the clock moves only when they wait."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import tenacity

from autoflex_pipeline.claire import client, gate


class Time:
    """A clock that moves only when somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []
        self.meanwhile: list[Callable[[], None]] = []
        """What another thread does during the next wait."""

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        assert len(self.waits) < 1_000, "nobody waits so often"
        if self.meanwhile:
            self.meanwhile.pop(0)()
        else:
            self.now += seconds


class Condition:
    """Stands for threading.Condition; waiting moves the clock."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self.told = 0

    def __enter__(self) -> None:
        """One thread: nothing to lock."""

    def __exit__(self, *error: object) -> None:
        """One thread: nothing to unlock."""

    def wait(self, seconds: float) -> None:
        self._time.wait(seconds)

    def wait_for(self, holds: Callable[[], bool], timeout: float) -> bool:
        if not holds():
            self._time.wait(timeout)
        return holds()

    def notify_all(self) -> None:
        self.told += 1


def no_real_time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """From here on, only waiting moves the clock."""
    time = Time()
    clock = SimpleNamespace(monotonic=lambda: time.now)
    for module in (gate, client, tenacity):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(gate, "Condition", lambda: Condition(time))
    return time
