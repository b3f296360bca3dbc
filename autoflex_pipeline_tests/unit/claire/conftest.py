from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from autoflex_pipeline.state.store import metadata
from autoflex_pipeline_tests.unit.claire.answering import Claire
from autoflex_pipeline_tests.unit.claire.bench import Bench
from autoflex_pipeline_tests.unit.claire.no_time import no_real_time


@pytest.fixture
def claire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Claire]:
    claire = Claire(no_real_time(monkeypatch))
    yield claire
    claire.connection.close()


@pytest.fixture
def bench(engine: Engine) -> Iterator[Bench]:
    """An empty store, and a sender to it."""
    with engine.begin() as state:
        for table in metadata.tables.values():
            state.execute(table.delete())
    with ThreadPoolExecutor(4) as pool:
        yield Bench(pool, engine)
