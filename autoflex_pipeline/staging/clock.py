"""Local time of the dealers as tables in DuckDB: every week from 1990 to 2050 with its offset and its clock change.

Asking ICU for each row is slow, and it resolves the nights of the clock change without saying so. Here a time that
does not exist moves forward by the gap and one that exists twice is the first: both are the offset *before* the change.
A row a week, since no zone changes its offset twice in one: a row a day is seven times as much to look into.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import duckdb

from autoflex_pipeline.staging.context import DEFAULT_WAITING_HOURS, DEFAULT_ZONE, StagingContext
from autoflex_pipeline.warehouse.zones import offset_changes

FIRST, LAST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2051, 1, 1, tzinfo=UTC)
"""A time outside of the weeks of these years is no time of a work order, and counts as unreadable."""

MONDAY = date(1969, 12, 29)
"""The first day of week 0; weeks before it, which ``//`` in SQL would number wrongly, are not in the table."""


class Period(NamedTuple):
    """Weeks with one offset; in a week with a change the times in ``changes_from`` to ``changes_until`` are resolved.

    ``before`` holds until ``changes_until`` (a local time), ``after`` from then on.
    """

    first_week: int
    last_week: int
    changes_from: datetime | None
    changes_until: datetime | None
    before: timedelta
    after: timedelta


def week_sql(day: str) -> str:
    """SQL of the number of the week of a date."""
    return f"({day} - DATE '{MONDAY}') // 7"


def _week(day: date) -> int:
    return (day - MONDAY).days // 7


@lru_cache(maxsize=64)
def periods(timezone: str) -> tuple[Period, ...]:
    """The weeks from 1990 to 2050 in ``timezone``: single ones with a clock change, and the spans between them."""
    changes = offset_changes(timezone)
    found: list[Period] = []
    week, offset = _week(FIRST.date()), next(before for moment, before in reversed(changes) if moment <= FIRST)
    for moment, new in changes:
        if FIRST < moment < LAST:
            change = moment.replace(tzinfo=None)
            changes_from, changes_until = sorted((change + offset, change + new))
            change_week = _week(changes_from.date())
            found.append(Period(week, change_week - 1, None, None, offset, offset))
            found.append(Period(change_week, change_week, changes_from, changes_until, offset, new))
            week, offset = change_week + 1, new
    found.append(Period(week, _week(LAST.date() - timedelta(days=1)), None, None, offset, offset))
    return tuple(found)


def install_dealers(connection: duckdb.DuckDBPyConnection, context: StagingContext) -> None:
    """Make ``dealer_clock`` (dealer_id, timezone, today, waits_since) for every dealer with raw, or configured."""
    rows = connection.execute("SELECT DISTINCT dealer_id FROM extract")
    dealers = sorted({*context.zones, *(row[0] for row in rows.fetchall())})
    zones = [context.zones.get(dealer, DEFAULT_ZONE) for dealer in dealers]
    waits = [context.waiting_hours.get(dealer, DEFAULT_WAITING_HOURS) for dealer in dealers]
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE dealer_clock AS SELECT unnest($dealers::VARCHAR[]) AS dealer_id, "
        "unnest($zones::VARCHAR[]) AS timezone, unnest($today::DATE[]) AS today, "
        "unnest($since::TIMESTAMPTZ[]) AS waits_since",
        {
            "dealers": dealers,
            "zones": zones,
            "today": [context.now.astimezone(ZoneInfo(zone)).date() for zone in zones],
            "since": [context.now - timedelta(hours=hours) for hours in waits],
        },
    )


def install_weeks(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``zone_week`` (timezone, week, changes_from, changes_until, before_us, after_us) for the dealers' zones."""
    zones = [row[0] for row in connection.execute("SELECT DISTINCT timezone FROM dealer_clock").fetchall()]
    rows = [(zone, *period) for zone in sorted(zones) for period in periods(zone)]
    names = ("timezone", "first_week", "last_week", "changes_from", "changes_until", "before_us", "after_us")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    columns["before_us"] = [offset // timedelta(microseconds=1) for offset in columns["before_us"]]
    columns["after_us"] = [offset // timedelta(microseconds=1) for offset in columns["after_us"]]
    types = ("VARCHAR", "INTEGER", "INTEGER", "TIMESTAMP", "TIMESTAMP", "BIGINT", "BIGINT")
    select = ", ".join(f"unnest(${name}::{type}[]) AS {name}" for name, type in zip(names, types, strict=True))
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE zone_week AS "
        "SELECT timezone, unnest(generate_series(first_week, last_week))::INTEGER AS week, "
        f"changes_from, changes_until, before_us, after_us FROM (SELECT {select}) AS period",
        columns,
    )
