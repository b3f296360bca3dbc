"""Many histories on all processors: ``python -m autoflex_pipeline_tests.faults.histories [how many]``.

They are divided into shares of a hundred, each with a seed of its own: the same ones on any machine, on however many
processors. HISTORIES_SEED is the first one (1 unless set). HISTORIES_BLOB, as a failure prints it, runs that history
alone; HISTORIES_SHRINK=1 makes a failing one as short as it can be.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from autoflex_pipeline_tests.faults.histories.events import lacking, not_met

HERE = Path(__file__).parent
SHARE = 100


@dataclass
class Share:
    """What became of a share: its exit code, what it printed, and what it counted when all went well."""

    seed: int
    code: int
    printed: str
    minutes: float
    counts: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)

    def told(self) -> str:
        """One line."""
        how = _told(self.counts) if self.code == 0 else f"FAILED with exit code {self.code}"
        return f"seed {self.seed}: {how}, {self.minutes:.1f} minutes"


def main(count: int) -> int:
    """Run them; gives the exit code."""
    shares = shares_of(1 if os.environ.get("HISTORIES_BLOB") else count, int(os.environ.get("HISTORIES_SEED", "1")))
    workers = max(1, min(len(shares), os.cpu_count() or 1))
    counts: Counter[str] = Counter()
    events: Counter[str] = Counter()
    failed, started = [], time.monotonic()
    with ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(run_share, number, seed) for number, seed in shares]
        for done, future in enumerate(as_completed(running), start=1):
            share = future.result()
            print(f"{done} of {len(shares)} shares: {share.told()}", flush=True)
            counts += share.counts
            events += share.events
            if share.code != 0:
                failed.append(share.seed)
                print(share.printed, flush=True)
    minutes = (time.monotonic() - started) / 60
    print("\n".join(f"{number:10,} {name}" for name, number in sorted(events.items())))
    print(f"did not occur: {', '.join(not_met(events)[1]) or 'nothing'}")
    print(f"TOTAL: {_told(counts)}, {minutes:.1f} minutes on {workers} processes; failed: {failed or 'none'}")
    lack = lacking(events, counts["killed"], counts["histories"])
    if lack:
        print(f"FAILED: of these kinds nothing occurred: {', '.join(lack)}")
    return 1 if failed or lack else 0


def shares_of(count: int, first_seed: int) -> list[tuple[int, int]]:
    """Of each share how many histories, and its seed: whatever the machine."""
    starts = range(0, count, SHARE)
    return [(min(SHARE, count - start), first_seed + place) for place, start in enumerate(starts)]


def run_share(count: int, seed: int) -> Share:
    """So many histories in a process of their own."""
    started = time.monotonic()
    with TemporaryDirectory() as folder:
        summary = Path(folder) / "summary.json"
        own = {
            "HISTORIES": str(count), "HISTORIES_SEED": str(seed), "HISTORIES_SUMMARY": str(summary),
            "PYTHONHASHSEED": "0",  # in which order the numbers of a set are asked for decides which one a fault hits
        }  # fmt: skip
        command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "-p", "no:logging", str(HERE)]
        ended = subprocess.run(
            command, cwd=HERE.parents[2], env=os.environ | own, check=False, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        share = Share(seed, ended.returncode, ended.stdout, (time.monotonic() - started) / 60)
        if share.code == 0:
            counted = json.loads(summary.read_text(encoding="utf-8"))
            share.counts, share.events = Counter(counted["counts"]), Counter(counted["events"])
    return share


def _told(counts: Counter[str]) -> str:
    return f"{counts['histories']:,} histories, {counts['runs']:,} runs, {counts['killed']:,} of them killed"


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
