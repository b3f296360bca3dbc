"""The state store: an SQLite database in WAL mode with ``synchronous=FULL``, used by several processes and threads."""

from __future__ import annotations

import errno
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Column as SqlColumn
from sqlalchemy import Connection, DateTime, Integer, MetaData, String, create_engine, event, insert, select
from sqlalchemy import Table as SqlTable
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DatabaseError
from sqlalchemy.types import TypeDecorator

from autoflex_pipeline.disk import disk_error, disk_errors_told
from autoflex_pipeline.errors import DamagedError, PipelineError, StoreBusyError

SCHEMA_VERSION = 1
PRIVATE_MODE = 0o600
NEXT_STEP = "put the last good copy back with `autoflex-pipeline restore`"
SIGNS_OF_DAMAGE = ("malformed", "not a database")

metadata = MetaData()
"""All tables of the store; the modules of this folder declare theirs on it."""

_version = SqlTable(
    "schema_version",
    metadata,
    SqlColumn("version", Integer, primary_key=True, comment="Number of the schema version."),
    SqlColumn("applied_at", String, nullable=False, comment="When it was applied."),
    comment="One row per schema version applied to this store.",
)


class UtcMoment(TypeDecorator[datetime]):
    """A moment kept in UTC; SQLite itself knows no time zones."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC without a zone."""
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give it back with its zone."""
        return value.replace(tzinfo=UTC) if value else None


class StateVersionError(PipelineError):
    """The store was written by a newer version of this program."""


class StateDamagedError(DamagedError):
    """SQLite cannot read the state store."""


class StateStore:
    """Opens (and creates) the store; ``begin()`` gives a connection in one transaction."""

    def __init__(self, path: Path, *, wait_seconds: float = 60) -> None:
        self.path = path
        self._wait_seconds = wait_seconds
        with disk_errors_told(f"the state store {path}"):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not path.exists():
                _create(path)
        if path.stat().st_size == 0:
            raise _damaged(path, "it is empty")
        # What SQLAlchemy says of a failed statement must not hold its values: documents are personal data.
        # As many connections as ask at once: each waits for SQLite's lock, bounded, and for nothing else. Without a
        # pool, closing the last one would bring the log into the file, and a write take three times as long (2026-11).
        self.engine = create_engine(
            f"sqlite:///{path}", connect_args={"timeout": wait_seconds}, hide_parameters=True, max_overflow=-1
        )
        self._opened = _identity(path)
        event.listen(self.engine, "connect", _configure)
        event.listen(self.engine, "begin", _begin_immediate)
        try:
            self._ensure_schema()
        except BaseException:
            self.close()
            raise

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction that takes the write lock at its start; durable when it ends without an exception.

        StoreBusyError when another writer holds the store for longer than ``wait_seconds``; StateDamagedError when
        SQLite cannot read it; DiskError when the disk is full or fails.
        """
        self._follow_the_file()
        try:
            with self.engine.begin() as connection:
                yield connection
        except DatabaseError as error:
            if "database is locked" in str(error.orig):
                raise StoreBusyError(
                    f"the state store {self.path} was in use for more than {self._wait_seconds:g} s; "
                    "find the process that holds it, or try again"
                ) from None
            told = damage(self.path, error.orig) or disk_error(f"the state store {self.path}", error.orig or error)
            raise told or error from None

    @contextmanager
    def standing_still(self) -> Iterator[sqlite3.Connection]:
        """A connection to read by, while nobody writes: for copying the store as it is now."""
        with self.begin():
            reader = sqlite3.connect(self.path)
            try:
                yield reader
            except sqlite3.DatabaseError as error:
                raise _damaged(self.path, error) from None
            finally:
                reader.close()

    def _follow_the_file(self) -> None:
        """Let go of a file that was replaced by a restored one: what is written to it would be lost."""
        there = _identity(self.path) if self.path.exists() else None
        if there is not None and there != self._opened:
            self.engine.dispose()
            self._opened = there

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def _ensure_schema(self) -> None:
        # Every module that declares a table must be known before the tables are made.
        from autoflex_pipeline.state import (  # noqa: F401
            alerts,
            dealers,
            holds,
            ledger,
            marks,
            outages,
            outbox,
            runs,
            summaries,
            totals,
        )

        with self.begin() as connection:
            metadata.create_all(connection)
            version = max(connection.scalars(select(_version.c.version)), default=0)
            if version > SCHEMA_VERSION:
                raise StateVersionError(
                    f"the state store {self.path} has schema version {version}, this program knows {SCHEMA_VERSION}: "
                    "it was written by a newer version; upgrade this program"
                )
            if version < SCHEMA_VERSION:
                connection.execute(
                    insert(_version).values(version=SCHEMA_VERSION, applied_at=datetime.now(UTC).isoformat())
                )


def damage(path: Path, error: BaseException | None) -> StateDamagedError | None:
    """What to say when ``error``, SQLite's own, tells of a damaged file; None when it tells of something else."""
    return _damaged(path, error) if any(sign in str(error) for sign in SIGNS_OF_DAMAGE) else None


def _damaged(path: Path, said: object) -> StateDamagedError:
    return StateDamagedError(f"the state store {path} is damaged ({said}); {NEXT_STEP}")


def _create(path: Path) -> None:
    """A new store, made under another name: a crash must not leave an empty file that then counts as damaged."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    # The -wal and -shm files take the mode of the database file.
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, PRIVATE_MODE))
    try:
        connection = sqlite3.connect(new)
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        connection.close()
        if mode != "wal":  # SQLite says no more of a disk that fails here, and leaves the file empty
            raise OSError(errno.EIO, "SQLite could not write the first page", str(new))
        os.link(new, path)
    except FileExistsError:
        return  # another process was first
    finally:
        new.unlink()


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _configure(connection: Any, _record: object) -> None:
    """Durable commits; SQLAlchemy, not the driver, starts transactions."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    """Take the write lock at once: upgrading a read lock later fails instead of waiting."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
