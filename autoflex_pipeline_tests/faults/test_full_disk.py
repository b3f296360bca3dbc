"""A disk that is really full: one clear line, nothing lost, and all goes on once there is room again."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from autoflex_pipeline.disk import disk_error
from autoflex_pipeline.errors import DiskError
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.state.marks import mark, set_mark
from autoflex_pipeline.warehouse import Warehouse
from autoflex_pipeline.warehouse.publishing import publish
from autoflex_pipeline_tests.faults import full_disk
from autoflex_pipeline_tests.world import World, load

MUCH = "INSERT INTO kept SELECT range, repeat('regel', 20) FROM range(200_000)"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    with full_disk.small_disk(folder) as is_mounted:
        if not is_mounted:
            pytest.skip("NOT RUN: this user may not mount a small disk")
        yield folder


def test_a_warehouse_on_a_full_disk_says_so_and_keeps_what_was_committed(disk: Path) -> None:
    warehouse = Warehouse(disk / "warehouse.duckdb")
    with warehouse.open() as connection:
        connection.execute("CREATE TABLE kept (number BIGINT, text VARCHAR)")
        connection.execute("INSERT INTO kept VALUES (1, 'een')")
    full_disk.fill(disk)
    with (
        pytest.raises(DiskError, match=r"^warehouse .*warehouse.duckdb cannot be written: the disk is full; make room"),
        warehouse.open() as connection,
    ):
        connection.execute(MUCH)
    full_disk.make_room(disk)
    with warehouse.open() as connection:
        assert connection.execute("SELECT * FROM kept").fetchall() == [(1, "een")]
        connection.execute("INSERT INTO kept VALUES (2, 'twee')")


def test_a_state_store_on_a_full_disk_says_so_and_keeps_what_was_committed(disk: Path) -> None:
    state = StateStore(disk / "state.sqlite")
    with state.begin() as connection:
        set_mark(connection, "kept", "een")
    full_disk.fill(disk)
    told = pytest.raises(DiskError, match=r"^the state store .*state.sqlite cannot be written: the disk is full; make")
    with told, state.begin() as connection:
        set_mark(connection, "kept", "x" * 10_000_000)
    full_disk.make_room(disk)
    with state.begin() as connection:
        assert mark(connection, "kept") == "een"
        set_mark(connection, "kept", "twee")
    state.close()


def test_stores_that_cannot_be_made_for_lack_of_room_are_made_once_there_is_some(disk: Path) -> None:
    full_disk.fill(disk)
    with pytest.raises(DiskError, match="the disk is full"):
        StateStore(disk / "state.sqlite")
    with pytest.raises(DiskError, match="the disk is full"), Warehouse(disk / "warehouse.duckdb").open():
        pass
    full_disk.make_room(disk)
    StateStore(disk / "state.sqlite").close()
    with Warehouse(disk / "warehouse.duckdb").open() as connection:
        assert connection.execute("SELECT count(*) FROM appointment").fetchone() == (0,)


def test_the_last_analysts_copy_stays_when_there_is_no_room_for_another(world: World) -> None:
    data = world.folder / "data"
    with full_disk.small_disk(data) as is_mounted:
        if not is_mounted:
            pytest.skip("NOT RUN: this user may not mount a small disk")
        world.configure(warehouse={"min_free_mb": 0})
        world.restart()
        load(world)
        world.tick(publish=True)
        before = (data / "analytics.duckdb").resolve()
        full_disk.fill(data)
        settings, warehouse = world.installation.settings, world.installation.warehouse
        with pytest.raises(
            DiskError, match=r"^the analysts' copy .*analytics.duckdb cannot be written: the disk is full"
        ):
            publish(settings, warehouse, run_id="a run", now=world.now)
        assert (data / "analytics.duckdb").resolve() == before
        with duckdb.connect(str(data / "analytics.duckdb"), read_only=True) as copy:
            assert copy.execute("SELECT count(*) FROM appointment").fetchone() == (3,)
        full_disk.make_room(data)
        assert publish(settings, warehouse, run_id="a run", now=world.now).rows["appointment"] == 3
        world.installation.close()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "x"), "the disk is full"),
        (OSError(errno.EDQUOT, "x"), "the disk is full"),
        (OSError(errno.EIO, "x"), "the disk fails"),
        (sqlite3.OperationalError("database or disk is full"), "the disk is full"),
        (sqlite3.OperationalError("disk I/O error"), "the disk fails"),
        (sqlite3.OperationalError("unable to open database file"), "opened; look at its mode"),
        (duckdb.TransactionException("Failed to commit: Could not write: No space left on device"), "the disk is full"),
    ],
)
def test_what_a_full_or_failing_disk_raises_is_told_with_a_next_step(error: Exception, told: str) -> None:
    found = disk_error("warehouse x", error)
    assert str(found).startswith("warehouse x cannot be ")
    assert told in str(found)
    assert "then run again" in str(found)


def test_any_other_error_is_not_the_disks() -> None:
    assert disk_error("warehouse x", OSError(errno.EACCES, "x")) is None
    assert disk_error("warehouse x", duckdb.CatalogException("no such table")) is None
