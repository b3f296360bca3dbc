"""When a time zone changes its offset, computed once a zone: asking ICU for every row would cost twenty times as much.

What DuckDB is given of it (an offset for a moment, a resolution for a local time) is made where it is used.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

EPOCH, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(1, 1, 2, tzinfo=UTC)
STEP = timedelta(days=7)
"""No zone changes its offset twice in a week."""


@lru_cache(maxsize=64)
def offset_changes(timezone: str) -> tuple[tuple[datetime, timedelta], ...]:
    """The moments (UTC) from which ``timezone`` has an offset; the first one holds for everything before 1970 too."""
    zone = ZoneInfo(timezone)
    offset = _offset(zone, EPOCH)
    changes = [(LONG_AGO, offset)]
    moment = EPOCH
    while moment < LAST:
        following = moment + STEP
        if (new := _offset(zone, following)) != offset:
            changes.append((_first_moment(zone, moment, following, new), new))
            offset = new
        moment = following
    return tuple(changes)


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _first_moment(zone: ZoneInfo, before: datetime, after: datetime, offset: timedelta) -> datetime:
    """The second in which ``zone`` takes ``offset``, between two moments."""
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if _offset(zone, middle) == offset:
            after = middle
        else:
            before = middle
    return after
