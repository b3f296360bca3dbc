"""What is gone from the DMS, slowly believed; mass changes, not believed at all until a person says so."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from autoflex_pipeline.runs.context import RunOptions
from autoflex_pipeline.runs.orders import read_open_orders
from autoflex_pipeline.state.holds import current_hold
from autoflex_pipeline_tests.domain import new_run_id
from autoflex_pipeline_tests.world import JANSEN, World, load, order, variable


def gone_for_good(world: World) -> dict[str, Any]:
    """Order 50002 is gone from the DMS, which is confirmed; gives it as it was."""
    load(world, orders=3)
    row = world.autoflex.row(JANSEN, "order", 50002)
    world.run()
    world.autoflex.delete(JANSEN, "order", 50002)
    world.run()
    world.pass_time(minutes=61)
    world.run()
    return row


def test_an_order_that_is_gone_is_canceled_only_after_a_second_confirmation(world: World) -> None:
    load(world, orders=3)
    world.run()
    world.autoflex.delete(JANSEN, "order", 50002)
    world.run()
    world.pass_time(minutes=30)
    world.run()
    held = world.held("50002")
    assert held is not None
    assert held["canceled"] is False
    world.pass_time(minutes=31)
    world.run()
    held = world.held("50002")
    assert held is not None
    assert held["canceled"] is True
    others = [world.held(number) for number in ("50001", "50003")]
    assert [other["canceled"] for other in others if other] == [False, False]


def test_an_order_that_is_gone_is_canceled_though_claire_refused_the_repetition_of_what_it_had_taken(
    world: World,
) -> None:
    """Found by the histories of seed 17: Claire never having answered well, it was taken for never having had it."""
    load(world, orders=2)
    world.claire.set_fault("reset_after", dms_nr="50001", times=1)
    world.claire.set_fault("status_before", dms_nr="50001", status=422, after=1, times=1)
    summary = world.run()
    assert summary["dealers"][JANSEN]["delivery"]["rejected"] == 1
    assert world.held("50001") is not None
    world.autoflex.delete(JANSEN, "order", 50001)
    world.run()
    world.pass_time(minutes=61)
    world.run()
    held = world.held("50001")
    assert held is not None
    assert held["canceled"] is True


def test_an_order_that_is_billed_after_a_run_stored_it_and_died_is_not_staged_as_open(world: World) -> None:
    """Found by the histories of seed 36: it was in no open list any more, and nobody asked for it."""
    load(world, orders=3)
    read_open_orders(world.installation.run_context(new_run_id(), RunOptions()))
    world.autoflex.change(JANSEN, "order", 50001, is_invoiced=1)
    assert world.tick()[JANSEN]["delivery"]["created"] == 2
    assert world.query("SELECT is_billed FROM appointment WHERE dms_number = '50001'") == [(True,)]
    assert world.held("50001") is None


def test_an_order_that_goes_after_a_run_stored_it_and_died_is_never_made_in_claire(world: World) -> None:
    load(world, orders=3)
    read_open_orders(world.installation.run_context(new_run_id(), RunOptions()))
    world.pass_time(minutes=1)
    world.autoflex.delete(JANSEN, "order", 50001)
    delivery = world.tick()[JANSEN]["delivery"]
    assert (delivery["created"], delivery["waiting"]) == (2, 1)
    world.pass_time(minutes=61)
    assert world.tick()[JANSEN]["delivery"]["waiting"] == 0
    assert world.query("SELECT is_canceled FROM appointment WHERE dms_number = '50001'") == [(True,)]
    assert world.held("50001") is None


def test_an_order_that_was_found_missing_before_claire_had_it_is_made_there_when_it_is_back(world: World) -> None:
    load(world, orders=3)
    row = world.autoflex.row(JANSEN, "order", 50001)
    world.tick(dry_run=True)
    world.autoflex.delete(JANSEN, "order", 50001)
    assert world.tick()[JANSEN]["delivery"]["created"] == 2
    world.pass_time(minutes=1)
    world.autoflex.put(JANSEN, "order", row)
    assert world.tick()[JANSEN]["delivery"]["created"] == 1


def test_an_order_that_comes_back_for_a_run_that_dies_and_goes_again_stays_canceled(world: World) -> None:
    row = gone_for_good(world)
    world.autoflex.put(JANSEN, "order", row)
    read_open_orders(world.installation.run_context(new_run_id(), RunOptions()))
    world.pass_time(minutes=1)
    world.autoflex.delete(JANSEN, "order", 50002)
    world.run()
    held = world.held("50002")
    assert held is not None
    assert held["canceled"] is True
    assert world.query("SELECT count(*) FROM finding WHERE rule = 'returned_to_dms'") == [(0,)]


def test_an_order_that_comes_back_is_no_longer_canceled_and_it_is_said(world: World) -> None:
    row = gone_for_good(world)
    world.autoflex.put(JANSEN, "order", {key: value for key, value in row.items() if key != "last_modified"})
    world.run()
    held = world.held("50002")
    assert held is not None
    assert held["canceled"] is False
    assert world.query("SELECT count(*) FROM finding WHERE rule = 'returned_to_dms'") == [(1,)]


def test_an_order_that_moved_to_another_month_is_not_missing(world: World) -> None:
    load(world, orders=2)
    world.run()
    world.autoflex.change(JANSEN, "order", 50001, plan_date_from="20270110T083000", plan_date_to=None)
    world.run()
    held = world.held("50001")
    assert held is not None
    assert held["appointment_date"] == "2027-01-10"
    assert world.query("SELECT count(*) FROM absence") == [(0,)]


def test_an_emptied_list_is_not_believed_and_a_person_can_let_it_through(world: World) -> None:
    load(world, orders=6)
    world.run()
    sent = world.imports()
    for number in range(50001, 50007):
        world.autoflex.change(JANSEN, "order", number, is_invoiced=1)
    summary = world.run()
    assert not summary["ok"]
    assert "--allow-mass-change" in summary["dealers"][JANSEN]["error"]
    assert summary["dealers"][JANSEN]["delivery"]["pending"] == 6
    assert world.imports() == sent
    assert not world.look()[JANSEN].has_work
    world.pass_time(minutes=6)
    assert world.look()[JANSEN].has_work
    summary = world.run(allow_mass_change=True)
    assert summary["ok"], summary
    assert summary["dealers"][JANSEN]["delivery"]["updated"] == 6


@pytest.mark.parametrize("status", [500, 403])
def test_an_emptied_list_stays_unbelieved_while_no_list_can_be_read(world: World, status: int) -> None:
    load(world, orders=4)
    world.run()
    sent = world.imports()
    for number in range(50001, 50005):
        world.autoflex.change(JANSEN, "order", number, is_invoiced=1)
    assert "no open work order at all" in world.run()["dealers"][JANSEN]["error"]
    world.autoflex.set_fault("status", endpoint="order", status=status)
    world.run()
    assert world.imports() == sent
    world.autoflex.clear_faults()
    for number in range(50001, 50005):
        world.autoflex.change(JANSEN, "order", number, is_invoiced=0, notes="toch niet")
    assert world.run()["ok"]
    assert world.imports() == sent + 4


def test_a_refused_login_keeps_its_hold_beside_the_guards_and_is_tried_ever_more_rarely(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(world, orders=4)
    world.run()
    for number in range(50001, 50005):
        world.autoflex.change(JANSEN, "order", number, is_invoiced=1)
    world.run()
    monkeypatch.setenv(variable(JANSEN, "PASSWORD"), "verkeerd")
    world.restart()
    for attempts in (1, 2, 3):
        assert not world.tick(dealers=(JANSEN,))[JANSEN]["ok"]
        with world.installation.state.begin() as state:
            held = current_hold(state, JANSEN)
        assert held is not None
        assert (held["kind"], held["attempts"]) == ("login", attempts)


def test_a_dms_that_shrinks_is_not_believed(world: World) -> None:
    load(world, orders=10)
    world.tick()
    for number in range(50001, 50006):
        world.autoflex.delete(JANSEN, "order", number)
    assert world.tick()[JANSEN]["ok"], "missing so far"
    world.pass_time(minutes=61)
    summary = world.tick()[JANSEN]
    assert "5 of 10 open appointments would be canceled" in summary["error"]
    assert not any(appointment["canceled"] for appointment in world.claire.appointments("101"))
    assert world.tick(allow_mass_change=True)[JANSEN]["delivery"]["updated"] == 5
    assert sum(appointment["canceled"] for appointment in world.claire.appointments("101")) == 5


def test_many_redated_appointments_trip_the_guard(world: World) -> None:
    load(world, orders=10)
    world.run()
    for number in range(50001, 50006):
        world.autoflex.change(JANSEN, "order", number, plan_date_from="20261212T083000", plan_date_to=None)
    assert not world.run()["ok"]
    held = world.held("50001")
    assert held is not None
    assert held["appointment_date"] == "2026-11-25"


def test_four_redated_appointments_are_no_mass_change(world: World) -> None:
    load(world, orders=5)
    world.run()
    for number in range(50001, 50005):
        world.autoflex.change(JANSEN, "order", number, plan_date_from="20261212T083000", plan_date_to=None)
    assert world.run()["ok"]


def test_an_incomplete_list_concludes_nothing(world: World) -> None:
    load(world, orders=150)
    world.run()
    world.autoflex.set_fault("status", endpoint="order", page=2, status=403)
    summary = world.run()
    assert not summary["dealers"][JANSEN]["ok"]
    assert "only in part" in summary["dealers"][JANSEN]["error"]
    assert world.query("SELECT count(*) FROM absence") == [(0,)]


def test_lines_that_vanish_from_every_order_are_not_believed(world: World) -> None:
    load(world, orders=6)
    world.run()
    world.autoflex.set_fault("empty", endpoint="order_line")
    summary = world.run(full=True)
    assert "came back without any" in summary["dealers"][JANSEN]["error"]
    held = world.held("50001")
    assert held is not None
    assert len(held["interventions"]) == 2
    world.autoflex.clear_faults()
    assert world.run(full=True)["ok"]


def test_resending_does_not_lift_the_guard(world: World) -> None:
    load(world, orders=10)
    world.run()
    for number in range(50001, 50006):
        world.autoflex.change(JANSEN, "order", number, plan_date_from="20261212T083000", plan_date_to=None)
    world.run()
    for _ in range(2):
        world.sync(JANSEN, numbers=["50001"], force=True, reread=False)
    held = world.held("50001")
    assert held is not None
    assert held["appointment_date"] == "2026-11-25"


def test_a_gone_order_whose_newest_version_is_in_quarantine_is_canceled_as_it_was_last_good(world: World) -> None:
    load(world, orders=3)
    world.tick()
    world.autoflex.change(JANSEN, "order", 50002, order_number="", notes="nooit goedgekeurd")
    assert world.tick()[JANSEN]["staged"]["appointment"]["quarantined"] == 1
    world.autoflex.delete(JANSEN, "order", 50002)
    world.tick()
    world.pass_time(minutes=61)
    assert world.tick()[JANSEN]["ok"]
    held = world.held("50002")
    assert held is not None
    assert (held["canceled"], held["wo_nr"], held["dms_notes"]) == (True, "2026-50002", "Klant wacht")
    assert world.query("SELECT DISTINCT state FROM quarantine") == [("gone",)]


def test_an_order_of_the_past_that_is_deleted_is_canceled_by_backfills(world: World) -> None:
    load(world, orders=2)
    for number in (50001, 50002):
        world.autoflex.change(JANSEN, "order", number, plan_date_from="20260903T083000", plan_date_to=None)
        world.autoflex.change(JANSEN, "order", number, order_date="20260901", is_invoiced=1)
    september = {JANSEN: [(date(2026, 9, 1), date(2026, 9, 30))]}
    world.tick(months=september, dealers=(JANSEN,), deliver_history=True)
    world.autoflex.delete(JANSEN, "order", 50001)
    for minutes in (0, 61):
        world.pass_time(minutes=minutes)
        world.tick(months=september, dealers=(JANSEN,))
    held = {number: world.held(number) for number in ("50001", "50002")}
    assert {number: each["canceled"] for number, each in held.items() if each} == {"50001": True, "50002": False}


def test_a_billed_order_in_quarantine_is_not_asked_for_again_and_again(world: World) -> None:
    load(world, orders=1)
    world.autoflex.put(JANSEN, "order", order(50009, order_number="", is_invoiced=1))
    world.tick(months={JANSEN: [(date(2026, 11, 1), date(2026, 11, 30))]}, dealers=(JANSEN,))
    assert world.query("SELECT dms_number, state FROM quarantine") == [("50009", "open")]
    world.autoflex.clear_requests()
    world.tick(dealers=(JANSEN,))
    assert world.autoflex.requests(JANSEN, "order") == 1


SEPTEMBER = {JANSEN: [(date(2026, 9, 1), date(2026, 9, 30))]}


def test_a_month_that_would_lose_rows_is_not_believed_and_a_person_can_let_it_through(world: World) -> None:
    """A backfill canceled whatever its list lacked, however much: only a tick had a guard."""
    load(world, orders=6)
    for number in range(50001, 50007):
        world.autoflex.change(JANSEN, "order", number, plan_date_from="20260903T083000", plan_date_to=None)
        world.autoflex.change(JANSEN, "order", number, order_date="20260901", is_invoiced=1)
    assert world.tick(months=SEPTEMBER, dealers=(JANSEN,), deliver_history=True)[JANSEN]["ok"]
    for number in range(50001, 50006):
        world.autoflex.delete(JANSEN, "order", number)
    summary = world.tick(months=SEPTEMBER, dealers=(JANSEN,))[JANSEN]
    assert not summary["ok"]
    assert "lacks 5 of the 6 orders staged in 2026-09: not believed" in summary["error"]
    assert "--allow-mass-change" in summary["error"]
    assert world.query("SELECT count(*) FROM absence") == [(0,)]
    believed = (
        "SELECT is_complete, count(*) FROM extract WHERE source = 'api:orders_by_month' GROUP BY ALL ORDER BY ALL"
    )
    assert world.query(believed) == [(False, 1), (True, 1)]
    for minutes in (0, 61):
        world.pass_time(minutes=minutes)
        assert world.tick(months=SEPTEMBER, dealers=(JANSEN,), allow_mass_change=True)[JANSEN]["ok"]
    held = [world.held(str(number)) for number in range(50001, 50007)]
    assert [each["canceled"] for each in held if each] == [True] * 5 + [False]
    # What is known to be gone is not counted as lost again.
    assert world.tick(months=SEPTEMBER, dealers=(JANSEN,))[JANSEN]["ok"]


def test_a_billed_order_that_a_backfill_lacked_gives_the_schedule_no_work(world: World) -> None:
    """No tick asks for a billed order, so that none can confirm its absence: it had a run every minute for good."""
    load(world, orders=2)
    world.tick()
    world.autoflex.change(JANSEN, "order", 50001, is_invoiced=1)
    november = {JANSEN: [(date(2026, 11, 1), date(2026, 11, 30))]}
    world.tick(months=november)
    world.autoflex.delete(JANSEN, "order", 50001)
    world.tick(months=november)
    assert world.query("SELECT dms_number FROM absence WHERE confirmed_at IS NULL") == [("50001",)]
    world.pass_time(minutes=61)
    world.tick()
    assert world.look()[JANSEN].reason == "1 open orders, as last staged"
    assert not world.look()[JANSEN].has_work


def test_an_open_order_that_is_missing_gives_the_schedule_work_once_it_may_be_confirmed(world: World) -> None:
    load(world, orders=2)
    world.autoflex.change(JANSEN, "order", 50001, plan_date_from="20261203T083000", plan_date_to=None)
    world.tick()
    world.autoflex.delete(JANSEN, "order", 50001)
    world.tick()
    world.pass_time(minutes=55)
    world.tick()
    world.pass_time(minutes=6)
    assert world.look()[JANSEN].reason == "an absence to confirm"
