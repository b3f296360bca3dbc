from __future__ import annotations

from pathlib import Path

import pytest

from autoflex_pipeline_tests.unit.staging.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)
