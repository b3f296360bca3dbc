"""How a ratio is measured: in one run, alternating, the median of several; with the peak memory of the process."""

from __future__ import annotations

import resource
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median, smallest and largest of ``ours / base``, with the median seconds of both."""

    median: float
    smallest: float
    largest: float
    ours_seconds: float
    base_seconds: float


def seconds_of(call: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    started = perf_counter()
    call()
    return perf_counter() - started


def ratio(ours: Callable[[], float], base: Callable[[], float], *, rounds: int) -> Ratio:
    """Measure the two alternately; each gives its own seconds, so that setting up does not count."""
    pairs = [(base(), ours()) for _ in range(rounds)]
    ratios = [our / bas for bas, our in pairs]
    return Ratio(
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        statistics.median(our for _, our in pairs),
        statistics.median(bas for bas, _ in pairs),
    )


def peak_memory_mib() -> float:
    """The largest resident size of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def report(name: str, found: Ratio, target: str) -> None:
    """One line for a benchmark."""
    print(
        f"{name}: {found.median:.2f} (from {found.smallest:.2f} to {found.largest:.2f}); target {target}; "
        f"ours {found.ours_seconds:.3f} s, base {found.base_seconds:.3f} s; peak memory {peak_memory_mib():.0f} MiB"
    )
