"""A backup is whole or is none; what is put back takes the place of everything that was there."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from autoflex_pipeline.errors import DamagedError, DiskError, PipelineError, RunRefusedError
from autoflex_pipeline.runs import guards
from autoflex_pipeline.runs.backup import (
    MANIFEST,
    STATE,
    WAREHOUSE,
    Backup,
    BackupDamagedError,
    BackupVersionError,
    CopiedFile,
    back_up,
    backups,
    is_ahead,
    rotate,
    sha256_of,
    verify,
)
from autoflex_pipeline.runs.restore import restore, situation
from autoflex_pipeline.settings import Settings, load_settings
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.state.locks import RunMark
from autoflex_pipeline.state.marks import mark, set_mark
from autoflex_pipeline.warehouse import Warehouse

NOW = datetime(2026, 11, 27, 2, 30, tzinfo=UTC)
CONFIGURATION = """
[warehouse]
path = "data/warehouse.duckdb"
min_free_mb = {least}
backups_kept = 2
[claire]
base_url = "http://127.0.0.1:1/api"
[[dealers]]
id = "garage-jansen"
name = "Garage Jansen"
claire_location_id = "101"
"""


class Stores:
    """A warehouse and a state store that both say the same word."""

    def __init__(self, folder: Path, least: int = 0) -> None:
        (folder / "autoflex.toml").write_text(CONFIGURATION.format(least=least))
        self.settings: Settings = load_settings(folder / "autoflex.toml")
        self.paths = self.settings.warehouse

    def say(self, word: str) -> None:
        with Warehouse(self.paths.path).open() as connection:
            connection.execute("DELETE FROM restage")
            connection.execute("INSERT INTO restage VALUES ('d', 'order', ?)", [word])
        store = StateStore(self.paths.state_path)
        with store.begin() as state:
            set_mark(state, "word", word)
        store.close()

    def said(self) -> tuple[str, str]:
        with Warehouse(self.paths.path).open() as connection:
            [(in_warehouse,)] = connection.execute("SELECT record_key FROM restage").fetchall()
        store = StateStore(self.paths.state_path)
        with store.begin() as state:
            in_state = mark(state, "word")
        store.close()
        return in_warehouse, in_state

    def back_up(self, *, hours: int = 0) -> Backup:
        store = StateStore(self.paths.state_path)
        try:
            return back_up(self.settings, Warehouse(self.paths.path), store, now=NOW + timedelta(hours=hours))
        finally:
            store.close()

    def restore(self, backup: Backup) -> Path:
        return restore(self.settings, backup, now=NOW)

    def names(self) -> list[str]:
        return sorted(
            path.name for path in self.paths.path.parent.iterdir() if not path.name.endswith((".lock", ".locks"))
        )


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    made = Stores(tmp_path)
    made.say("first")
    return made


def test_a_backup_holds_both_stores_as_they_were(stores: Stores) -> None:
    made = stores.back_up()
    stores.say("second")
    assert [each.name for each in backups(stores.settings)] == ["20261127T023000Z"]
    assert made.files[WAREHOUSE].rows["restage"] == made.files[STATE].rows["mark"] == 1
    aside = stores.restore(made)
    assert stores.said() == ("first", "first")
    assert {path.name for path in aside.iterdir()} >= {"warehouse.duckdb", "warehouse.state.sqlite"}


def test_a_backup_is_for_its_owner_only_and_leaves_nothing_half_made(stores: Stores) -> None:
    made = stores.back_up()
    assert {stat.S_IMODE(path.stat().st_mode) for path in made.path.iterdir()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (made.path, made.path.parent)} == {0o700}
    assert {path.name for path in made.path.iterdir()} == {WAREHOUSE, STATE, "backup.json"}
    assert {path.name for path in made.path.parent.iterdir()} == {made.name, ".lock"}


def test_the_newest_are_kept(stores: Stores) -> None:
    made = [stores.back_up(hours=hour) for hour in range(4)]
    assert rotate(stores.settings, made[-1]) == ["20261127T033000Z", "20261127T023000Z"]
    assert [each.name for each in backups(stores.settings)] == ["20261127T053000Z", "20261127T043000Z"]


def test_the_backup_just_made_stays_and_those_of_a_clock_that_was_ahead_go_first(stores: Stores) -> None:
    """It was removed itself, as older than those: "Made and verified", and then "Removed" of the same name."""
    old = stores.back_up()
    ahead = [stores.back_up(hours=24 * 365 + hour) for hour in range(2)]
    made = stores.back_up(hours=1)
    assert sorted(rotate(stores.settings, made)) == sorted(each.name for each in ahead)
    assert [each.name for each in backups(stores.settings)] == [made.name, old.name]


def test_the_backup_just_made_by_a_clock_that_is_behind_stays_with_the_newest_of_the_others(stores: Stores) -> None:
    good = [stores.back_up(hours=hour) for hour in range(2)]
    made = stores.back_up(hours=-24 * 365)
    assert rotate(stores.settings, made) == [good[0].name]
    assert {each.name for each in backups(stores.settings)} == {made.name, good[1].name}


def test_a_backup_dated_in_the_future_is_not_taken_for_the_newest(stores: Stores) -> None:
    ahead = stores.back_up(hours=24 * 365)
    made = stores.back_up()
    assert [each.name for each in backups(stores.settings, now=NOW)] == [made.name, ahead.name]
    assert [is_ahead(each, NOW) for each in (made, ahead)] == [False, True]


def test_of_a_link_to_an_old_backup_elsewhere_only_the_link_is_removed(stores: Stores, tmp_path: Path) -> None:
    """Removing it was refused by the system: after a good backup the night failed, and every night after it."""
    old = stores.back_up()
    elsewhere = old.path.rename(tmp_path / "another disk")
    old.path.symlink_to(elsewhere)
    made = [stores.back_up(hours=hour) for hour in (1, 2)]
    assert rotate(stores.settings, made[-1]) == [old.name]
    assert not old.path.is_symlink()
    verify(replace(old, path=elsewhere))


def test_a_link_to_a_backup_beside_it_takes_no_place_and_goes_with_it(stores: Stores) -> None:
    old = stores.back_up()
    link = old.path.with_name("link")
    link.symlink_to(old.path)
    made = stores.back_up(hours=1)
    assert rotate(stores.settings, made) == []
    assert sorted(rotate(stores.settings, stores.back_up(hours=2))) == [old.name, "link"]
    assert not link.is_symlink()
    assert len(backups(stores.settings)) == 2


def test_a_link_under_the_name_of_a_half_made_backup_is_removed_and_not_what_it_points_to(
    stores: Stores, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    stores.paths.backup_folder.mkdir()
    left = stores.paths.backup_folder / ".making-0badcafe"
    left.symlink_to(elsewhere)
    stores.back_up()
    assert not left.is_symlink()
    assert elsewhere.is_dir()


def test_an_old_backup_that_cannot_be_removed_is_told_in_one_line_and_the_others_are_removed(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [stores.back_up(hours=hour) for hour in range(4)]
    remove = shutil.rmtree

    def refused(path: Path) -> None:
        if path == made[1].path:
            raise PermissionError(13, "Permission denied", str(path))
        remove(path)

    monkeypatch.setattr("shutil.rmtree", refused)
    with pytest.raises(PipelineError, match=rf"{made[1].name} cannot be removed \(Permission denied\); .* by hand"):
        rotate(stores.settings, made[-1])
    assert [each.path.exists() for each in made] == [False, True, True, True]


def of_a_newer_version(made: Backup, where: str) -> Backup:
    """The backup as a newer version of this program would have made it: told by its manifest, or by a store in it."""
    path = made.path / where
    if where == MANIFEST:
        (made.path / WAREHOUSE).write_bytes(b"a format that this DuckDB cannot read")
        return replace(made, versions=made.versions | {"warehouse_schema": "99"})
    if where == WAREHOUSE:
        with duckdb.connect(str(path)) as warehouse:
            warehouse.execute("INSERT INTO schema_version VALUES (99, now())")
    else:
        with closing(sqlite3.connect(path)) as state, state:
            state.execute("INSERT INTO schema_version VALUES (99, 'later')")
    file = made.files[where]
    rows = file.rows | {"schema_version": file.rows["schema_version"] + 1}
    return replace(made, files=made.files | {where: CopiedFile(path.stat().st_size, sha256_of(path), rows)})


@pytest.mark.parametrize("where", [MANIFEST, WAREHOUSE, STATE])
def test_a_backup_of_a_newer_version_is_refused_before_anything_is_replaced(stores: Stores, where: str) -> None:
    """It was put back in the place of good stores, and then every run was refused."""
    made = of_a_newer_version(stores.back_up(), where)
    stores.say("second")
    before = stores.names()
    with pytest.raises(BackupVersionError, match=r"99, this program knows 1: it was written by a newer version"):
        stores.restore(made)
    assert stores.said() == ("second", "second")
    assert stores.names() == before


def test_two_backups_of_one_second_are_two(stores: Stores) -> None:
    assert [stores.back_up().name, stores.back_up().name] == ["20261127T023000Z", "20261127T023000Z-2"]


@pytest.mark.parametrize("name", [WAREHOUSE, STATE])
@pytest.mark.parametrize("harm", ["cut", "flip", "gone"])
def test_a_backup_that_is_no_longer_whole_is_not_put_back(stores: Stores, name: str, harm: str) -> None:
    made = stores.back_up()
    stores.say("second")
    path = made.path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-100] if harm == "cut" else content)
    before = stores.names()
    with pytest.raises(BackupDamagedError, match=f"{name} is not as it was copied"):
        stores.restore(made)
    assert stores.said() == ("second", "second")
    assert stores.names() == before


def test_a_store_that_is_damaged_where_no_run_reads_gives_no_backup(stores: Stores) -> None:
    """Copied unseen, the damage would have taken the place of the last good copies, night by night."""
    with Warehouse(stores.paths.path).open() as connection:
        connection.execute(
            "INSERT INTO raw_record (seq, record) SELECT range, repeat('x', 50) || range FROM range(200000)"
        )
    good = stores.back_up()
    content = bytearray(stores.paths.path.read_bytes())
    content[-400_000:-200_000] = bytes(200_000)
    stores.paths.path.write_bytes(content)
    with pytest.raises(DamagedError, match="autoflex-pipeline restore"):
        stores.back_up(hours=1)
    assert [each.name for each in backups(stores.settings)] == [good.name]
    verify(good)


def test_without_room_there_is_no_backup_and_no_trace_of_one(tmp_path: Path) -> None:
    full = Stores(tmp_path, least=9_999_999)
    full.say("first")
    with pytest.raises(RunRefusedError, match="nearly full"):
        full.back_up()
    assert not full.paths.backup_folder.exists()


def test_a_disk_that_is_full_half_way_is_told_in_one_line_and_leaves_no_backup(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was raised as the system's own error: the crash matrix found that when backups came into it."""
    stores.say("first")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(DiskError, match=r"a backup in .* cannot be written: the disk is full"):
            stores.back_up()
    assert backups(stores.settings) == []


def test_what_a_killed_backup_left_is_cleared_and_is_never_taken_for_one(stores: Stores) -> None:
    left = stores.paths.backup_folder / ".making-0badcafe"
    left.mkdir(parents=True)
    (left / WAREHOUSE).write_bytes(b"half")
    assert backups(stores.settings) == []
    stores.back_up()
    assert not left.exists()


def test_stores_whose_folder_is_gone_are_restored_into_one_for_their_owner_only(tmp_path: Path) -> None:
    stores = Stores(tmp_path)
    stores.say("first")
    made = stores.back_up()
    folder = stores.paths.path.parent
    moved = made.path.parent.rename(tmp_path / "kept") if made.path.is_relative_to(folder) else made.path.parent
    shutil.rmtree(folder, ignore_errors=True)
    stores.restore(replace(made, path=moved / made.name))
    assert stores.said() == ("first", "first")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_nothing_is_restored_while_a_run_is_going(stores: Stores) -> None:
    made = stores.back_up()
    stores.say("second")
    run, another = RunMark(stores.paths.state_path), RunMark(stores.paths.state_path)
    run.close()
    with pytest.raises(RunRefusedError, match="a run is going"):
        stores.restore(made)
    another.close()
    stores.restore(made)
    assert stores.said() == ("first", "first")


def test_logs_of_the_replaced_files_are_not_read_into_the_restored_ones(stores: Stores) -> None:
    made = stores.back_up()
    stores.say("second")
    assert stores.paths.path.with_name("warehouse.duckdb.wal").exists()
    aside = stores.restore(made)
    assert (aside / "warehouse.duckdb.wal").exists()
    assert stores.said() == ("first", "first")
    assert stores.names()[:2] == ["backups", aside.name]


@pytest.mark.parametrize("at", range(1, 6))
def test_a_restore_that_is_broken_off_lets_no_run_begin_until_it_is_done_again(
    stores: Stores, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stores.back_up()
    stores.say("second")
    replace, calls = Path.replace, [0]

    def broken(path: Path, target: Path) -> Path:
        calls[0] += 1
        if calls[0] == at:
            raise OSError(5, "Input/output error")
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", broken)
        with pytest.raises(DiskError, match=r"the stores in .* cannot be read or written: the disk fails"):
            stores.restore(made)
    with pytest.raises(RunRefusedError, match="a restore was broken off half way"):
        guards.check_no_restore(stores.settings)
    stores.restore(made)
    guards.check_no_restore(stores.settings)
    assert stores.said() == ("first", "first")


def test_what_would_be_replaced_is_told_also_of_damaged_and_missing_files(stores: Stores) -> None:
    assert situation(stores.settings).warehouse.trouble is None
    stores.paths.path.write_bytes(b"no database" * 1000)
    stores.paths.state_path.unlink()
    now = situation(stores.settings)
    assert now.warehouse.trouble == "damaged"
    assert now.state.bytes is None
    assert not stores.paths.state_path.exists()
