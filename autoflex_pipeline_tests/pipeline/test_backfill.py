"""Months of a dealer: staged whole in one run; history goes to Claire only when it is asked for."""

from __future__ import annotations

from datetime import date

import pytest

from autoflex_pipeline.runs.context import RunOptions
from autoflex_pipeline.runs.orders import read_months
from autoflex_pipeline_tests.domain import new_run_id
from autoflex_pipeline_tests.world import JANSEN, World, line, order, relation, vehicle

SEPTEMBER = (date(2026, 9, 1), date(2026, 9, 30))
OCTOBER = (date(2026, 10, 1), date(2026, 10, 31))


def history(world: World) -> None:
    """Two billed orders in September, one in October, one open in November."""
    planned = {50001: "20260903T083000", 50002: "20260930T083000", 50003: "20261001T083000", 50004: "20261126T083000"}
    world.autoflex.load(
        JANSEN,
        {
            "order": [
                order(
                    number,
                    plan_date_from=day,
                    plan_date_to=None,
                    order_date="20260801",
                    is_invoiced=int(number < 50004),
                )
                for number, day in planned.items()
            ],
            "order_line": [line(number * 100, number) for number in planned],
            "vehicle": [vehicle()],
            "relation": [relation()],
        },
    )


def staged(world: World) -> list[str]:
    return [row[0] for row in world.query("SELECT dms_number FROM appointment ORDER BY 1")]


def test_a_tick_brings_open_work_and_not_the_past(world: World) -> None:
    history(world)
    world.tick()
    assert staged(world) == ["50004"]


def test_a_backfill_stages_the_months_and_sends_no_history(world: World) -> None:
    history(world)
    summary = world.sync(JANSEN, months=("2026-09", "2026-09"))
    assert summary["ok"], summary
    assert staged(world) == ["50001", "50002"]
    assert summary["dealers"][JANSEN]["extracted"]["order"] == 2
    assert world.imports() == 0
    assert world.query("SELECT count(*) FROM intervention") == [(2,)]


def test_history_is_delivered_when_asked_for(world: World) -> None:
    history(world)
    summary = world.tick(months={JANSEN: [SEPTEMBER, OCTOBER]}, deliver_history=True)
    assert summary[JANSEN]["delivery"]["created"] == 3
    held = world.held("50001")
    assert held is not None
    assert held["billed"] is True


def test_a_second_backfill_changes_nothing(world: World) -> None:
    history(world)
    world.tick(months={JANSEN: [SEPTEMBER, OCTOBER]}, deliver_history=True)
    sent = world.imports()
    summary = world.tick(months={JANSEN: [SEPTEMBER, OCTOBER]}, deliver_history=True)
    assert world.imports() == sent
    assert summary[JANSEN]["staged"]["appointment"] == {"accepted": 0, "unchanged": 3, "quarantined": 0}


def test_open_work_in_the_months_is_delivered(world: World) -> None:
    history(world)
    summary = world.sync(months=("2026-11", "2026-11"))
    assert summary["ok"], summary
    assert summary["dealers"][JANSEN]["delivery"]["created"] == 1


def test_an_order_that_claire_has_is_kept_in_step_by_a_backfill(world: World) -> None:
    history(world)
    world.tick(months={JANSEN: [SEPTEMBER]}, deliver_history=True)
    world.autoflex.change(JANSEN, "order", 50001, notes="nagekomen")
    world.tick(months={JANSEN: [SEPTEMBER]})
    held = world.held("50001")
    assert held is not None
    assert held["dms_notes"] == "nagekomen"


def read_and_die(world: World) -> None:
    """A backfill of September that stores its orders and does not stage them."""
    read_months(world.installation.run_context(new_run_id(), RunOptions()), {JANSEN: [SEPTEMBER]})
    world.pass_time(minutes=1)


@pytest.mark.parametrize("day", [date(2026, 8, 28), date(2026, 10, 9)], ids=["earlier", "later"])
@pytest.mark.parametrize("range_filters", [False, True], ids=["all are listed", "those since are listed"])
def test_an_order_that_moves_to_another_month_after_a_run_stored_it_and_died_is_staged_where_it_is(
    world: World, day: date, range_filters: bool
) -> None:
    """What the histories of seed 36 found, in a backfill: it was staged where it had been."""
    world.configure(dealers={JANSEN: {"api": {"range_filters": range_filters}}})
    world.restart()
    world.autoflex.set_switches(range_filters="honoured")
    history(world)
    read_and_die(world)
    world.autoflex.change(JANSEN, "order", 50002, plan_date_from=f"{day:%Y%m%d}T083000")
    world.tick(months={JANSEN: [SEPTEMBER]})
    assert world.query("SELECT appointment_date FROM appointment WHERE dms_number = '50002'") == [(day,)]


def test_an_order_that_goes_after_a_run_stored_it_and_died_is_no_history_to_deliver(world: World) -> None:
    history(world)
    read_and_die(world)
    world.autoflex.delete(JANSEN, "order", 50002)
    delivery = world.tick(months={JANSEN: [SEPTEMBER]}, deliver_history=True)[JANSEN]["delivery"]
    assert (delivery["created"], delivery["waiting"]) == (1, 1)
    world.pass_time(minutes=61)
    assert world.tick()[JANSEN]["delivery"]["waiting"] == 0, "ticks find out whether it is gone"
    assert world.query("SELECT is_canceled FROM appointment WHERE dms_number = '50002'") == [(True,)]
    assert world.held("50002") is None


def test_a_list_that_lacks_what_a_run_stored_before_it_died_is_not_believed(world: World) -> None:
    history(world)
    world.autoflex.put(JANSEN, "order", order(50005, plan_date_from="20260907T083000", is_invoiced=1))
    read_and_die(world)
    for number in (50001, 50002, 50005):
        world.autoflex.delete(JANSEN, "order", number)
    summary = world.tick(months={JANSEN: [SEPTEMBER]})[JANSEN]
    assert not summary["ok"]
    assert "lacks 3 of the 3 orders staged in 2026-09" in summary["error"]
    assert world.query("SELECT count(*) FROM absence") == [(0,)]
