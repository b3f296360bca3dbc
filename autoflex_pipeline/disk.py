"""What is said when a file of the pipeline cannot be written: the disk is full, or it fails."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from autoflex_pipeline.errors import DiskError, PipelineError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FAILING = (errno.EIO, errno.EROFS)

SIGNS_OF_NO_ROOM = ("No space left", "disk is full", "File too large", "quota exceeded")
SIGNS_OF_FAILING = (
    "Input/output error", "disk I/O error", "fsync failed", "Read-only file system", "readonly database",
)  # fmt: skip
"""What DuckDB and SQLite say of it, in the system's words or their own (seen by making both happen, 2026-11)."""

SIGN_OF_UNOPENED = "unable to open database file"
"""SQLite says no more: the file or its folder may be another user's, or the disk fails."""

ROOM = "make room there, then run again: what was committed stays, the rest is done anew"
OPEN = (
    "look at its mode and its folder's, and at the disk (dmesg tells more), then run again: what was committed stays, "
    "the rest is done anew"
)
MEND = "look at the disk (dmesg tells more), then run again: what was committed stays, the rest is done anew"


def disk_error(what: str, error: BaseException) -> DiskError | None:
    """What to say when ``error`` tells of a full or failing disk; None when it tells of something else.

    ``what`` names the file. Of the error's own text nothing is shown but that: it may hold values.
    """
    if isinstance(error, OSError):
        has_no_room, fails = error.errno in NO_ROOM, error.errno in FAILING
    else:
        text = str(error)
        if SIGN_OF_UNOPENED in text:
            return DiskError(f"{what} cannot be opened; {OPEN}")
        has_no_room = any(sign in text for sign in SIGNS_OF_NO_ROOM)
        fails = any(sign in text for sign in SIGNS_OF_FAILING)
    if has_no_room:
        return DiskError(f"{what} cannot be written: the disk is full; {ROOM}")
    if fails:
        return DiskError(f"{what} cannot be read or written: the disk fails; {MEND}")
    return None


@contextmanager
def disk_errors_told(what: str) -> Iterator[None]:
    """Within the block, a file that cannot be written is told in one line (DiskError); what is told already stays."""
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:
        raise disk_error(what, error) or error from None
