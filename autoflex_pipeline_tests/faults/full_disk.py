"""A disk of a few megabytes that is really full: a tmpfs where this user may mount one, else a limit on files.

Without the right to mount, a file may not grow at all (RLIMIT_FSIZE): the writes fail as really, with "File too large"
instead of "No space left on device".
"""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE = "96m"
BALLOON = "balloon"


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A disk of its own at ``folder`` for the time of the block; False where this user may not mount one."""
    folder.mkdir(mode=0o700, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(folder)]
    try:
        is_mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        is_mounted = False
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> None:
    """From now on nothing more fits on the disk of ``folder``."""
    if not os.path.ismount(folder):
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        return
    with open(folder / BALLOON, "ab", buffering=0) as balloon:
        for size in (1 << 20, 1 << 12):
            try:
                while balloon.write(b"\0" * size) == size:
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


def make_room(folder: Path) -> None:
    """What ``fill`` took is free again."""
    (folder / BALLOON).unlink(missing_ok=True)
