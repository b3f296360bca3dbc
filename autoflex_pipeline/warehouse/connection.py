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

from autoflex_pipeline.errors import PipelineError, StoreBusyError
from autoflex_pipeline.warehouse.schema import ensure_schema

PRIVATE_MODE = 0o600


class WarehouseDamagedError(PipelineError):
    """DuckDB cannot read the warehouse file."""


class Warehouse:
    """The pipeline's own DuckDB file.

    ``wait_seconds`` bounds how long one use waits for another process; ``memory_limit`` is DuckDB's.
    """

    def __init__(self, path: Path, *, wait_seconds: float = 60, memory_limit: str = "1GB") -> None:
        self.path = path
        self._wait_seconds = wait_seconds
        self._memory_limit = memory_limit
        self._has_schema = False

    @contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection with one transaction: committed at the end, rolled back on any exception, always closed."""
        with self._lock(), _private_files():
            connection = self._connect()
            try:
                connection.begin()
                if not self._has_schema:
                    ensure_schema(connection)
                yield connection
                connection.commit()
                self._has_schema = True
            except BaseException:
                _roll_back(connection)
                raise
            finally:
                connection.close()

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
        config: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "memory_limit": self._memory_limit,
            "preserve_insertion_order": False,
            "temp_directory": str(self.path.with_name(self.path.name + ".tmp")),
        }
        is_new = not self.path.exists()
        try:
            connection = duckdb.connect(str(self.path), config=config)
        except duckdb.IOException as error:
            if "lock" in str(error).lower():
                raise StoreBusyError(
                    f"warehouse {self.path} is open in another program; close it there "
                    "(analysts use the published copy instead)"
                ) from None
            raise WarehouseDamagedError(f"warehouse {self.path} cannot be opened: {error}") from error
        if is_new:
            self.path.chmod(PRIVATE_MODE)
        connection.execute("SET TimeZone = 'UTC'")
        return connection


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


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    """Undo the transaction; it may be gone already when DuckDB itself failed."""
    try:
        connection.rollback()
    except duckdb.Error:
        return
