from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from autoflex_pipeline.errors import ConfigurationError, StoreBusyError
from autoflex_pipeline.settings import Settings
from autoflex_pipeline.warehouse import Warehouse
from autoflex_pipeline.warehouse.publishing import publish
from autoflex_pipeline.warehouse.versions import published_versions
from autoflex_pipeline_tests.unit.warehouse.planted import NOW, settings_in, warehouse_of
from autoflex_pipeline_tests.unit.warehouse.sessions import session

Query = Callable[..., list[Any]]


def publish_at(settings: Settings, minutes: int = 0) -> Path:
    moment = NOW + timedelta(minutes=minutes)
    return publish(settings, warehouse_of(settings), run_id=f"run-{minutes}", now=moment).path


def names(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.warehouse.analytics_path.parent.iterdir())


def test_a_version_is_read_only_and_the_path_links_to_it(settings: Settings) -> None:
    path = publish_at(settings)
    link = settings.warehouse.analytics_path
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert link.is_symlink()
    assert os.readlink(link) == path.name, "relative, so that the folder can be moved or mounted elsewhere"
    assert path.name.startswith("analytics-20261123T0915")


def test_the_newest_three_versions_stay(settings: Settings) -> None:
    paths = [publish_at(settings, minutes) for minutes in range(5)]
    assert [version.path for version in published_versions(settings)] == paths[:1:-1]
    assert published_versions(settings)[0].published_at - (NOW + timedelta(minutes=4)) < timedelta(minutes=1)


def test_the_version_in_use_stays_when_the_clock_was_set_back(settings: Settings) -> None:
    for minutes in range(10, 13):
        publish_at(settings, minutes)
    path = publish_at(settings, minutes=-60)
    assert settings.warehouse.analytics_path.resolve() == path
    assert path.exists()


def test_before_the_first_publication_there_is_no_version(settings: Settings) -> None:
    assert published_versions(settings) == ()


def test_nothing_but_versions_link_and_lock_is_left(settings: Settings) -> None:
    path = publish_at(settings)
    beside = [name for name in names(settings) if not name.startswith("warehouse")]
    assert beside == [".analytics.duckdb.lock", path.name, "analytics.duckdb"]


def test_a_plain_file_at_the_path_is_replaced(settings: Settings, query: Query) -> None:
    link = settings.warehouse.analytics_path
    with duckdb.connect(str(link)) as connection:
        connection.execute("CREATE TABLE from_before (x INTEGER)")
    link.with_name(link.name + ".wal").write_bytes(b"left by a session that wrote to it")
    publish_at(settings)
    assert link.is_symlink()
    assert query("SELECT count(*) FROM published") == [(1,)]
    assert "analytics.duckdb.wal" not in names(settings)


def test_a_link_that_leads_nowhere_is_replaced(settings: Settings, query: Query) -> None:
    settings.warehouse.analytics_path.symlink_to("gone.duckdb")
    publish_at(settings)
    assert query("SELECT count(*) FROM published") == [(1,)]


def test_what_a_killed_publication_left_is_removed(settings: Settings, query: Query) -> None:
    for name in (".analytics.duckdb.building", ".analytics.duckdb.building.wal", ".analytics.duckdb.link"):
        (settings.warehouse.analytics_path.parent / name).write_bytes(b"half")
    path = publish_at(settings)
    assert query("SELECT count(*) FROM published") == [(1,)]
    beside = [name for name in names(settings) if not name.startswith("warehouse")]
    assert beside == [".analytics.duckdb.lock", path.name, "analytics.duckdb"]


def test_files_of_others_in_the_folder_stay(settings: Settings) -> None:
    folder = settings.warehouse.analytics_path.parent
    others = [
        "analytics-notes.duckdb",
        "analytics-20200101T000000Z.duckdb",
        "other-20200101T000000000000Z-00aa00aa.duckdb",
    ]
    for name in others:
        (folder / name).write_bytes(b"mine")
    for minutes in range(5):
        publish_at(settings, minutes)
    assert set(others) <= set(names(settings))


def test_a_folder_at_the_path_is_refused(settings: Settings) -> None:
    settings.warehouse.analytics_path.mkdir()
    with pytest.raises(ConfigurationError, match="is a folder"):
        publish_at(settings)


def test_the_warehouse_itself_is_never_replaced(settings: Settings, tmp_path: Path) -> None:
    publish_at(settings)
    same = settings_in(tmp_path, analytics_path=tmp_path / "x" / ".." / "warehouse.duckdb")
    (tmp_path / "x").mkdir()
    with pytest.raises(ConfigurationError, match="pipeline's own file"):
        publish_at(same)
    assert not settings.warehouse.path.is_symlink()


def test_a_path_with_quotes_and_spaces_works(settings: Settings, tmp_path: Path) -> None:
    odd = settings_in(tmp_path, analytics_path=tmp_path / "van 't Hof" / "analyse 1.db")
    path = publish_at(odd)
    with duckdb.connect(str(odd.warehouse.analytics_path), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM published").fetchone() == (1,)
    assert path.suffix == ".db"


class PausedWarehouse(Warehouse):
    """A warehouse whose user stops inside until it is let go."""

    inside = threading.Event()
    go_on = threading.Event()

    @contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with super().open() as connection:
            self.inside.set()
            assert self.go_on.wait(30)
            yield connection


def test_a_second_publication_waits_for_the_first_and_then_says_so(settings: Settings, query: Query) -> None:
    warehouse = PausedWarehouse(settings.warehouse.path)
    first = threading.Thread(target=lambda: publish(settings, warehouse, run_id="first", now=NOW))
    first.start()
    try:
        assert warehouse.inside.wait(30)
        with pytest.raises(StoreBusyError, match=r"being published by another process for more than 0\.1 s"):
            publish(settings, warehouse_of(settings), run_id="second", now=NOW, wait_seconds=0.1)
    finally:
        warehouse.go_on.set()
        first.join(30)
    assert query("SELECT run_id FROM published") == [("first",)]


def test_an_open_session_keeps_its_version_through_later_publications(settings: Settings) -> None:
    first = publish_at(settings)
    with session(settings.warehouse.analytics_path, read_only=True) as analyst:
        assert analyst.query("SELECT run_id FROM published") == [["run-0"]]
        for minutes in range(1, 5):
            publish_at(settings, minutes)
            assert analyst.query("SELECT run_id FROM published") == [["run-0"]]
        assert not first.exists()
        assert analyst.query("SELECT count(*) FROM appointment_history") == [[0]]
    with session(settings.warehouse.analytics_path, read_only=True) as analyst:
        assert analyst.query("SELECT run_id FROM published") == [["run-4"]]


@pytest.fixture
def writable(settings: Settings) -> Settings:
    """A published copy that lets this user open it for writing, as the superuser may always."""
    publish_at(settings).chmod(0o644)
    return settings


def test_a_writing_session_corrupts_nothing_and_hinders_no_publication(writable: Settings, query: Query) -> None:
    link = writable.warehouse.analytics_path
    with session(link, read_only=False) as analyst:
        analyst.query("SET wal_autocheckpoint = '1GB'")
        analyst.query("UPDATE published SET run_id = 'spoilt'")
        left = link.resolve()
        assert left.with_name(left.name + ".wal").exists(), "the log that must not reach the next version"
        publish_at(writable, 1)
        assert query("SELECT run_id FROM published") == [("run-1",)]
        analyst.query("UPDATE published SET run_id = 'spoilt again'")
        publish_at(writable, 2)
        analyst.die()
    assert query("SELECT run_id FROM published") == [("run-2",)]
    publish_at(writable, 3)
    assert query("SELECT run_id FROM published") == [("run-3",)]


def test_what_a_writing_session_left_goes_with_its_version(writable: Settings) -> None:
    with session(writable.warehouse.analytics_path, read_only=False) as analyst:
        analyst.query("SET wal_autocheckpoint = '1GB'")
        analyst.query("UPDATE published SET run_id = 'spoilt'")
        for minutes in range(1, 4):
            publish_at(writable, minutes)
        analyst.die()
    publish_at(writable, 4)
    assert [name for name in names(writable) if name.startswith("analytics") and name.endswith(".wal")] == []
