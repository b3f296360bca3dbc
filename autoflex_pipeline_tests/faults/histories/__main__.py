"""Many histories on all processors: ``python -m autoflex_pipeline_tests.faults.histories [how many]``.

Each processor takes its share with a seed of its own; HISTORIES_SEED is the first one (1 unless set). HISTORIES_BLOB,
as a failure prints it, runs that history alone; HISTORIES_SHRINK=1 makes a failing one as short as it can be.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def main(count: int) -> int:
    """Run them; gives the exit code."""
    workers = 1 if os.environ.get("HISTORIES_BLOB") else min(count, os.cpu_count() or 1)
    first_seed = int(os.environ.get("HISTORIES_SEED", "1"))
    started = time.monotonic()
    running = [_start(count // workers + (worker < count % workers), first_seed + worker) for worker in range(workers)]
    codes = [process.wait() for process in running]
    minutes = (time.monotonic() - started) / 60
    print(f"{count} histories asked for, on {workers} processes, in {minutes:.1f} minutes")
    return max(codes)


def _start(count: int, seed: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "HISTORIES": str(count), "HISTORIES_SEED": str(seed)}
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "-p", "no:logging", str(HERE)]
    return subprocess.Popen(command, cwd=HERE.parents[2], env=environment)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
