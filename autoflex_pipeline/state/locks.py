"""One run at a time delivers for a dealer, and nothing is restored while a run is going.

The locks are the operating system's: they die with their process.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from autoflex_pipeline.disk import disk_errors_told
from autoflex_pipeline.errors import RunRefusedError, StoreBusyError

RUNS = "_runs.lock"
"""No dealer's id has an underscore."""

RESTORE_SECONDS = 30.0
POLL_SECONDS = 0.05


@contextmanager
def dealer_lock(state_path: Path, dealer_id: str, *, wait_seconds: float = 60) -> Iterator[None]:
    """Hold the dealer's delivery lock; StoreBusyError when another run holds it longer than ``wait_seconds``."""
    path = _folder(state_path) / f"{dealer_id}.lock"
    lock = FileLock(path, timeout=wait_seconds, mode=0o600, poll_interval=0.05)
    try:
        with disk_errors_told(f"the lock {path}"):
            lock.acquire()
    except Timeout:
        raise StoreBusyError(
            f"dealer {dealer_id!r}: another run has been delivering for more than {wait_seconds:g} s; "
            "wait for it to end, then run again"
        ) from None
    try:
        yield
    finally:
        lock.release()


class RunMark:
    """Tells that a run is going, from when it is made until it is closed or its process ends; many may be at once.

    RunRefusedError when a restore is under way for longer than ``wait_seconds``.
    """

    def __init__(self, state_path: Path, *, wait_seconds: float = RESTORE_SECONDS) -> None:
        self._descriptor = _opened(state_path)
        if not _locked(self._descriptor, fcntl.LOCK_SH, wait_seconds):
            self.close()
            raise RunRefusedError("the stores are being restored; run again when that is done")

    def close(self) -> None:
        """The run has ended."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@contextmanager
def no_run(state_path: Path) -> Iterator[None]:
    """Keep any run from beginning; RunRefusedError when one is going."""
    descriptor = _opened(state_path)
    try:
        if not _locked(descriptor, fcntl.LOCK_EX, 0):
            raise RunRefusedError(
                "a run is going: switch the schedules off (or stop the Dagster daemon), wait until it has ended, "
                "then try again"
            )
        yield
    finally:
        os.close(descriptor)


def _opened(state_path: Path) -> int:
    path = _folder(state_path) / RUNS
    with disk_errors_told(f"the lock {path}"):
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _locked(descriptor: int, kind: int, wait_seconds: float) -> bool:
    """Take the lock, shared or alone; False when others hold it for longer than ``wait_seconds``."""
    until = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(POLL_SECONDS)
        else:
            return True


def _folder(state_path: Path) -> Path:
    folder = state_path.with_name(state_path.name + ".locks")
    with disk_errors_told(f"the folder of the locks {folder}"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
