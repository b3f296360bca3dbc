"""(g) The memory of one process that runs and looks again and again: at most 1.1 times that after a fifth of them.

The sandbox's Autoflex and Claire run in a process of their own, with one order changed before each run. A run is made
as tests make it, without Dagster, whose runs are processes of their own; the look is the schedule's.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from autoflex_pipeline.orchestration.resources import Installation
from autoflex_pipeline.runs.context import RunOptions
from autoflex_pipeline.runs.outlook import outlooks
from autoflex_pipeline.sandbox.control import AutoflexControl
from autoflex_pipeline_tests.domain import new_run_id, run_domain
from benchmarks.sync import CONFIG, SECRETS, serve

LIMIT = 1.1


class Process:
    """An installation whose clock moves a minute with each run, and the DMS to change."""

    def __init__(self, config: Path, control: AutoflexControl) -> None:
        self._now = datetime(2026, 11, 24, 9, tzinfo=UTC)
        self._installation = Installation(config, clock=lambda: self._now)
        self._control = control
        self._orders = [row["order_id"] for row in control.rows("bench", "order") if row["is_invoiced"] == 0]
        self._done = 0

    def run(self) -> None:
        """A tick after one edit, the copy for analysts included."""
        self._done += 1
        number = self._orders[self._done % len(self._orders)]
        self._control.change("bench", "order", number, notes=f"edit {self._done}")
        context = self._installation.run_context(new_run_id(), RunOptions(reread=True))
        assert run_domain(context)["bench"]["error"] is None
        self._installation.end_run()
        self._now += timedelta(minutes=1)

    def look(self) -> None:
        """What the schedule does each minute."""
        outlooks(self._installation.settings, self._installation.state, self._installation.apis, now=self._now)


def resident_mib() -> float:
    """The resident size of this process now, in MiB, after what is garbage has gone."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def grown(name: str, call: Callable[[], object], times: int) -> bool:
    """Call it so often, print how the memory grew, and give whether it is within the limit."""
    sizes = []
    for part in range(5):
        for _ in range(times // 5):
            call()
        sizes.append(resident_mib())
        print(f"  {(part + 1) * (times // 5)} {name}: {sizes[-1]:.0f} MiB", flush=True)
    ratio = sizes[-1] / sizes[0]
    print(f"memory after {times} {name} / after a fifth of them: {ratio:.2f}; target at most {LIMIT}")
    return ratio <= LIMIT


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--looks", type=int, default=2000)
    arguments = parser.parse_args()
    os.environ.update(SECRETS)
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(folder, theirs))
        server.start()
        try:
            autoflex, claire = ours.recv()
            config = Path(folder) / "autoflex.toml"
            config.write_text(CONFIG.format(folder=folder, autoflex=autoflex, claire=claire), encoding="utf-8")
            with AutoflexControl(f"{autoflex}/control") as control:
                process = Process(config, control)
                kept = [grown("runs", process.run, arguments.runs), grown("looks", process.look, arguments.looks)]
        finally:
            ours.send("stop")
            server.join()
    return 0 if all(kept) else 1


if __name__ == "__main__":
    raise SystemExit(main())
