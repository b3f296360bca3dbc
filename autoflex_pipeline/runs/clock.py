"""The moments of one run: a clock that is set while the run is under way must not make it misdate anything."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

TOLERANCE = timedelta(minutes=5)
"""So far the clock may be set without harm: time servers correct by less, a wrong time zone is more."""


def _seconds_up() -> float:
    """Seconds on a clock that nobody sets; where there is one, it runs on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class RunClock:
    """Gives the present moment in UTC, never an earlier one than before, and never earlier than ``not_before``.

    It follows ``clock`` as long as that agrees with what has passed since the run began; when ``clock`` jumps by more
    than ``TOLERANCE``, the run goes on with the time that has really passed.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        *,
        not_before: datetime | None = None,
        seconds: Callable[[], float] = _seconds_up,
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._began_at, self._began = clock(), seconds()
        self._latest = max(self._began_at, not_before) if not_before else self._began_at

    def __call__(self) -> datetime:
        """The present moment."""
        told = self._clock()
        passed = self._began_at + timedelta(seconds=self._seconds() - self._began)
        self._latest = max(self._latest, told if abs(told - passed) <= TOLERANCE else passed)
        return self._latest
