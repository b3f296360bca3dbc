"""No asset, dependency, group, owner, kind, tag or check changes unseen."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from autoflex_pipeline_tests.asset_snapshot import RENEW, SNAPSHOT, definitions_of_one_dealer, snapshot_of


def test_the_assets_are_those_of_the_snapshot(tmp_path: Path) -> None:
    kept = SNAPSHOT.read_text(encoding="utf-8")
    now = snapshot_of(definitions_of_one_dealer(tmp_path))
    if now == kept:
        return
    difference = "\n".join(difflib.unified_diff(kept.splitlines(), now.splitlines(), "snapshot", "now", lineterm=""))
    pytest.fail(
        f"the assets differ from {SNAPSHOT.name}:\n{difference}\n"
        f"If that is meant, renew the file and commit it with your change: {RENEW}",
        pytrace=False,
    )
