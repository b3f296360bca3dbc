"""Whether a request may go to Claire now: the breaker, a pause that Claire asked for, and a stop for good."""

from __future__ import annotations

import time
from threading import Condition, get_ident

FAILURES_TO_OPEN = 10
PROBES_TO_GIVE_UP = 4
"""With their pauses (1, 2, 4, 8 s by default) they bridge a restart of Claire's; the next run does the rest."""


class Gate:
    """Shared by all threads that use one Claire connection.

    After ``FAILURES_TO_OPEN`` transport failures in a row, whichever appointments they were for, it opens the circuit:
    nobody passes until a pause is over, then one request goes as a probe. It closes the circuit again, or the pause
    doubles up to ``longest_pause`` seconds. After ``PROBES_TO_GIVE_UP`` probes in vain nobody waits any longer: a
    Claire that is down must not hold a run open.
    """

    def __init__(self, *, first_pause: float, longest_pause: float) -> None:
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._changed = Condition()
        self._failures = 0
        self._pause = first_pause
        self._open_until: float | None = None
        self._prober: int | None = None
        self._probes_in_vain = 0
        self._not_before = 0.0
        self._stopped_because: str | None = None

    @property
    def stopped_because(self) -> str | None:
        """The configuration fault that stopped the connection, if any."""
        return self._stopped_because

    @property
    def is_open(self) -> bool:
        """Whether the circuit is open: Claire was not reached lately."""
        return self._open_until is not None

    @property
    def has_given_up(self) -> bool:
        """Whether so many probes were in vain that no more is tried in this run."""
        return self._probes_in_vain >= PROBES_TO_GIVE_UP

    def wait(self, deadline: float, *, is_probe: bool = False) -> bool:
        """Wait for leave to send, at most until ``deadline`` (monotonic seconds); False without it.

        ``is_probe``: a single request that is to find out whether Claire is back; it needs only Claire's own leave.
        Whoever got leave must call ``succeeded`` or ``failed``, in the same thread.
        """
        with self._changed:
            while self._stopped_because is None and (is_probe or not self.has_given_up):
                now = time.monotonic()
                if now >= self._not_before and (is_probe or self._admits(now)):
                    return True
                wake_at = max(self._not_before, self._open_until or 0.0)
                if wake_at <= now:  # someone else probes
                    wake_at = deadline
                if now >= deadline:
                    return False
                self._changed.wait(max(0.001, min(wake_at, deadline) - now))
            return False

    def succeeded(self) -> None:
        """Claire was reached: whatever it said, the transport works."""
        with self._changed:
            self._failures = 0
            self._pause = self._first_pause
            self._open_until = None
            self._prober = None
            self._probes_in_vain = 0
            self._changed.notify_all()

    def failed(self) -> None:
        """Claire was not reached, or gave an answer that is none."""
        with self._changed:
            self._failures += 1
            # Others may still be on their way from before: their failures say nothing of the probe.
            is_probe = self._prober == get_ident()
            if is_probe or (self._open_until is None and self._failures >= FAILURES_TO_OPEN):
                if is_probe:
                    self._probes_in_vain += 1
                    self._pause = min(self._pause * 2, self._longest_pause)
                self._open_until = time.monotonic() + self._pause
                self._prober = None
                self._changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Claire asked to be left alone for a while."""
        with self._changed:
            self._not_before = max(self._not_before, time.monotonic() + seconds)

    def stop(self, reason: str) -> None:
        """Nobody passes any more."""
        with self._changed:
            self._stopped_because = self._stopped_because or reason
            self._changed.notify_all()

    def sleep(self, seconds: float) -> None:
        """Wait before the next try; ends early when the connection stops, or nobody waits any longer."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped_because is not None or self.has_given_up, timeout=seconds)

    def _admits(self, now: float) -> bool:
        if self._open_until is None:
            return True
        if now < self._open_until or self._prober is not None:
            return False
        self._prober = get_ident()
        return True
