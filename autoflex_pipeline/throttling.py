"""How a vendor's server is treated with care, whichever vendor it is: how often it is asked, and when again."""

from __future__ import annotations

import math
from datetime import datetime

from pyrate_limiter import Limiter, Rate

from autoflex_pipeline.vendor_http import http_date

PASSING_STATUSES = frozenset({408, 425, 429})
"""Besides every 5xx: answers that may be better next time."""


def may_pass(status: int) -> bool:
    """Whether a request that was answered with this HTTP status is worth trying again; not a vendor's own code."""
    return status in PASSING_STATUSES or 500 <= status < 600


class RateLimit:
    """Lets through at most ``per_second`` requests in any second; 0: no limit, 0.5: one in two seconds. Thread-safe."""

    def __init__(self, per_second: float) -> None:
        self._limiter: Limiter | None = None
        if per_second > 0:
            count = max(1, math.floor(per_second))
            self._limiter = Limiter(Rate(count, round(1000 * count / per_second)), buffer_ms=5)

    def wait_for_turn(self) -> None:
        """Wait until one more request may go."""
        if self._limiter is not None:
            self._limiter.try_acquire("request")

    def close(self) -> None:
        """End the limiter's own thread."""
        if self._limiter is not None:
            self._limiter.close()


def retry_after_seconds(value: str | None, now: datetime, longest: float) -> float | None:
    """Seconds that a ``Retry-After`` (a number, or a date) asks to wait from ``now``, 0 to ``longest``.

    None when there is none, or none that can be read.
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        moment = http_date(value)
        if moment is None:
            return None
        seconds = (moment - now).total_seconds()
    return min(max(seconds, 0.0), longest) if math.isfinite(seconds) else None
