"""Whatever a run, a backup, the lineage file or the sending of alerts leaves on the disk is its owner's only."""

from __future__ import annotations

import os
import stat
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
    written = [path for path in _written(world.folder) if not path.is_symlink()]
    names = {path.name for path in written}
    assert names >= {"warehouse.duckdb", "warehouse.state.sqlite", "lineage.jsonl", "backup.json"}
    published = world.folder.joinpath("data", "analytics.duckdb").resolve()
    assert stat.S_IMODE(published.stat().st_mode) == 0o444
    open_to_others = {
        str(path.relative_to(world.folder)): oct(stat.S_IMODE(path.stat().st_mode))
        for path in written
        if path.is_file() and path != published and stat.S_IMODE(path.stat().st_mode) & 0o077
    }
    assert not open_to_others


def _written(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.relative_to(folder).parts[0] not in FROM_OUTSIDE]
