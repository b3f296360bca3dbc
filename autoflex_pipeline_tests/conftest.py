"""What all kinds of tests share."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from autoflex_pipeline_tests.world import World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Two dealers with nothing in their DMS yet."""
    from autoflex_pipeline_tests.world import running_world  # imports everything; most tests of units need none of it

    with running_world(tmp_path, monkeypatch) as running:
        yield running


def pytest_collection_finish() -> None:
    """What is imported by now stays: the garbage collector need not look through it again and again."""
    gc.collect()
    gc.freeze()
