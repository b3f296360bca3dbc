"""What a backfill costs is known before it starts; which months it has read, after it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from autoflex_pipeline.sources.window import month_bounds
from autoflex_pipeline_tests.commands import command
from autoflex_pipeline_tests.launchpad import launch, reported, table_of
from autoflex_pipeline_tests.world import DEVRIES, JANSEN, World, line, load, order, relation, variable, vehicle


def years_of_work(world: World) -> None:
    """360 billed orders, 30 a month in 2026, each with two lines, a car of its own and one of 40 customers."""
    orders = [
        order(
            50000 + number,
            plan_date_from=f"2026{1 + number % 12:02d}15T083000",
            plan_date_to=None,
            order_date="20251201",
            is_invoiced=1,
            vehicle_id=7000 + number,
            relation_id=3000 + number % 40,
        )
        for number in range(360)
    ]
    lines = [line(each["order_id"] * 100 + place, each["order_id"]) for each in orders for place in (1, 2)]
    cars = [
        vehicle(7000 + number, driver_relation_id=3000 + number % 40, owner_relation_id=None) for number in range(360)
    ]
    rows: dict[str, list[dict[str, Any]]] = {
        "order": orders, "order_line": lines, "vehicle": cars, "relation": [relation(3000 + n) for n in range(40)],
    }  # fmt: skip
    world.autoflex.load(JANSEN, rows)


def test_the_estimate_is_near_what_the_backfill_then_costs_and_stores_nothing(world: World) -> None:
    years_of_work(world)
    done = command(world, "sync", "--dealer", JANSEN, "--from", "2026-07", "--to", "2026-10", "--estimate", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    estimate = told["dealers"][JANSEN]
    assert (estimate["orders"], estimate["orders_in_months"]) == (360, 120)
    assert told["documents"] == 0, "history is not sent unless it is asked for"
    assert world.query("SELECT (SELECT count(*) FROM extract) + (SELECT count(*) FROM raw_record)") == [(0,)]
    looks = world.autoflex.requests(JANSEN)
    assert looks <= 30
    world.tick(months={JANSEN: [month_bounds(f"2026-{month:02d}") for month in range(7, 11)]})
    spent = world.autoflex.requests(JANSEN) - looks
    assert 0.7 * spent <= told["requests"] <= 1.5 * spent, (told, spent)


def test_what_earlier_runs_have_read_is_not_counted_again(world: World) -> None:
    """Months that had been read cost as much as before: only the list of orders is read again, no lines, no parts."""
    years_of_work(world)
    asked = ("sync", "--dealer", JANSEN, "--from", "2026-09", "--to", "2026-10", "--estimate", "--json")
    before = json.loads(command(world, *asked).out)["dealers"][JANSEN]["requests"]
    world.tick(months={JANSEN: [month_bounds("2026-09")]}, deliver_history=True)
    half = json.loads(command(world, *asked, "--deliver-history").out)["dealers"][JANSEN]
    assert half["documents"] == 30, "Claire has those of September"
    only = json.loads(command(world, *asked, "--missing").out)["dealers"][JANSEN]
    assert only["orders_in_months"] == 30, "October"
    world.tick(months={JANSEN: [month_bounds("2026-10")]})
    after = json.loads(command(world, *asked).out)["dealers"][JANSEN]["requests"]
    assert after == {"order": before["order"], "order_line": 0, "vehicle": 0, "relation": 0}
    again = command(world, *asked, "--missing")
    assert (again.code, json.loads(again.out)["dealers"]) == (0, {})


def test_with_history_the_estimate_counts_the_sending(world: World) -> None:
    years_of_work(world)
    done = command(world, "sync", "--from", "2026-07", "--to", "2026-07", "--estimate", "--deliver-history", "--json")
    told = json.loads(done.out)
    assert told["documents"] == 30
    assert world.imports() == 0


def test_an_estimate_of_a_dealer_that_cannot_be_looked_at_says_why_and_the_others_have_theirs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(world, DEVRIES, orders=2)
    monkeypatch.setenv(variable(JANSEN, "PASSWORD"), "verkeerd")
    done = command(world, "sync", "--from", "2026-11", "--to", "2026-11", "--estimate")
    assert done.code == 1
    assert "login" in done.err
    assert "verkeerd" not in done.err + done.out
    assert DEVRIES in done.out
    assert not world.installation.state.path.exists() or world.look()[DEVRIES].has_work


def test_the_job_estimates_from_the_ui(world: World) -> None:
    years_of_work(world)
    months = "first_month: 2026-07, last_month: 2026-10"
    result = launch(world, "estimate_backfill", f"ops: {{estimate: {{config: {{dealers: [{JANSEN}], {months}}}}}}}")
    assert result.success
    report = reported(result, "backfill_estimate")
    assert table_of(report["by_dealer"], "dealer", "orders_in_months", "sent_to_claire") == [(JANSEN, 120, 0)]
    assert report["requests"] > 0
    assert not launch(world, "estimate_backfill", "ops: {estimate: {config: {first_month: x, last_month: y}}}").success


def test_the_grid_on_the_terminal_says_which_months_are_whole_which_failed_and_which_never_were(world: World) -> None:
    years_of_work(world)
    world.tick(months={JANSEN: [month_bounds("2026-09")]})
    world.autoflex.set_fault("status", dealer=JANSEN, endpoint="order", status=403)
    world.tick(months={JANSEN: [month_bounds("2026-09"), month_bounds("2026-10")]})
    done = command(world, "months", "--dealer", JANSEN)
    assert done.code == 0
    (cells,) = [row.split()[2:] for row in done.out.splitlines() if row.split()[:2] == [JANSEN, "2026"]]
    assert cells == [*["·"] * 8, "30!", "FAILED", "·"]
    assert f"{JANSEN} 2026-10: " in done.err
    told = json.loads(command(world, "months", "--from", "2026-09", "--to", "2026-10", "--json").out)
    assert [(row["state"], row["staged"]) for row in told["dealers"][JANSEN]] == [("stale", 30), ("failed", 0)]
    assert [row["state"] for row in told["dealers"][DEVRIES]] == ["never", "never"]
    assert command(world, "months", "--from", "2026-13").code == 2


def test_a_backfill_is_resumed_with_what_is_missing(world: World) -> None:
    years_of_work(world)
    world.tick(months={JANSEN: [month_bounds("2026-09")]})
    asked = ("sync", "--dealer", JANSEN, "--from", "2026-09", "--to", "2026-11", "--missing", "--json")
    told = json.loads(command(world, *asked).out)
    assert told["dealers"][JANSEN]["extracted"]["order"] == 60, "October and November; September is there"
    looked = world.autoflex.requests(JANSEN)
    again = command(world, *asked)
    assert (again.code, json.loads(again.out)["dealers"]) == (0, {})
    assert "every month that was asked for has been read whole" in again.err
    assert world.autoflex.requests(JANSEN) == looked
    assert command(world, *asked[:-1]).code == 0
    assert command(world, "sync", "--missing").code == 2


def test_a_whole_month_between_two_that_are_missing_is_read_with_them_as_the_estimate_says(world: World) -> None:
    years_of_work(world)
    world.tick(months={JANSEN: [month_bounds("2026-09")]})
    asked = ("sync", "--dealer", JANSEN, "--from", "2026-08", "--to", "2026-10", "--missing", "--json")
    expected = json.loads(command(world, *asked, "--estimate").out)["dealers"][JANSEN]["orders_in_months"]
    assert json.loads(command(world, *asked).out)["dealers"][JANSEN]["extracted"]["order"] == expected == 90
