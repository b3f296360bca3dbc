"""``make check`` fails on a known vulnerability, and says loudly when it could not look."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from autoflex_pipeline_tests import audit

CLEAN = {"name": "httpx", "version": "0.28.1", "vulns": []}
SICK = {"name": "left", "version": "1.0", "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["1.1"]}]}
SKIPPED = {"name": "own", "skip_reason": "not on the index"}


@pytest.fixture(autouse=True)
def _as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUIRE_AUDIT", raising=False)


def auditor(*, output: str = "", error: str = "", code: int = 0) -> list[str]:
    """A command that answers as pip-audit does."""
    script = f"import sys; print({output!r}); print({error!r}, file=sys.stderr); sys.exit({code})"
    return [sys.executable, "-c", script]


def result(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_a_known_vulnerability_fails_and_says_where_it_is_mended(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(auditor(output=result(CLEAN, SICK), code=1)) == 1
    assert "VULNERABLE: left 1.0: PYSEC-2026-1; mended in 1.1" in capsys.readouterr().out


def test_none_known_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(auditor(output=result(CLEAN))) == 0
    assert capsys.readouterr().out == "1 locked packages audited: 0 known vulnerabilities\n"


@pytest.mark.parametrize(
    "command",
    [
        auditor(error="ERROR: Failed to resolve the index", code=1),
        auditor(output="<html>proxy</html>", error="ERROR: Failed to resolve the index", code=1),
        ["/no/such/command"],
        auditor(output=result(SKIPPED, SKIPPED)),
        auditor(output=result()),
    ],
    ids=["unreachable", "html", "not installed", "an index that knows nothing", "empty"],
)
def test_a_service_out_of_reach_is_said_loudly_and_fails_only_where_it_is_required(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    assert audit.main(command) == 0
    assert capsys.readouterr().out.startswith("NOT AUDITED: ")
    monkeypatch.setenv("REQUIRE_AUDIT", "1")
    assert audit.main(command) == 1


def test_packages_that_were_skipped_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(auditor(output=result(CLEAN, SKIPPED))) == 0
    assert "NOT AUDITED: own: not on the index" in capsys.readouterr().out


def test_what_is_audited_is_the_lock() -> None:
    assert audit.LOCK.is_file()
    assert str(audit.LOCK) in audit.COMMAND
    assert "autoflex_pipeline_tests.audit" in (Path(audit.LOCK).parent / "Makefile").read_text(encoding="utf-8")
