"""Whatever a run, a backup, the lineage file, the sending of alerts or a command leaves is its owner's only."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from autoflex_pipeline.alerts.sending import send_due
from autoflex_pipeline.runs.backup import back_up
from autoflex_pipeline_tests.world import World, load

FROM_OUTSIDE = ("autoflex", "claire", "autoflex.toml")
"""Not the pipeline's: the vendors' own data, and the configuration that a person wrote."""


@pytest.fixture(autouse=True)
def umask_that_lets_others_read() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_every_file_is_private_but_the_pseudonymised_copy(world: World) -> None:
    with world.config.open("a", encoding="utf-8") as file:
        file.write('[lineage]\nopenlineage_file = "data/lineage.jsonl"\n')
    world.restart()
    load(world)
    world.tick(publish=True)
    installation = world.installation
    back_up(installation.settings, installation.warehouse, installation.state, now=world.now)
    send_due(installation.settings, installation.state, lambda: datetime.now(world.now.tzinfo))
    names = {path.name for path in _written(world.folder)}
    assert names >= {"warehouse.duckdb", "warehouse.state.sqlite", "lineage.jsonl", "backup.json"}
    assert stat.S_IMODE(_published(world).stat().st_mode) == 0o444
    assert not _open_to_others(world)


def test_every_file_of_a_command_is_private_but_the_pseudonymised_copy(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what Dagster keeps of the run, here and in its passing folders."""
    shutil.rmtree(world.folder / "data")
    for name, variable in (("dagster", "DAGSTER_HOME"), ("passing", "TMPDIR")):
        (world.folder / name).mkdir()
        monkeypatch.setenv(variable, str(world.folder / name))
    load(world)
    command = [sys.executable, "-m", "autoflex_pipeline", "sync", "--json", "--config", str(world.config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    names = {path.name for path in _written(world.folder)}
    assert names >= {"warehouse.duckdb", "warehouse.state.sqlite", "runs.db"}
    assert stat.S_IMODE(_published(world).stat().st_mode) == 0o444
    assert not _open_to_others(world)


def _published(world: World) -> Path:
    return world.folder.joinpath("data", "analytics.duckdb").resolve()


def _open_to_others(world: World) -> dict[str, str]:
    """The files that more than their owner can reach, with their modes; without the analysts' copy."""
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in _written(world.folder) if path.is_file()}
    return {
        str(path.relative_to(world.folder)): oct(mode)
        for path, mode in modes.items()
        if path != _published(world) and mode & 0o077
    }


def _written(folder: Path) -> list[Path]:
    paths = (path for path in folder.rglob("*") if path.relative_to(folder).parts[0] not in FROM_OUTSIDE)
    return [path for path in paths if not path.is_symlink()]
