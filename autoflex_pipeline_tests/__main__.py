"""Run the tests: ``python -m autoflex_pipeline_tests [unit|pipeline|faults|browser]…``; none named: all kinds.

Where no Chromium is found the browser tests do not run, and the last line says so; with REQUIRE_BROWSER=1 that is a
failure.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile

from autoflex_pipeline_tests.browser.chromium import find_chromium

KINDS = ("unit", "pipeline", "faults", "browser")
HERE = Path(__file__).parent
WORKERS = "3"
"""More than the two processors that are reckoned with: a test of faults waits a third of its time."""


def main(arguments: list[str]) -> int:
    """Run the kinds named, or all; gives the exit code."""
    chosen = arguments or list(KINDS)
    unknown = [name for name in chosen if name not in KINDS]
    if unknown:
        print(f"unknown kind of tests: {', '.join(unknown)}; there are: {', '.join(KINDS)}", file=sys.stderr)
        return 2
    without_browser = "browser" in chosen and find_chromium() is None
    if without_browser:
        chosen = [name for name in chosen if name != "browser"]
    # The files with the longest tests first, so that no processor waits for another in the end.
    others = [name for name in reversed(KINDS) if name in chosen and name != "browser"]
    code = _side_by_side(
        _pytest(others, "-n", WORKERS, "--dist", "loadfile", "--no-loadscope-reorder"),
        _pytest([name for name in chosen if name == "browser"]),
    )
    if without_browser:
        print("NOT RUN: the browser tests, because no Chromium was found (install Debian's chromium, or set CHROMIUM)")
        if os.environ.get("REQUIRE_BROWSER") == "1":
            return 1
    return code


def _pytest(kinds: list[str], *options: str) -> list[str]:
    """The command that runs the kinds; empty when there are none."""
    return [sys.executable, "-m", "pytest", *options, *(str(HERE / kind) for kind in kinds)] if kinds else []


def _side_by_side(others: list[str], browser: list[str]) -> int:
    """Run both commands; what the browser tests say is printed at the end. Gives the exit code.

    They wait most of their time for the demo and for Dagster: the others use the processors meanwhile.
    """
    if not (others and browser):
        alone = others or browser
        return subprocess.run(alone, cwd=HERE.parent, check=False).returncode if alone else 0
    with (
        TemporaryFile("w+") as said,
        subprocess.Popen(browser, cwd=HERE.parent, stdout=said, stderr=subprocess.STDOUT) as beside,
    ):
        code = subprocess.run(others, cwd=HERE.parent, check=False).returncode
        code = beside.wait() or code
        said.seek(0)
        print(said.read())
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
