"""Which documents may go now: what waits for its parts, what Claire's status decides, what the guards stop."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from autoflex_pipeline.claire.policies import (
    Candidate,
    Waiting,
    depends_on_status,
    emptied,
    hindrance,
    is_not_to_be_made,
    mass_change,
    waiting,
)
from autoflex_pipeline.settings import DealerSettings
from autoflex_pipeline_tests.unit.claire.test_intents import NOW, candidate

MISSING = dict.fromkeys(("has_lines", "has_car", "has_contractor"), False)
A_DAY = NOW + timedelta(hours=24)
STARTED, NOT_STARTED, NONE = "Control started", "New entry", None
NEW: dict[str, bool] = {}
TAKEN = {"is_acknowledged": True}
MAYBE = {"is_unanswered": True}
GONE = {"is_gone": True}
AWAY = {"is_missing": True}


def jansen(**values: Any) -> DealerSettings:
    return DealerSettings(id="jansen", name="Jansen", claire_location_id="101", **values)


def dated(day: int, **values: Any) -> Candidate:
    """An appointment of that day of November 2026, first seen on the 24th at 10:00 in Amsterdam."""
    return replace(candidate("h"), **({"appointment_date": date(2026, 11, day)} | values))


@pytest.mark.parametrize(
    ("has", "part"),
    [
        (MISSING, "lines"),
        (MISSING | {"has_lines": True}, "car"),
        (MISSING | {"has_lines": True, "has_car": True}, "contractor"),
        ({"has_contractor": False}, "contractor"),
        ({}, None),
    ],
)
def test_a_new_appointment_waits_for_one_part_after_the_other(has: dict[str, bool], part: Any) -> None:
    waits_for = waiting(dated(20, **has), jansen(), NOW)
    assert waits_for == (None if part is None else Waiting(part, A_DAY))


@pytest.mark.parametrize("known", [{"is_acknowledged": True}, {"is_unanswered": True}])
def test_what_claire_has_or_may_have_does_not_wait(known: dict[str, bool]) -> None:
    assert waiting(dated(20, **MISSING, **known), jansen(), NOW) is None


@pytest.mark.parametrize(("day", "waits"), [(23, True), (24, False), (25, False), (26, True)])
def test_what_is_dated_today_or_tomorrow_does_not_wait(day: int, waits: bool) -> None:
    assert (waiting(dated(day, **MISSING), jansen(), NOW) is not None) is waits


@pytest.mark.parametrize(("day", "waits"), [(24, True), (25, False), (26, False), (27, True)])
def test_today_is_the_dealers_day(day: int, waits: bool) -> None:
    past_midnight = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
    assert (waiting(dated(day, **MISSING), jansen(waiting_hours=72), past_midnight) is not None) is waits


@pytest.mark.parametrize(
    ("day", "hours", "until"),
    [
        (20, 24, A_DAY),
        (20, 72, NOW + timedelta(hours=72)),
        (27, 24, A_DAY),
        (27, 72, datetime(2026, 11, 25, 23, 0, tzinfo=UTC)),
    ],
)
def test_it_goes_without_after_its_hours_or_when_its_day_comes_near(day: int, hours: int, until: datetime) -> None:
    """The 27th is near when the 26th begins in Amsterdam."""
    one, dealer = dated(day, **MISSING), jansen(waiting_hours=hours)
    assert waiting(one, dealer, NOW) == Waiting("lines", until)
    assert waiting(one, dealer, until - timedelta(seconds=1)) is not None
    assert waiting(one, dealer, until) is None


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        ({}, False),
        ({"is_canceled": True}, True),
        ({"was_dated": date(2026, 11, 23)}, True),
        ({"is_canceled": True, "was_canceled": True}, False),
        ({"was_dated": date(2026, 11, 23), "was_canceled": True}, False),
        ({"is_canceled": True, "is_open": False}, False),
        ({"is_canceled": True, "is_acknowledged": False}, False),
        ({"is_canceled": True, "is_acknowledged": False, "is_unanswered": True}, False),
    ],
)
def test_a_mass_change_is_of_open_appointments_that_claire_acknowledged(changed: dict[str, Any], counts: bool) -> None:
    known = {"is_acknowledged": True, "was_canceled": False, "was_dated": date(2026, 11, 24)}
    assert dated(24, **(known | changed)).cancels_or_redates is counts


@pytest.mark.parametrize(
    ("changing", "of_open", "stops"),
    [(4, 4, False), (5, 5, True), (5, 16, True), (5, 17, False), (6, 20, False), (7, 20, True)],
)
def test_a_mass_change_is_at_least_five_and_more_than_the_share(changing: int, of_open: int, stops: bool) -> None:
    why = mass_change(changing, of_open, jansen())
    assert (why is not None) is stops
    told = f"dealer 'jansen': {changing} of {of_open} open appointments would be canceled or change their date, "
    assert why is None or why.startswith(told + "more than guard_max_change (30%) allows: nothing was sent;")
    assert why is None or why.endswith("run sync with --allow-mass-change")


def test_an_empty_list_is_not_believed_where_three_were_open() -> None:
    assert emptied(2, jansen()) is None
    why = emptied(3, jansen())
    assert why is not None
    assert why.startswith(
        "dealer 'jansen': Autoflex gave no open work order at all where 3 were open: nothing was sent;"
    )
    assert why.endswith("run sync with --allow-mass-change")


@pytest.mark.parametrize(("known", "waits"), [(NEW, True), (MAYBE, True), (TAKEN, False)])
def test_what_is_missing_is_not_made_but_kept_in_step_where_claire_took_it(known: dict[str, bool], waits: bool) -> None:
    assert is_not_to_be_made(replace(candidate("h"), **known, **AWAY)) is waits
    assert not is_not_to_be_made(replace(candidate("h"), **known))


@pytest.mark.parametrize(
    ("known", "keeps_importing", "by_status"),
    [
        (NEW, True, None),
        (NEW, False, None),
        (TAKEN, True, None),
        (TAKEN, False, {STARTED: "held", NOT_STARTED: None, NONE: None}),
        (MAYBE, True, None),
        (MAYBE, False, {STARTED: "held", NOT_STARTED: None, NONE: None}),
        (TAKEN | GONE, True, None),
        (TAKEN | MAYBE | GONE, True, None),
        (TAKEN | GONE, False, {STARTED: "held", NOT_STARTED: None, NONE: None}),
        (MAYBE | GONE, True, {STARTED: None, NOT_STARTED: None, NONE: "absent"}),
        (MAYBE | GONE, False, {STARTED: "held", NOT_STARTED: None, NONE: "absent"}),
    ],
)
def test_claire_is_asked_first_where_its_status_decides(
    known: dict[str, Any], keeps_importing: bool, by_status: dict[str | None, str | None] | None
) -> None:
    """Held where work has started and importing ends then; not sent where there is nothing to cancel."""
    one = replace(candidate("h"), **known)
    dealer = jansen(keep_importing=keeps_importing)
    assert depends_on_status(one, dealer) is (by_status is not None)
    for status, why_not in (by_status or {}).items():
        assert hindrance(one, dealer, status) == why_not, status
