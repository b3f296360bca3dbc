"""What was asked of this Autoflex: counted, and without a credential in it."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

KEPT_CALLS = 20_000


@dataclass(frozen=True)
class Call:
    """One call: ``query`` is the list query as asked (never that of a login), ``outcome`` what was done with it."""

    at: str
    dealer: str
    endpoint: str
    query: str
    outcome: str


class CallJournal:
    """Counts by dealer and endpoint, the newest calls, and the most calls at once per dealer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Start counting anew."""
        with self._lock:
            self._counts: Counter[tuple[str, str]] = Counter()
            self._calls: deque[Call] = deque(maxlen=KEPT_CALLS)
            self._running: Counter[str] = Counter()
            self._peak: Counter[str] = Counter()

    def begin(self, dealer: str) -> None:
        """A call of ``dealer`` came in."""
        with self._lock:
            self._running[dealer] += 1
            self._peak[dealer] = max(self._peak[dealer], self._running[dealer])

    def end(self, call: Call) -> None:
        """That call was answered."""
        with self._lock:
            self._running[call.dealer] = max(0, self._running[call.dealer] - 1)
            self._counts[call.dealer, call.endpoint] += 1
            self._calls.append(call)

    def report(self, *, calls: bool) -> dict[str, Any]:
        """``{"total", "counts": {dealer: {endpoint: n}}, "peak": {dealer: n}[, "calls": [...]]}``."""
        with self._lock:
            counts: dict[str, dict[str, int]] = {}
            for (dealer, endpoint), count in sorted(self._counts.items()):
                counts.setdefault(dealer, {})[endpoint] = count
            report: dict[str, Any] = {
                "total": self._counts.total(),
                "counts": counts,
                "peak": dict(sorted(self._peak.items())),
            }
            if calls:
                report["calls"] = [asdict(call) for call in self._calls]
            return report
