"""What the tests of whole runs share."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from autoflex_pipeline_tests.receivers import ROUTE, Receiver, receiving
from autoflex_pipeline_tests.world import World


@pytest.fixture
def receiver(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as running:
        monkeypatch.setenv("HOOK_URL", f"{running.url}/geheim")
        world.config.write_text(world.config.read_text("utf-8") + ROUTE, "utf-8")
        world.restart()
        yield running


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as made:
        yield made
