"""One writer at a time, held briefly: a sidecar lock, one connection, one transaction, closed in ``finally``.

DuckDB lets no other process even read a file that one has open, so whoever uses the warehouse takes the lock first.
Fetching and sending happen without a connection open.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from autoflex_pipeline.disk import disk_error
from autoflex_pipeline.errors import DamagedError, PipelineError, StoreBusyError
from autoflex_pipeline.sql_files import literal
from autoflex_pipeline.warehouse.schema import ensure_schema

PRIVATE_MODE = 0o600


NEXT_STEP = "put the last good copy back with `autoflex-pipeline restore`"
SIGNS_OF_DAMAGE = ("Corrupt ", "not a valid DuckDB database", "Could not read enough bytes")
"""What DuckDB 1.5 says of a file that was cut off, overwritten or emptied (seen by damaging files, 2026-11)."""


LOG_OF_A_SMALL_FILE, LOG_OF_A_LARGE_FILE = "16KB", "1MB"
"""A log of this size is brought into the file by the commit that it is reached with (a checkpoint).

Each opening reads the log again, which takes longer than to open the file: a run opens it a dozen times. A checkpoint
writes the newest block of every changed column anew, which in a large file takes longer than a small change does; there
the end of the run is early enough."""

SMALL_BYTES = 32_000_000
"""In a file up to this size one thread is used: each of a run's hundreds of statements makes ready all its threads,
which for so few rows takes a quarter longer than one thread takes for the whole."""

STORAGE_VERSION = "v1.2.0"
"""DuckDB's format of a new file. Unasked it takes the one of 0.10, larger and slower to open: what it holds of distinct
values is turned into the newer form at each opening. Nothing but this program opens the file, and that needs a newer
DuckDB."""

NAME = "warehouse"
"""What the file is called in statements, whatever its own name."""


class WarehouseDamagedError(DamagedError):
    """DuckDB cannot read the warehouse file."""


class Warehouse:
    """The pipeline's own DuckDB file.

    ``wait_seconds`` bounds how long one use waits for another process; ``memory_limit`` is DuckDB's.

    DuckDB itself is started once and kept, with nothing open in it: starting takes it longer than opening a file.
    """

    def __init__(self, path: Path, *, wait_seconds: float = 60, memory_limit: str = "1GB") -> None:
        self.path = path
        self._wait_seconds = wait_seconds
        self._memory_limit = memory_limit
        self._log = path.with_name(path.name + ".wal")
        self._prepared: tuple[int, int] | None = None
        """The file whose schema is known to be this program's; a restored one is another file."""
        self._engine: duckdb.DuckDBPyConnection | None = None
        self._is_small = True

    @property
    def is_there(self) -> bool:
        """Whether opening it makes no new file: there is one, or it was lost and its log was not."""
        return self.path.exists() or self._log.exists()

    def close(self) -> None:
        """End DuckDB; the next opening starts it again."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    @contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection with one transaction: committed at the end, rolled back on any exception, always closed.

        DiskError when the disk is full or fails; WarehouseDamagedError when DuckDB cannot read the file.
        """
        with self.errors_told(), self._lock(), _private_files():
            connection = self._connect()
            try:
                connection.begin()
                if self._prepared != _identity(self.path) and ensure_schema(connection):
                    # Else each opening would make the tables anew from the log, until the log is long enough.
                    connection.commit()
                    self._checkpoint(connection)
                    connection.begin()
                yield connection
                connection.commit()
                self._prepared = _identity(self.path)
            except BaseException:
                _roll_back(connection)
                raise
            finally:
                self._disconnect(connection)

    @contextmanager
    def settled(self) -> Iterator[dict[str, int]]:
        """The lock, with all that is committed in the one file and none of it in a log beside it: for copying it.

        Gives the rows of each table.
        """
        with self._lock(), _private_files():
            with self.errors_told():
                connection = self._connect()
            try:
                self._checkpoint(connection)
                rows = rows_by_table(connection)
            except duckdb.Error as error:
                if _is_damage(error):
                    raise self._damaged(error) from None
                raise PipelineError(
                    f"warehouse {self.path} cannot be settled ({_first_line(error)}); check the disk's room"
                ) from None
            finally:
                self._disconnect(connection)
            yield rows

    def shorten_log(self) -> None:
        """Bring the log into the file, so that the next run's openings need not read it; DiskError as ``open``."""
        with self.errors_told(), self._lock(), _private_files():
            if not self._log.exists() or self._log.stat().st_size == 0:
                return
            connection = self._connect()
            try:
                self._checkpoint(connection)
            finally:
                self._disconnect(connection)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The lock of the file without a connection: nobody opens it meanwhile. For copying and replacing it."""
        with self._lock(), _private_files():
            yield

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(
            self.path.with_name(self.path.name + ".lock"),
            timeout=self._wait_seconds,
            mode=PRIVATE_MODE,
            poll_interval=0.02,
        )
        try:
            lock.acquire()
        except Timeout:
            raise StoreBusyError(
                f"warehouse {self.path} was in use for more than {self._wait_seconds:g} s; "
                "find the process that holds it, or try again"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        if not self.path.exists():
            self._create()
        is_small = self.path.stat().st_size < SMALL_BYTES
        if self._engine is None or is_small is not self._is_small:
            self.close()
            self._engine, self._is_small = self._started(is_small), is_small
        try:
            self._attach(self._engine)
            connection = self._engine.cursor()
            connection.execute(f"USE {NAME}")
            # DuckDB draws one on standard output where it takes the program for a session of a person.
            connection.execute("SET enable_progress_bar = false")
        except BaseException:
            self.close()  # which closes the file, however far that went
            raise
        return connection

    def _checkpoint(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Bring the log into the file."""
        connection.execute("CHECKPOINT")

    def _disconnect(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Close the file. When DuckDB failed so that it is of no more use, it is ended, which closes the file too."""
        try:
            connection.close()
            self._detach()
        except duckdb.Error:
            self.close()

    def _started(self, is_small: bool) -> duckdb.DuckDBPyConnection:
        config: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "memory_limit": self._memory_limit,
            "preserve_insertion_order": False,
            "temp_directory": str(self.path.with_name(self.path.name + ".tmp")),
        }
        if is_small:
            config["threads"] = 1
        engine = duckdb.connect(config=config)
        engine.execute("SET GLOBAL TimeZone = 'UTC'")
        engine.execute("PRAGMA disable_checkpoint_on_shutdown")
        longest_log = LOG_OF_A_SMALL_FILE if is_small else LOG_OF_A_LARGE_FILE
        engine.execute(f"SET wal_autocheckpoint = '{longest_log}'")
        return engine

    def _attach(self, engine: duckdb.DuckDBPyConnection) -> None:
        try:
            engine.execute(f"ATTACH {literal(str(self.path))} AS {NAME}")
        except duckdb.IOException as error:
            if "Could not set lock" in str(error):
                raise StoreBusyError(
                    f"warehouse {self.path} is open in another program; close it there "
                    "(analysts use the published copy instead)"
                ) from None
            if _is_damage(error) or disk_error("", error):
                raise
            raise PipelineError(
                f"warehouse {self.path} cannot be opened ({_first_line(error)}); check its mode, and the disk's room"
            ) from None

    def _detach(self) -> None:
        if self._engine is not None:
            self._engine.execute(f"DETACH {NAME}")

    def _create(self) -> None:
        """A new file, made under another name: a crash must not leave a piece of one that then counts as damaged."""
        if self._log.exists():
            raise WarehouseDamagedError(
                f"warehouse {self.path} is gone while its log {self._log.name} is still there; {NEXT_STEP}"
            )
        new = self.path.with_name(self.path.name + ".new")
        new.unlink(missing_ok=True)
        duckdb.connect(str(new), config={"threads": 1, "storage_compatibility_version": STORAGE_VERSION}).close()
        new.chmod(PRIVATE_MODE)
        new.replace(self.path)

    @contextmanager
    def errors_told(self) -> Iterator[None]:
        """Within the block, what is wrong with the file or its disk is told in one line: its damage, or DiskError."""
        try:
            yield
        except (duckdb.Error, OSError) as error:
            if isinstance(error, duckdb.Error) and _is_damage(error):
                raise self._damaged(error) from None
            raise disk_error(f"warehouse {self.path}", error) or error from None

    def _damaged(self, error: duckdb.Error) -> WarehouseDamagedError:
        return WarehouseDamagedError(f"warehouse {self.path} is damaged ({_first_line(error)}); {NEXT_STEP}")


def rows_by_table(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """How many rows each table has."""
    names = [
        row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY table_name").fetchall()
    ]
    found = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone() for name in names}
    return {name: int(row[0]) if row else 0 for name, row in found.items()}


@contextmanager
def _private_files() -> Iterator[None]:
    """Personal data must never be readable by others, and DuckDB makes its files by the umask.

    Held as long as the connection is open: the log and spilled data are made when they are first needed. The umask is
    the whole process's; the warehouse's lock keeps two threads from restoring each other's.
    """
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _is_damage(error: duckdb.Error) -> bool:
    return any(sign in str(error) for sign in SIGNS_OF_DAMAGE)


def _first_line(error: duckdb.Error) -> str:
    return str(error).partition("\n")[0].removeprefix("IO Error: ")


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    """Undo the transaction; it may be gone already when DuckDB itself failed."""
    try:
        connection.rollback()
    except duckdb.Error:
        return
