"""All benchmarks, each in a process of its own: ``python -m benchmarks``."""

from __future__ import annotations

import subprocess
import sys

NAMES = ("staging", "delivery", "look", "trace", "sync", "memory")


def main() -> int:
    """Run them one after the other; the exit code is that of the first that failed."""
    codes = [subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode for name in NAMES]
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main())
