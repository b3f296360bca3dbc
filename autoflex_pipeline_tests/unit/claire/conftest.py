from __future__ import annotations

from collections.abc import Iterator

import pytest

from autoflex_pipeline_tests.unit.claire.answering import Claire
from autoflex_pipeline_tests.unit.claire.no_time import no_real_time


@pytest.fixture
def claire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Claire]:
    claire = Claire(no_real_time(monkeypatch))
    yield claire
    claire.connection.close()
