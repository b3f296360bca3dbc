"""Putting a backup back in the place of damaged (or wrong) stores.

What Claire has taken since the backup is not in it. So the restored state store gets a new name, of which all later
idempotency keys are made (none can be one that was used before with another body), and it is noted that, for each
dealer, Claire's own list is to be read before anything is sent. The files that are replaced are kept aside.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import update

from autoflex_pipeline.disk import disk_errors_told
from autoflex_pipeline.errors import DamagedError, PipelineError
from autoflex_pipeline.runs.backup import (
    PRIVATE_FOLDER,
    STAMP,
    STATE,
    WAREHOUSE,
    Backup,
    check_restorable,
    check_room_for,
    copy_file,
)
from autoflex_pipeline.runs.guards import restore_marker
from autoflex_pipeline.settings import Settings
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.state.dealers import dealer_state
from autoflex_pipeline.state.ledger import newest_attempt
from autoflex_pipeline.state.locks import no_run
from autoflex_pipeline.state.marks import PUBLISH_WANTED, RESTORED, set_mark
from autoflex_pipeline.state.moments import newest_moment
from autoflex_pipeline.state.outbox import renew_origin
from autoflex_pipeline.warehouse import Warehouse
from autoflex_pipeline.warehouse.versions import sync

NEW = ".restored"
LOGS = (".wal", "-wal", "-shm")
"""What DuckDB and SQLite keep beside their files: a log left there would be read into the file that takes the place."""


@dataclass(frozen=True, slots=True)
class StoreNow:
    """A store as it is: its file, its size in bytes (None: there is none), what is wrong with it."""

    path: Path
    bytes: int | None
    trouble: str | None


@dataclass(frozen=True, slots=True)
class Situation:
    """What a restore would replace; of a state store that can be read its newest moment and its attempts to deliver."""

    warehouse: StoreNow
    state: StoreNow
    newest: datetime | None = None
    attempts: int | None = None


def situation(settings: Settings) -> Situation:
    """How the stores are now; damage is told, not raised. Makes no file that is not there."""
    paths = settings.warehouse
    newest, attempts, trouble = None, None, None
    if paths.state_path.exists():
        try:
            store = StateStore(paths.state_path)
            try:
                with store.begin() as connection:
                    newest, attempts = newest_moment(connection), newest_attempt(connection)
            finally:
                store.close()
        except PipelineError as error:
            trouble = _told(error)
    return Situation(
        StoreNow(paths.path, _size(paths.path), _trouble_of_warehouse(paths.path)),
        StoreNow(paths.state_path, _size(paths.state_path), trouble),
        newest,
        attempts,
    )


def restore(settings: Settings, backup: Backup, *, now: datetime) -> Path:
    """Put ``backup`` in the place of the stores; gives the folder that keeps the files it replaced.

    RunRefusedError while a run is going or without room; BackupDamagedError when the backup is not whole,
    BackupVersionError when a newer version of this program made it. Until the last check has passed nothing is touched;
    broken off after that, runs are refused until a restore has ended. DiskError when the disk is full or fails.
    """
    folder = settings.warehouse.path.parent
    with disk_errors_told(f"the stores in {folder}"):
        folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        return _restored(settings, backup, now)


def _restored(settings: Settings, backup: Backup, now: datetime) -> Path:
    paths = settings.warehouse
    with no_run(paths.state_path), Warehouse(paths.path).alone():
        check_restorable(backup)
        check_room_for(paths.path.parent, [backup.path / name for name in backup.files], settings)
        new = {WAREHOUSE: _beside(paths.path), STATE: _beside(paths.state_path)}
        try:
            for name, path in new.items():
                copy_file(backup.path / name, path)
            _begin_anew(new[STATE])
            return _replace(settings, new[WAREHOUSE], new[STATE], now)
        finally:
            for path in new.values():
                _remove(path)


def _begin_anew(state_path: Path) -> None:
    """Have the restored store take nothing for granted that may have changed since it was copied."""
    store = StateStore(state_path)
    try:
        with store.begin() as connection:
            set_mark(connection, RESTORED, renew_origin(connection))
            set_mark(connection, PUBLISH_WANTED, True)
            # Without a look to compare with, the next tick reads every dealer; how many orders are open is not known.
            connection.execute(update(dealer_state).values(look_digest=None, read_digest=None, read_count=None))
    finally:
        store.close()
    sync(state_path)


def _replace(settings: Settings, new_warehouse: Path, new_state: Path, now: datetime) -> Path:
    paths = settings.warehouse
    folder = paths.path.parent
    aside = _new_folder(folder, now)
    marker = restore_marker(paths.path)
    marker.touch(mode=0o600)
    sync(folder)
    for path in (paths.path, paths.state_path):
        for there in (path, *(path.with_name(path.name + log) for log in LOGS)):
            if there.exists():
                there.replace(aside / there.name)
    new_warehouse.replace(paths.path)
    new_state.replace(paths.state_path)
    sync(aside)
    sync(folder)
    marker.unlink()
    sync(folder)
    return aside


def _new_folder(folder: Path, now: datetime) -> Path:
    stamp = now.astimezone(UTC).strftime(STAMP)
    names = [f"replaced-{stamp}", *(f"replaced-{stamp}-{number}" for number in range(2, 100))]
    aside = next(path for name in names if not (path := folder / name).exists())
    aside.mkdir(mode=PRIVATE_FOLDER)
    return aside


def _beside(path: Path) -> Path:
    """The name under which a file is made ready; what a killed restore left there goes."""
    new = path.with_name(path.name + NEW)
    _remove(new)
    return new


def _remove(path: Path) -> None:
    for leaving in ("", *LOGS):
        path.with_name(path.name + leaving).unlink(missing_ok=True)


def _trouble_of_warehouse(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        with Warehouse(path, wait_seconds=5).open() as connection:
            connection.execute("SELECT max(finished_at) FROM extract").fetchone()
    except PipelineError as error:
        return _told(error)
    return None


def _told(error: PipelineError) -> str:
    """Damage in a word: the file is named beside it, and what to do is under way."""
    return "damaged" if isinstance(error, DamagedError) else str(error)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
