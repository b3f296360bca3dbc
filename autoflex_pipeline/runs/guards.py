"""What must hold before a run: room on the disk, files that can be read, a clock that is not behind what is stored.

A run that may not start is refused in one line, before anything is asked, written or sent.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from autoflex_pipeline.errors import RunRefusedError
from autoflex_pipeline.runs.clock import TOLERANCE, RunClock
from autoflex_pipeline.settings import Settings
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.state.moments import newest_moment
from autoflex_pipeline.warehouse import Warehouse

MEGABYTE = 1_000_000
GROWTH_OF_A_RUN = 0.25
"""By how much a run may let the pipeline's own files grow, its log and what is spilled while sorting included."""

LOOK_SECONDS = 1.0
"""So long a look that starts nothing waits for the warehouse."""


@dataclass(frozen=True, slots=True)
class Space:
    """The room on one disk: a folder on it, and bytes that are free, and that a run may need."""

    folder: Path
    free: int
    needed: int

    @property
    def is_enough(self) -> bool:
        """Whether a run may start."""
        return self.free >= self.needed

    @property
    def told(self) -> str:
        """The room in words."""
        return f"{self.folder} has {self.free / MEGABYTE:,.0f} MB free, a run may need {self.needed / MEGABYTE:,.0f} MB"


def before_run(
    settings: Settings, warehouse: Warehouse, state: Callable[[], StateStore], clock: Callable[[], datetime]
) -> RunClock:
    """The clock of a run that may start; RunRefusedError, or a damaged or newer file's own error, when it may not.

    ``state`` opens the state store: not before it is known that there is room for it.
    """
    check_no_restore(settings)
    check_room(settings)
    stored = newest_stored(warehouse, state())
    check_clock(clock(), stored)
    return RunClock(clock, not_before=stored)


def check_early(settings: Settings, state: Callable[[], StateStore], now: datetime) -> None:
    """What a look can check as ``before_run`` does, without the warehouse."""
    check_no_restore(settings)
    check_room(settings)
    with state().begin() as connection:
        stored = newest_moment(connection)
    check_clock(now, stored)


def check_warehouse(settings: Settings, now: datetime) -> None:
    """The rest of it; StoreBusyError when another process holds the file, of which nothing is known then.

    Makes no file that is not there.
    """
    warehouse = Warehouse(settings.warehouse.path, wait_seconds=LOOK_SECONDS)
    try:
        stored = _newest_extract(warehouse) if warehouse.is_there else None
    finally:
        warehouse.close()
    check_clock(now, stored)


def check_no_restore(settings: Settings) -> None:
    """RunRefusedError when a restore was broken off: its files may be there in part."""
    if restore_marker(settings.warehouse.path).exists():
        raise RunRefusedError(
            "a restore was broken off half way, or is under way; nothing was touched: run `autoflex-pipeline restore` "
            "to its end, then run again"
        )


def restore_marker(warehouse: Path) -> Path:
    """A file that is there while the stores are being replaced."""
    return warehouse.with_name(warehouse.name + ".restoring")


def check_room(settings: Settings) -> None:
    """RunRefusedError when a disk has less room than a run may need."""
    for space in spaces(settings):
        if not space.is_enough:
            raise RunRefusedError(
                f"the disk is nearly full: {space.told}; nothing was touched: make room there, then run again "
                "(what is always to be free is [warehouse] min_free_mb)"
            )


def spaces(settings: Settings) -> list[Space]:
    """The room on each disk that holds the warehouse, the state store or the analysts' copy."""
    paths = settings.warehouse
    own = _size(paths.path) + _size(paths.state_path)
    # A publication writes a whole new copy before an old one goes.
    copy = _size(paths.analytics_path) or _size(paths.path)
    disks: dict[int, tuple[Path, float]] = {}
    for folder, need in ((paths.path.parent, own * GROWTH_OF_A_RUN), (paths.analytics_path.parent, copy)):
        there = existing(folder)
        first, so_far = disks.get(there.stat().st_dev, (folder, 0.0))
        disks[there.stat().st_dev] = first, so_far + need
    at_least = settings.warehouse.min_free_mb * MEGABYTE
    return [
        Space(folder, shutil.disk_usage(existing(folder)).free, int(max(at_least, need)))
        for folder, need in disks.values()
    ]


def newest_stored(warehouse: Warehouse, state: StateStore) -> datetime | None:
    """The latest moment in the files, as runs wrote it; None for new ones."""
    in_warehouse = _newest_extract(warehouse)
    with state.begin() as store:
        in_state = newest_moment(store)
    return max((moment for moment in (in_warehouse, in_state) if moment is not None), default=None)


def _newest_extract(warehouse: Warehouse) -> datetime | None:
    with warehouse.open() as connection:
        row = connection.execute("SELECT max(finished_at) FROM extract").fetchone()
    return row[0] if row else None


def check_clock(now: datetime, stored: datetime | None) -> None:
    """RunRefusedError when the clock is behind what is stored by more than a small tolerance."""
    if stored is not None and stored - now > TOLERANCE:
        raise RunRefusedError(
            f"the clock of this machine is wrong, or was when the last run wrote: it says {_told(now)}, and the stores "
            f"know of {_told(stored)}, {_span((stored - now).total_seconds())} later; nothing was touched: set the "
            "clock (NTP), then run again; if the clock is right now, see Clock in docs/operators.md"
        )


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _told(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _span(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 120:
        return f"{minutes:.0f} minutes"
    return f"{minutes / 60:.0f} hours" if minutes < 48 * 60 else f"{minutes / 60 / 24:.0f} days"
