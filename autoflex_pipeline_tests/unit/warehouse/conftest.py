from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from autoflex_pipeline.settings import Settings
from autoflex_pipeline_tests.unit.warehouse.planted import KEY, KEY_VARIABLE, plant, settings_in, warehouse_of


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    return settings_in(tmp_path)


@pytest.fixture
def planted(settings: Settings) -> Settings:
    plant(warehouse_of(settings))
    return settings


@pytest.fixture
def query(settings: Settings) -> Callable[..., list[Any]]:
    """Rows of the published copy, read as an analyst reads it."""

    def run(sql: str, *values: Any) -> list[Any]:
        with duckdb.connect(str(settings.warehouse.analytics_path), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(sql, list(values)).fetchall()

    return run
