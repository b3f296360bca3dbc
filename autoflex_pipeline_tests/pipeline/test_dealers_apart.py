"""What happens to one dealer changes nothing for another; what failed for a reason is not tried every minute."""

from __future__ import annotations

import pytest

from autoflex_pipeline.orchestration.build import build_definitions
from autoflex_pipeline.orchestration.partitions import RANGE_END, RANGE_START, partition_key
from autoflex_pipeline_tests.world import DEVRIES, JANSEN, World, load, variable


def test_a_wrong_password_of_one_dealer_does_not_touch_another(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable(JANSEN, "PASSWORD"), "verkeerd")
    load(world, JANSEN)
    load(world, DEVRIES)
    summary = world.run()
    assert not summary["ok"]
    assert not summary["dealers"][JANSEN]["ok"]
    assert "verkeerd" not in str(summary)
    assert summary["dealers"][DEVRIES]["ok"]
    assert summary["dealers"][DEVRIES]["delivery"]["created"] == 3


def test_a_wrong_password_is_not_tried_every_minute_but_at_once_when_corrected(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = f"wachtwoord-{JANSEN}"
    monkeypatch.setenv(variable(JANSEN, "PASSWORD"), "verkeerd")
    load(world, JANSEN)
    world.run()
    logins = world.autoflex.requests(JANSEN, "authenticate")
    for _ in range(4):
        world.pass_time(minutes=1)
        assert not world.look()[JANSEN].has_work
    assert world.autoflex.requests(JANSEN, "authenticate") == logins
    world.pass_time(minutes=1)
    assert world.look()[JANSEN].has_work
    world.run()
    for minutes, expected in ((14, False), (1, True)):
        world.pass_time(minutes=minutes)
        assert world.look()[JANSEN].has_work is expected
    world.run()
    monkeypatch.setenv(variable(JANSEN, "PASSWORD"), good)
    assert world.look()[JANSEN].has_work
    assert world.run()["ok"]


def test_a_missing_variable_of_one_dealer_fails_that_dealer_only(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(variable(JANSEN, "API_KEY"))
    load(world, JANSEN)
    load(world, DEVRIES)
    summary = world.run()
    assert variable(JANSEN, "API_KEY") in summary["dealers"][JANSEN]["error"]
    assert summary["dealers"][DEVRIES]["delivery"]["created"] == 3


def test_a_run_narrowed_to_one_dealer_leaves_the_other_alone(world: World) -> None:
    load(world, JANSEN)
    load(world, DEVRIES)
    summary = world.run(DEVRIES)
    assert list(summary["dealers"]) == [DEVRIES]
    assert world.held("50001", JANSEN) is None
    assert world.autoflex.requests(JANSEN) == 0


def test_a_quiet_look_finds_nothing_to_do_and_a_changed_order_something(world: World) -> None:
    load(world, JANSEN)
    load(world, DEVRIES)
    world.run()
    seen = world.look()
    assert [outlook.has_work for outlook in seen.values()] == [False, False]
    assert "3 open orders" in seen[JANSEN].reason
    world.autoflex.change(DEVRIES, "order", 50001, notes="anders")
    seen = world.look()
    assert (seen[JANSEN].has_work, seen[DEVRIES].has_work) == (False, True)


def test_every_ten_minutes_there_is_something_to_read_again(world: World) -> None:
    load(world, JANSEN)
    world.run()
    world.pass_time(minutes=10)
    assert world.look()[JANSEN].has_work


def test_an_unreachable_dms_asks_for_a_run_that_says_so(world: World) -> None:
    load(world, JANSEN)
    world.run()
    world.autoflex.set_fault("status", dealer=JANSEN, endpoint="order", status=403)
    assert world.look()[JANSEN].has_work
    assert not world.run()["dealers"][JANSEN]["ok"]


def test_a_dms_that_refuses_its_list_of_orders_is_not_asked_every_minute_and_is_believed_when_it_answers(
    world: World,
) -> None:
    """A login without the right to see orders, or an address that is no longer right: a fault of configuration."""
    load(world, JANSEN)
    load(world, DEVRIES)
    world.run()
    world.autoflex.set_fault("status", dealer=JANSEN, endpoint="order", status=403)
    refused = world.run()["dealers"]
    assert (refused[JANSEN]["ok"], refused[DEVRIES]["ok"]) == (False, True)
    world.autoflex.change(JANSEN, "order", 50001, notes="anders")
    world.autoflex.clear_requests()
    held = world.look()[JANSEN]
    assert not held.has_work
    assert "refused it with 403" in held.reason
    assert world.autoflex.requests(JANSEN) == 0
    world.autoflex.clear_faults()
    world.pass_time(minutes=6)
    assert world.look()[JANSEN].has_work
    assert world.run()["dealers"][JANSEN]["delivery"]["updated"] == 1
    assert not world.look()[JANSEN].reason.startswith("held")


def test_a_refused_login_during_a_full_pass_does_not_touch_another(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(world, JANSEN)
    load(world, DEVRIES)
    world.run()
    world.autoflex.revoke_tokens(JANSEN)
    monkeypatch.setenv(variable(JANSEN, "PASSWORD"), "verkeerd")
    world.autoflex.change(DEVRIES, "order", 50001, notes="anders")
    summary = world.run(full=True)
    assert not summary["dealers"][JANSEN]["ok"]
    assert summary["dealers"][DEVRIES]["delivery"]["updated"] == 1


def test_months_of_one_dealer_from_the_ui_leave_other_dealers_alone(world: World) -> None:
    for dealer_id in (JANSEN, DEVRIES):
        load(world, dealer_id, orders=1)
        world.autoflex.change(dealer_id, "order", 50001, is_invoiced=1)
    world.sync(DEVRIES, months=("2026-11", "2026-11"))
    definitions = build_definitions(world.installation)
    months = {RANGE_START: partition_key(JANSEN, "2026-11"), RANGE_END: partition_key(JANSEN, "2026-11")}
    result = definitions.resolve_job_def("backfill").execute_in_process(
        tags=months, run_config={"resources": {"options": {"config": {"deliver_history": True}}}}
    )
    assert result.success
    assert world.held("50001", JANSEN) is not None
    assert world.held("50001", DEVRIES) is None
