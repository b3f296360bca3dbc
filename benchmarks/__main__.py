"""All benchmarks, or those named, each in a process of its own: ``python -m benchmarks [name …]``."""

from __future__ import annotations

import argparse
import subprocess
import sys

NAMES = ("staging", "delivery", "look", "trace", "sync", "memory")


def main() -> int:
    """Run them one after the other; the exit code is that of the first that failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"Of {', '.join(NAMES)}; all without.")
    names = parser.parse_args().names or NAMES
    if unknown := sorted(set(names).difference(NAMES)):
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    codes = [subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode for name in names]
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main())
