"""The run that tests drive without Dagster is the run that Dagster makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoflex_pipeline_tests.world import JANSEN, load, running_world


def test_a_run_without_dagster_leaves_the_same_as_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same summary, same appointment in Claire."""
    left = []
    for name in ("job", "domain"):
        (tmp_path / name).mkdir()
        with running_world(tmp_path / name, monkeypatch) as world:
            load(world)
            summary = world.sync()["dealers"][JANSEN] if name == "job" else world.tick()[JANSEN]
            held = world.held("50001")
            assert held is not None
            del held["updated_at"], held["id"]  # ids count what came first, of many sent at once
            left.append((summary, held))
    assert left[0] == left[1]
