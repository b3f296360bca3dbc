from __future__ import annotations

import pytest

from autoflex_pipeline_tests.unit.staging.lab import Lab


@pytest.fixture
def lab() -> Lab:
    return Lab()
