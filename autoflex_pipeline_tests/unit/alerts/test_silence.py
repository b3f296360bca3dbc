"""A silent feed is told from a night, a Sunday, a holiday and a slow day, by the dealer's own past."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from autoflex_pipeline.alerts.silence import Silence, silence

ZONE = ZoneInfo("Europe/Amsterdam")
TUESDAY = date(2026, 11, 24)
ENOUGH = 10


def at(day: date, clock: str) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), ZONE)


def working_day(day: date, *, every: int = 10, until: str = "17:00") -> Iterator[datetime]:
    """Changes from 08:00, one in so many minutes."""
    moment, end = at(day, "08:00"), at(day, until)
    while moment < end:
        yield moment
        moment += timedelta(minutes=every)


def weeks(today: date, count: int = 8, *, without: tuple[date, ...] = (), every: int = 10) -> list[datetime]:
    """So many weeks of work on all days but Sundays, up to yesterday."""
    days = [today - timedelta(days=back) for back in range(1, 7 * count + 1)]
    worked = [day for day in days if day.weekday() != 6 and day not in without]
    return [moment for day in worked for moment in working_day(day, every=every)]


def judged(changes: list[datetime], now: datetime) -> Silence | None:
    return silence(changes, now, ZONE, enough=ENOUGH)


def test_a_feed_that_stops_in_the_morning_is_silent_once_enough_would_usually_have_come() -> None:
    changes = [*weeks(TUESDAY), *working_day(TUESDAY, until="10:00")]
    assert judged(changes, at(TUESDAY, "11:20")) is None
    found = judged(changes, at(TUESDAY, "11:35"))
    assert found == Silence(last_change=at(TUESDAY, "09:50"), usual=10, weeks=8)


def test_a_feed_that_goes_on_is_not_silent() -> None:
    assert judged([*weeks(TUESDAY), *working_day(TUESDAY)], at(TUESDAY, "16:55")) is None


def test_a_feed_that_was_dead_all_night_is_silent_in_the_morning_and_not_in_the_night() -> None:
    changes = weeks(TUESDAY)
    for clock in ("00:01", "03:45", "07:59", "08:30"):
        assert judged(changes, at(TUESDAY, clock)) is None, clock
    assert judged(changes, at(TUESDAY, "09:45")) is not None


@pytest.mark.parametrize("clock", ["03:00", "11:00", "16:00", "23:00"])
def test_a_sunday_is_not_silent_for_a_dealer_that_is_closed_on_sundays(clock: str) -> None:
    sunday = date(2026, 11, 22)
    assert judged(weeks(sunday), at(sunday, clock)) is None


@pytest.mark.parametrize(
    "holiday",
    [date(2026, 4, 6), date(2026, 4, 27), date(2026, 5, 14), date(2026, 5, 25), date(2026, 12, 25), date(2027, 1, 1)],
    ids=["Easter Monday", "King's Day", "Ascension", "Whit Monday", "Christmas", "New Year"],
)
def test_a_dutch_holiday_is_not_silent_nor_is_the_morning_after_it(holiday: date) -> None:
    changes = weeks(holiday)
    assert judged(changes, at(holiday, "14:00")) is None
    day_after = holiday + timedelta(days=1)
    assert judged([*changes, *working_day(day_after, until="08:40")], at(day_after, "09:00")) is None


def test_past_holidays_and_days_without_any_change_are_not_compared_with() -> None:
    closed = (TUESDAY - timedelta(weeks=2), TUESDAY - timedelta(weeks=5))
    found = judged(weeks(TUESDAY, without=closed), at(TUESDAY, "12:00"))
    assert found is not None
    assert found.weeks == 6
    boxing_week = date(2027, 1, 1)  # a Friday eight weeks after which Christmas and New Year are two of eight Fridays
    later = boxing_week + timedelta(weeks=2)
    found = judged(weeks(later, without=(boxing_week, date(2026, 12, 25))), at(later, "12:00"))
    assert found is not None
    assert found.weeks == 6


def test_nothing_is_said_before_four_weekdays_are_known() -> None:
    assert judged(weeks(TUESDAY, 3), at(TUESDAY, "16:00")) is None
    assert judged(weeks(TUESDAY, 4), at(TUESDAY, "16:00")) is not None
    assert judged([], at(TUESDAY, "16:00")) is None


def test_one_quiet_afternoon_in_the_past_is_reason_enough_to_be_patient() -> None:
    quiet_day = TUESDAY - timedelta(weeks=3)
    changes = [*weeks(TUESDAY, without=(quiet_day,)), *working_day(quiet_day, until="12:00")]
    changes += working_day(TUESDAY, until="12:00")
    assert judged(changes, at(TUESDAY, "15:00")) is None


def test_a_dealer_with_few_changes_is_never_called_silent() -> None:
    assert judged(weeks(TUESDAY, every=120), at(TUESDAY, "16:59")) is None


def test_the_hours_are_those_of_the_clock_also_across_a_clock_change() -> None:
    day = date(2026, 10, 27)  # the clock went back on the 25th: a comparison in UTC would be an hour off
    assert judged(weeks(day), at(day, "09:25")) is None
    assert judged(weeks(day), at(day, "09:35")) is not None


def test_false_alarms_are_rare_and_a_dead_feed_is_found_the_same_day() -> None:
    """A dealer with 60 changes a day at random (and a lunch break), judged every half hour on six Tuesdays."""
    rng = random.Random(20261124)

    def random_day(day: date) -> list[datetime]:
        minutes = [rng.choice((rng.randrange(480, 720), rng.randrange(780, 1020))) for _ in range(60)]
        return [at(day, "00:00") + timedelta(minutes=minute) for minute in minutes]

    days = [date(2026, 1, 6) + timedelta(weeks=week) for week in range(14)]  # no holiday is a Tuesday there
    changes = {day: random_day(day) for day in days}
    moments = [at(days[0], "00:00") + timedelta(minutes=30 * step) for step in range(48)]
    alarms, found = 0, []
    for place, day in enumerate(days[8:], start=8):
        past = [moment for before in days[:place] for moment in changes[before]]
        nows = [at(day, "00:00") + (moment - moments[0]) for moment in moments]
        alarms += any(judged([*past, *(moment for moment in changes[day] if moment <= now)], now) for now in nows)
        found.append(next(now.hour for now in nows if judged(past, now)))
    assert alarms == 0
    assert max(found) <= 11
