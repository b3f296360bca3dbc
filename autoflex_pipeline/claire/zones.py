"""Local time of each dealer as tables in DuckDB: asking ICU for every row would cost twenty times as much."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import duckdb

FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(1, 1, 2, tzinfo=UTC)
QUARTER_US = 900_000_000
STEP = timedelta(days=7)
"""No zone changes its offset twice in a week."""


@lru_cache(maxsize=64)
def offset_changes(timezone: str) -> tuple[tuple[datetime, timedelta], ...]:
    """The moments (UTC) from which ``timezone`` has an offset; the first one holds for everything before 1970 too."""
    zone = ZoneInfo(timezone)
    offset = _offset(zone, FIRST)
    changes = [(LONG_AGO, offset)]
    moment = FIRST
    while moment < LAST:
        following = moment + STEP
        if (new := _offset(zone, following)) != offset:
            changes.append((_first_moment(zone, moment, following, new), new))
            offset = new
        moment = following
    return tuple(changes)


def install_zones(connection: duckdb.DuckDBPyConnection, zones: Mapping[str, str]) -> None:
    """Make the temporary tables ``dealer_zone`` (dealer_id, timezone) and ``zone_offset`` on this connection.

    Moments are counted in quarters of an hour since 1970: zones change their offset at a full one.
    """
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE dealer_zone AS "
        "SELECT unnest(?::VARCHAR[]) AS dealer_id, unnest(?::VARCHAR[]) AS timezone",
        [[*zones], [*zones.values()]],
    )
    rows = [(timezone, since, offset) for timezone in {*zones.values()} for since, offset in offset_changes(timezone)]
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE zone_offset AS SELECT unnest(?::VARCHAR[]) AS timezone, "
        "unnest(?::BIGINT[]) AS since_quarter, unnest(?::BIGINT[]) AS offset_us, unnest(?::VARCHAR[]) AS offset_text",
        [
            [timezone for timezone, _, _ in rows],
            [(since - FIRST) // timedelta(microseconds=QUARTER_US) for _, since, _ in rows],
            [offset // timedelta(microseconds=1) for _, _, offset in rows],
            [_text(offset) for _, _, offset in rows],
        ],
    )


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


def _text(offset: timedelta) -> str:
    """+01:00 as ISO 8601 has it."""
    sign = "-" if offset < timedelta() else "+"
    minutes = abs(offset) // timedelta(minutes=1)
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}"
