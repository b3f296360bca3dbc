"""Volume and changes against the same weekday, spread of values, references, share of quarantine."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from autoflex_pipeline_tests.unit.quality.conftest import DEALER, NOW, Past, ago


def tuesdays(past: Past, number: int, weeks: int = 8, **before_now: float) -> None:
    """So many new appointments on each of the last Tuesdays, an hour before this time of the day."""
    for week in range(1, weeks + 1):
        past.appointments(number, ago(weeks=week, **(before_now or {"hours": 1})))


def test_a_dealer_that_is_new_is_not_judged_by_its_weekdays(past: Past) -> None:
    past.watched_for(20)
    tuesdays(past, 20, weeks=2)
    verdict = past.check("volume_as_usual")
    assert verdict.passed
    assert verdict.told == f"{DEALER}: not enough history yet (20 of 28 days)"


def test_far_fewer_new_orders_than_on_that_weekday_warn(past: Past) -> None:
    past.watched_for(60)
    tuesdays(past, 20)
    past.appointments(3, ago(hours=1))
    verdict = past.check("volume_as_usual")
    assert (verdict.passed, verdict.severity) == (False, "warn")
    assert verdict.told == f"{DEALER}: 3 new today, usually 20 by now"


def test_the_day_is_compared_up_to_this_time_only(past: Past) -> None:
    past.watched_for(60)
    tuesdays(past, 20, hours=-2)  # they came in the afternoon, which is still ahead
    assert past.check("volume_as_usual").passed


def test_other_weekdays_do_not_count(past: Past) -> None:
    past.watched_for(60)
    tuesdays(past, 20, days=1, hours=1)  # Mondays
    assert past.check("volume_as_usual").passed


def test_a_flood_of_new_orders_warns(past: Past) -> None:
    past.watched_for(60)
    tuesdays(past, 8)
    past.appointments(40, ago(hours=1))
    assert past.check("volume_as_usual").told == f"{DEALER}: 40 new today, at most 8 by now in 8 weeks"


def test_a_small_dealer_with_an_empty_day_does_not_warn(past: Past) -> None:
    past.watched_for(60)
    tuesdays(past, 4)
    assert past.check("volume_as_usual").passed


def changed(past: Past, **before: float) -> None:
    past.raw([{"order_id": 1}], ago(**before))


@pytest.mark.parametrize(("hours", "passes"), [(1, True), (3, True), (9, False)])
def test_a_silence_is_long_when_it_is_twice_as_long_as_it_ever_was_on_that_weekday(
    past: Past, hours: float, passes: bool
) -> None:
    past.watched_for(60)
    for week in range(1, 9):
        changed(past, weeks=week, hours=2)
    changed(past, hours=hours)
    assert past.check("changes_as_usual").passed is passes


def test_a_dealer_that_is_always_silent_at_this_time_does_not_warn(past: Past) -> None:
    past.watched_for(60)
    for week in range(1, 9):
        changed(past, weeks=week, hours=14)
    changed(past, hours=20)
    assert past.check("changes_as_usual").passed


def test_values_that_are_filled_far_less_often_than_before_warn(past: Past) -> None:
    past.watched_for(40)
    past.appointments(300, ago(days=10), dms_notes="x", is_internal=False)
    past.appointments(60, ago(hours=2), dms_notes=None, is_internal=True)
    verdict = past.check("values_as_usual", "appointment")
    assert not verdict.passed
    assert "dms_notes: 0% filled, before 100%" in verdict.told
    assert "is_internal: 100% true, before 0%" in verdict.told


def test_numbers_of_another_size_warn(past: Past) -> None:
    past.watched_for(40)
    past.appointments(300, ago(days=10), dms_mileage=60_000)
    past.appointments(60, ago(hours=2), dms_mileage=600_000)
    assert "dms_mileage: middle value 600000, before 60000" in past.check("values_as_usual", "appointment").told


@pytest.mark.parametrize("run", ["tick", "backfill"])
def test_what_a_backfill_brings_is_not_held_against_the_past(past: Past, run: str) -> None:
    past.watched_for(40)
    past.insert("extract", [{"dealer_id": DEALER, "run_id": "backfill", "window_from": NOW, "started_at": NOW}])
    past.appointments(300, ago(days=10), dms_notes="x")
    past.appointments(60, ago(hours=2), run_id=run)
    assert past.check("values_as_usual", "appointment").passed is (run == "backfill")


@pytest.mark.parametrize(("before", "of_late"), [(300, 49), (199, 60)])
def test_few_versions_are_not_compared(past: Past, before: int, of_late: int) -> None:
    past.watched_for(40)
    past.appointments(before, ago(days=10), dms_notes="x")
    past.appointments(of_late, ago(hours=2))
    assert past.check("values_as_usual", "appointment").passed


@pytest.mark.parametrize(("waited", "orphans", "passes"), [(25, 5, False), (25, 4, True), (23, 5, True)])
def test_references_to_what_never_came_warn_after_the_waiting_hours(
    past: Past, waited: float, orphans: int, passes: bool
) -> None:
    past.watched_for(1)
    past.appointments(orphans, ago(hours=waited), car_dms_number="7001")
    assert past.check("no_orphans", "appointment").passed is passes


def test_a_line_whose_order_is_there_is_no_orphan(past: Past) -> None:
    past.watched_for(1)
    past.appointments(1, ago(hours=30))
    lines: list[dict[str, Any]] = [
        {"dealer_id": DEALER, "dms_number": str(number), "appointment_dms_number": "1", "observed_at": ago(hours=30)}
        for number in range(10)
    ]
    past.insert("intervention", lines)
    assert past.check("no_orphans", "intervention").numbers == {"orphans": 0}


@pytest.mark.parametrize(("rejected", "passes"), [(4, True), (6, False)])
def test_a_large_share_in_quarantine_warns_and_a_few_rows_do_not(past: Past, rejected: int, passes: bool) -> None:
    past.watched_for(1)
    past.appointments(60, ago(hours=1))
    entries = [
        {"dealer_id": DEALER, "entity": "appointment", "dms_number": f"bad-{number}", "rule": rule, "state": "open"}
        for number in range(rejected)
        for rule in ("wo_number_missing", "date_out_of_range")
    ]
    past.insert("quarantine", entries)
    verdict = past.check("few_rejected", "appointment")
    assert (verdict.passed, verdict.numbers) == (passes, {"rejected": rejected})


def test_a_new_installation_passes_everything(past: Past) -> None:
    for subject, names in (
        ("open_orders", ("schema_as_known", "volume_as_usual", "changes_as_usual")),
        ("car", ("few_rejected", "values_as_usual", "no_orphans")),
    ):
        for name in names:
            assert past.check(name, subject, NOW + timedelta(days=1)).passed
