"""Are there known vulnerabilities in the locked dependencies? ``python -m autoflex_pipeline_tests.audit``.

A finding fails. Where the service that knows them cannot be reached the last line says NOT AUDITED, and why; with
REQUIRE_AUDIT=1 that is a failure.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parent.parent / "requirements.lock"
COMMAND = (
    sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--disable-pip", "--timeout", "10",
    "--format", "json", "--progress-spinner", "off",
)  # fmt: skip
MAX_SECONDS = 300


def main(command: Sequence[str] = COMMAND) -> int:
    """Audit and say what was found; gives the exit code."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MAX_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return _not_audited(type(error).__name__)
    packages = _packages(done.stdout)
    if packages is None:
        return _not_audited(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}")
    found = [(package, vulnerability) for package in packages for vulnerability in package.get("vulns", ())]
    for package, vulnerability in found:
        fixed = ", ".join(vulnerability["fix_versions"]) or "no version yet"
        print(f"VULNERABLE: {package['name']} {package['version']}: {vulnerability['id']}; mended in {fixed}")
    skipped = [package for package in packages if "skip_reason" in package]
    if len(skipped) == len(packages):  # an index that mirrors packages and knows nothing of vulnerabilities
        return _not_audited(skipped[0]["skip_reason"] if skipped else "no packages")
    for package in skipped:
        print(f"NOT AUDITED: {package['name']}: {package['skip_reason']}")
    print(f"{len(packages) - len(skipped)} locked packages audited: {len(found)} known vulnerabilities")
    return 1 if found or done.returncode != 0 else 0


def _packages(output: str) -> list[dict[str, Any]] | None:
    """What was audited; None when the auditor gave no result."""
    try:
        packages = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return None
    return packages if isinstance(packages, list) else None


def _not_audited(why: str) -> int:
    print(f"NOT AUDITED: the dependencies were not compared with known vulnerabilities ({why[:300]})")
    return 1 if os.environ.get("REQUIRE_AUDIT") == "1" else 0


if __name__ == "__main__":
    sys.exit(main())
