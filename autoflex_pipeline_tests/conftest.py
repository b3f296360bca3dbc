"""What all kinds of tests share."""

from __future__ import annotations

import functools
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from autoflex_pipeline.warehouse import Warehouse
    from autoflex_pipeline_tests.world import World

MAKING_IS_TRIED_IN = "unit/warehouse"


@pytest.fixture(scope="session")
def empty_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """The file of a new warehouse with its tables, made when it is first asked for."""

    @functools.cache
    def made() -> Path:
        from autoflex_pipeline.warehouse import Warehouse

        warehouse = Warehouse(tmp_path_factory.mktemp("empty") / "warehouse.duckdb")
        with warehouse.open():
            pass
        warehouse.close()
        return warehouse.path

    return made


@pytest.fixture(autouse=True)
def _new_warehouses_are_copies(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, empty_warehouse: Callable[[], Path]
) -> None:
    """Making the tables takes longer than most tests: a new warehouse is a copy of one that was made once."""
    module = sys.modules.get("autoflex_pipeline.warehouse.connection")
    if module is None or MAKING_IS_TRIED_IN in request.node.nodeid:
        return
    create, source = module.Warehouse._create, empty_warehouse()

    def copy(warehouse: Warehouse) -> None:
        if warehouse._log.exists():
            create(warehouse)  # which refuses
        else:
            shutil.copy(source, warehouse.path)

    monkeypatch.setattr(module.Warehouse, "_create", copy)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Two dealers with nothing in their DMS yet."""
    from autoflex_pipeline_tests.world import running_world  # imports everything; most tests of units need none of it

    with running_world(tmp_path, monkeypatch) as running:
        yield running
