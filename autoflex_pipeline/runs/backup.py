"""Backups: warehouse and state store as they were at one moment, verified before they count as one.

Both are copied while nobody writes to either. A run may be half way between two of its steps then: that is what a
crash leaves, too, and the next run goes on from it. A backup is a folder; until it is verified it has a name that
nobody takes for one. What is in it is as personal as the stores are: folders 0700, files 0600.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import duckdb
from filelock import FileLock, Timeout

from autoflex_pipeline.disk import disk_error, disk_errors_told
from autoflex_pipeline.errors import DamagedError, PipelineError, RunRefusedError, StoreBusyError
from autoflex_pipeline.runs.clock import TOLERANCE
from autoflex_pipeline.runs.guards import MEGABYTE, Space, existing
from autoflex_pipeline.settings import Settings
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.state.store import SCHEMA_VERSION as STATE_VERSION
from autoflex_pipeline.warehouse import Warehouse
from autoflex_pipeline.warehouse.connection import rows_by_table
from autoflex_pipeline.warehouse.schema import SCHEMA_VERSION as WAREHOUSE_VERSION
from autoflex_pipeline.warehouse.schema import stored_version
from autoflex_pipeline.warehouse.versions import sync

WAREHOUSE, STATE, MANIFEST = "warehouse.duckdb", "state.sqlite", "backup.json"
STAMP = "%Y%m%dT%H%M%SZ"
MAKING = ".making-"
PIECE = 1 << 20
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
WAIT_SECONDS = 60.0
READING: dict[str, Any] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
KNOWN_VERSIONS = {"warehouse_schema": WAREHOUSE_VERSION, "state_schema": STATE_VERSION}


class BackupDamagedError(DamagedError):
    """A backup is not, or no longer, what it was when it was made."""


class BackupVersionError(PipelineError):
    """A backup was made by a newer version of this program, which this one could not use."""


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """One file of a backup: its size in bytes, the SHA-256 of its content, its rows by table."""

    bytes: int
    sha256: str
    rows: dict[str, int]


@dataclass(frozen=True, slots=True)
class Backup:
    """A verified backup: its folder, the moment that it shows, who made it, its files."""

    path: Path
    made_at: datetime
    versions: dict[str, str]
    files: dict[str, CopiedFile]

    @property
    def name(self) -> str:
        """The name by which it is restored."""
        return self.path.name

    @property
    def rows(self) -> int:
        """Its rows, of all tables."""
        return sum(sum(file.rows.values()) for file in self.files.values())

    @property
    def bytes(self) -> int:
        """Its size."""
        return sum(file.bytes for file in self.files.values())


def back_up(settings: Settings, warehouse: Warehouse, state: StateStore, *, now: datetime) -> Backup:
    """Make a verified backup. On any error there is none, and the older ones stay.

    RunRefusedError without room for it; DamagedError when a store cannot be read whole; StoreBusyError when another
    backup, or a store, is busy for more than a minute; DiskError when the disk is full all the same, or fails.
    """
    folder = settings.warehouse.backup_folder
    check_room_for(folder, [warehouse.path, state.path], settings)
    with disk_errors_told(f"a backup in {folder}"), _one_at_a_time(folder):
        for left_over in folder.glob(f"{MAKING}*"):  # a process that made one was killed
            _remove(left_over)
        making = folder / f"{MAKING}{secrets.token_hex(4)}"
        making.mkdir(mode=PRIVATE_FOLDER)
        try:
            made = Backup(making, now, _versions(), _copied(warehouse, state, making))
            _check_copy(made)
            _write(making / MANIFEST, json.dumps(_told(made), indent=2))
            path = _free_name(folder, now)
            making.replace(path)
            sync(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return Backup(path, made.made_at, made.versions, made.files)


def verify(backup: Backup) -> None:
    """Read the whole backup; BackupDamagedError names what is not as it was when it was copied."""
    for name, there in backup.files.items():
        path = backup.path / name
        if not path.is_file() or (path.stat().st_size, sha256_of(path)) != (there.bytes, there.sha256):
            raise BackupDamagedError(f"{path} is not as it was copied: it is gone, cut off or overwritten")
        rows = _rows_of_warehouse(path) if name == WAREHOUSE else _rows_of_state(path)
        if rows != there.rows:
            differing = ", ".join(sorted(dict(rows.items() ^ there.rows.items())))
            raise BackupDamagedError(
                f"backup {backup.path}: {name} does not hold the rows that were copied: {differing}"
            )


def check_restorable(backup: Backup) -> None:
    """As ``verify``; BackupVersionError when a newer version of this program wrote it."""
    _check_versions(backup, backup.versions)  # first: a newer DuckDB's file may be one that cannot be read here
    verify(backup)
    _check_versions(backup, _versions_of_stores(backup))


def backups(settings: Settings, *, now: datetime | None = None) -> list[Backup]:
    """The backups that are there, newest first; with ``now``, those that are dated after it come last."""
    folder = settings.warehouse.backup_folder
    if not folder.is_dir():
        return []
    found = [backup for path in folder.iterdir() if (backup := read_backup(path)) is not None]
    found.sort(key=lambda backup: (backup.made_at, backup.name), reverse=True)
    return found if now is None else sorted(found, key=lambda backup: is_ahead(backup, now))


def is_ahead(backup: Backup, now: datetime) -> bool:
    """Whether it is dated in the future: the clock was wrong when it was made, or is now."""
    return backup.made_at > now + TOLERANCE


def read_backup(path: Path) -> Backup | None:
    """What a folder says of itself; None when it is no backup."""
    try:
        told = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        files = {name: CopiedFile(**file) for name, file in told["files"].items()}
        return Backup(path, datetime.fromisoformat(told["made_at"]), told["versions"], files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def rotate(settings: Settings, made: Backup) -> list[str]:
    """Remove all but ``made`` and the newest others, ``backups_kept`` in all; gives the names of those removed.

    Backups dated after ``made`` are the first to go: the clock was ahead when they were made. A link is another name of
    what it points to: it takes no place beside that, and of it nothing but the link is removed.
    """
    there = backups(settings, now=made.made_at)
    there.sort(key=lambda backup: backup.name != made.name)
    places = list(dict.fromkeys(backup.path.resolve() for backup in there))
    kept = places[: settings.warehouse.backups_kept]
    old = [backup for backup in there if backup.path.resolve() not in kept]
    troubles = [trouble for backup in old if (trouble := _not_removed(backup)) is not None]
    if troubles:
        raise troubles[0]
    return [backup.name for backup in old]


def _not_removed(backup: Backup) -> PipelineError | None:
    """Remove an old backup; gives why that could not be: it keeps no other from being removed."""
    try:
        _remove(backup.path)
    except OSError as error:
        what = f"the old backup {backup.path}"
        return disk_error(what, error) or PipelineError(
            f"{what} cannot be removed ({error.strerror}); the new one is made: remove the old one by hand"
        )
    return None


def check_room_for(folder: Path, copied: list[Path], settings: Settings) -> None:
    """RunRefusedError when the folder's disk has no room for copies of these files and ``min_free_mb`` besides."""
    needed = sum(path.stat().st_size for path in copied if path.is_file())
    least = settings.warehouse.min_free_mb * MEGABYTE
    space = Space(folder, shutil.disk_usage(existing(folder)).free, int(needed + least))
    if not space.is_enough:
        raise RunRefusedError(f"the disk is nearly full: {space.told}; nothing was touched: make room there")


def copy_file(source: Path, target: Path) -> CopiedFile:
    """Copy a file, durably and for its owner only; its rows are not known."""
    digest = hashlib.sha256()
    size = 0
    with source.open("rb") as old, _private(target) as new:
        while piece := old.read(PIECE):
            digest.update(piece)
            new.write(piece)
            size += len(piece)
        new.flush()
        os.fsync(new.fileno())
    return CopiedFile(size, digest.hexdigest(), {})


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove(path: Path) -> None:
    """Remove a folder with all that is in it, or whatever else bears the name; of a link only the link itself."""
    if path.is_symlink() or not path.is_dir():
        path.unlink()
    else:
        shutil.rmtree(path)


def _check_versions(backup: Backup, versions: Mapping[str, object]) -> None:
    for name, known in KNOWN_VERSIONS.items():
        found = str(versions.get(name, ""))
        if found.isdecimal() and int(found) > known:
            raise BackupVersionError(
                f"backup {backup.path} has {name.replace('_', ' ')} version {found}, this program knows {known}: "
                "it was written by a newer version; upgrade this program, or name an older backup"
            )


def _versions_of_stores(backup: Backup) -> dict[str, int]:
    """The schema versions that stand in the copied stores, which were found to be whole."""
    with duckdb.connect(str(backup.path / WAREHOUSE), read_only=True, config=READING) as warehouse:
        in_warehouse = stored_version(warehouse)
    with closing(_read_only(backup.path / STATE)) as state:
        [(in_state,)] = state.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchall()
    return {"warehouse_schema": in_warehouse, "state_schema": in_state}


def _check_copy(made: Backup) -> None:
    """A store that is damaged where no run has read it lately shows here: its copy cannot be read whole."""
    try:
        verify(made)
    except BackupDamagedError as error:
        raise BackupDamagedError(
            f"no backup was made, and the older ones stay: the copy is not good: {error}; if that is how the store is, "
            "put the last good copy back with `autoflex-pipeline restore`"
        ) from None


def _copied(warehouse: Warehouse, state: StateStore, folder: Path) -> dict[str, CopiedFile]:
    """Copy both stores while nobody writes to either: the warehouse first, as every run takes them."""
    with warehouse.settled() as rows, state.standing_still() as reader:
        copied = copy_file(warehouse.path, folder / WAREHOUSE)
        _copy_state(reader, folder / STATE)
        state_rows = _count(reader)
    path = folder / STATE
    return {
        WAREHOUSE: CopiedFile(copied.bytes, copied.sha256, rows),
        STATE: CopiedFile(path.stat().st_size, sha256_of(path), state_rows),
    }


def _copy_state(reader: sqlite3.Connection, target: Path) -> None:
    with _private(target):
        pass
    copy = sqlite3.connect(target)
    try:
        reader.backup(copy)
        # One file, with no log beside it: a backup is read without being written to.
        copy.execute("PRAGMA journal_mode=DELETE")
    finally:
        copy.close()
    sync(target)


def _rows_of_warehouse(path: Path) -> dict[str, int]:
    """Rows by table, of a file that is read whole: each block of a DuckDB file bears a checksum."""
    try:
        connection = duckdb.connect(str(path), read_only=True, config=READING)
        try:
            rows = rows_by_table(connection)
            for table in rows:
                connection.execute(f"SELECT bit_xor(hash(whole)) FROM {table} AS whole").fetchall()
        finally:
            connection.close()
    except duckdb.Error as error:
        said = str(error).partition("\n")[0]
        raise BackupDamagedError(f"{path} cannot be read whole ({said})") from None
    return rows


def _rows_of_state(path: Path) -> dict[str, int]:
    try:
        connection = _read_only(path)
        try:
            [(said,)] = connection.execute("PRAGMA integrity_check(1)").fetchall()
            if said != "ok":
                raise BackupDamagedError(f"{path} is damaged ({said})")
            return _count(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise BackupDamagedError(f"{path} cannot be read whole ({error})") from None


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)


def _count(connection: sqlite3.Connection) -> dict[str, int]:
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    return {name: int(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]) for (name,) in names}


def _told(backup: Backup) -> dict[str, Any]:
    files = {name: asdict(file) for name, file in backup.files.items()}
    return {"made_at": backup.made_at.isoformat(), "versions": backup.versions, "files": files}


def _versions() -> dict[str, str]:
    return {
        "autoflex_pipeline": installed_version("autoflex-pipeline"),
        "duckdb": duckdb.__version__,
    } | {name: str(known) for name, known in KNOWN_VERSIONS.items()}


def _free_name(folder: Path, now: datetime) -> Path:
    stamp = now.astimezone(UTC).strftime(STAMP)
    names = [stamp, *(f"{stamp}-{number}" for number in range(2, 100))]
    return next(path for name in names if not (path := folder / name).exists())


def _write(path: Path, text: str) -> None:
    with _private(path) as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _private(path: Path) -> Iterator[Any]:
    """A new file that only its owner may read, from its first byte on."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "wb") as file:
        yield file


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
    lock = FileLock(folder / ".lock", timeout=WAIT_SECONDS, mode=PRIVATE_FILE, poll_interval=0.05)
    try:
        lock.acquire()
    except Timeout:
        raise StoreBusyError(
            f"another backup into {folder} has been under way for more than {WAIT_SECONDS:g} s; wait for its end"
        ) from None
    try:
        yield
    finally:
        lock.release()
