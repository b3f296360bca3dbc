"""The silent feed: a DMS that usually shows changes at this time of this weekday, and now shows none.

What is usual is learned from the dealer's own history: the runs that stored a new version of any record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from statistics import median
from zoneinfo import ZoneInfo

import duckdb

WEEKS = 8
"""So far it is looked back: the same weekday of so many weeks."""

FEWEST_WEEKS = 4
"""With fewer weekdays to compare with, nothing is said."""


@dataclass(frozen=True, slots=True)
class Silence:
    """No changes since ``last_change``, where in such a span there usually (median) are ``usual``, over ``weeks``."""

    last_change: datetime
    usual: float
    weeks: int


def silence(changes: Sequence[datetime], now: datetime, zone: ZoneInfo, *, enough: int) -> Silence | None:
    """Whether the feed is silent; ``changes`` are the moments at which its records changed, in any order.

    The span that is judged reaches from the last change, or from midnight if that is later, to ``now``. It is compared
    with the same hours of the same weekday in the last ``WEEKS`` weeks; holidays, and days without any change at all,
    are left out. The feed is silent when at least ``FEWEST_WEEKS`` days are left, **each** of them had a change in
    those hours, and half of them had ``enough`` or more. So nights, Sundays and days off, in which there usually is
    nothing, raise nothing; nor does a Dutch public holiday.
    """
    here = now.astimezone(zone)
    if not changes or is_holiday(here):
        return None
    last_change = max(changes)
    begin = max(last_change.astimezone(zone), datetime.combine(here.date(), time.min, zone))
    by_day: dict[date, list[datetime]] = {}
    for change in changes:
        local = change.astimezone(zone).replace(tzinfo=None)
        by_day.setdefault(local.date(), []).append(local)
    counts = []
    for week in range(1, WEEKS + 1):
        back = timedelta(weeks=week)
        # Without a zone: the same time on the clock, also across a clock change.
        first, last = begin.replace(tzinfo=None) - back, here.replace(tzinfo=None) - back
        on_that_day = by_day.get(last.date())
        if on_that_day and not is_holiday(last):
            counts.append(sum(first < change <= last for change in on_that_day))
    if len(counts) < FEWEST_WEEKS or min(counts) == 0 or median(counts) < enough:
        return None
    return Silence(last_change, median(counts), len(counts))


def is_holiday(day: datetime) -> bool:
    """Whether it is a Dutch public holiday."""
    return day.date() in _holidays(day.year)


@cache
def _holidays(year: int) -> frozenset[object]:
    import holidays  # late: it costs a tenth of a second, and most processes never ask

    return frozenset(holidays.country_holidays("NL", years=year))


def changes_by_dealer(connection: duckdb.DuckDBPyConnection, now: datetime) -> dict[str, list[datetime]]:
    """By dealer when a regular run (not a backfill) stored new versions of its records, as far back as it matters."""
    rows = connection.execute(
        """
        SELECT dealer_id, max(fetched_at)
        FROM raw_record
        WHERE fetched_at >= $since
          AND run_id IN (SELECT run_id FROM extract WHERE source = 'api:open_orders' AND started_at >= $since)
        GROUP BY dealer_id, run_id
        """,
        {"since": now - timedelta(weeks=WEEKS, days=1)},
    ).fetchall()
    changes: dict[str, list[datetime]] = {}
    for dealer_id, moment in rows:
        changes.setdefault(dealer_id, []).append(moment)
    return changes
