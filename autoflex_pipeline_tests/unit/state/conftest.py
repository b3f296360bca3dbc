from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, create_engine

from autoflex_pipeline.state import ledger, outages, outbox  # noqa: F401  (they declare their tables)
from autoflex_pipeline.state.store import metadata


@pytest.fixture
def state() -> Iterator[Connection]:
    """The tables of a state store, in memory: for rules that have nothing to do with files, locks and crashes."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        metadata.create_all(connection)
        yield connection
    engine.dispose()
