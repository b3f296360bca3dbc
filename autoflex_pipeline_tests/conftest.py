"""What all kinds of tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from autoflex_pipeline_tests.world import World, running_world


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Two dealers with nothing in their DMS yet."""
    with running_world(tmp_path, monkeypatch) as running:
        yield running
