"""One run at a time delivers for a dealer. The lock is the operating system's: it dies with its process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from autoflex_pipeline.errors import StoreBusyError


@contextmanager
def dealer_lock(state_path: Path, dealer_id: str, *, wait_seconds: float = 60) -> Iterator[None]:
    """Hold the dealer's delivery lock; StoreBusyError when another run holds it longer than ``wait_seconds``."""
    folder = state_path.with_name(state_path.name + ".locks")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(folder / f"{dealer_id}.lock", timeout=wait_seconds, mode=0o600, poll_interval=0.05)
    try:
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
