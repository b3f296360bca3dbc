"""What comes late, in part, or after a run that died: in the end it stands in Claire all the same."""

from __future__ import annotations

from datetime import date

import duckdb

from autoflex_pipeline.runs import steps
from autoflex_pipeline.runs.context import RunContext, RunOptions
from autoflex_pipeline.runs.orders import read_months, read_open_orders
from autoflex_pipeline.runs.parts import read_lines, read_relations, read_vehicles
from autoflex_pipeline_tests.domain import new_run_id, options_of_months
from autoflex_pipeline_tests.world import JANSEN, World, line, load, order, vehicle

SEPTEMBER = {JANSEN: [(date(2026, 9, 1), date(2026, 9, 30))]}


def context_of(world: World, options: RunOptions | None = None) -> RunContext:
    return world.installation.run_context(new_run_id(), options or RunOptions())


def die_after_staging(world: World) -> None:
    """A tick that is killed before anything is delivered."""
    context = context_of(world)
    read_open_orders(context)
    read_lines(context)
    read_vehicles(context)
    read_relations(context)
    steps.stage(context)


def test_a_line_that_moved_to_a_page_already_read_is_found_by_the_next_run(world: World) -> None:
    """Found by the histories of seed 92: nothing tells that it was missed, and its order did not change."""
    load(world, orders=60, lines=2)
    world.autoflex.set_fault("shift", endpoint="order_line", rows=-1)
    world.tick()
    assert world.query("SELECT count(*) FROM intervention") == [(119,)]
    world.autoflex.clear_faults()
    assert world.tick()[JANSEN]["delivery"]["updated"] == 1
    assert world.query("SELECT count(*) FROM intervention") == [(120,)]
    asked = world.autoflex.requests(JANSEN, "order_line")
    assert world.tick()[JANSEN]["ok"]
    assert world.autoflex.requests(JANSEN, "order_line") == asked, "twice is enough"


def test_lines_first_read_in_part_stand_in_their_places_once_they_are_read_completely(world: World) -> None:
    """Two pages of lines, the second refused at first; lines without a number stand where the DMS gives them."""
    numbers = [None if place % 2 else place // 2 for place in range(1, 131)]
    lines = [line(9000 + place, 50001, line_number=numbers[place - 1]) for place in range(1, 131)]
    world.autoflex.load(JANSEN, {"order": [order(50001)], "order_line": lines, "vehicle": [vehicle()], "relation": []})
    world.autoflex.set_fault("status", endpoint="order_line", page=2, status=403)
    assert not world.tick()[JANSEN]["ok"]
    world.autoflex.clear_faults()
    world.tick()
    held = world.held("50001")
    assert held is not None
    places = {str(9000 + place): numbers[place - 1] or place for place in range(1, 131)}
    given = [each["dms_nr"] for each in held["interventions"]]
    assert given == sorted(places, key=lambda key: (places[key], int(key)))


def test_an_order_that_was_staged_as_open_is_owed_although_billed_before_claire_had_it(world: World) -> None:
    load(world, orders=1)
    world.claire.set_fault("unauthorized")
    world.tick()
    assert world.held("50001") is None
    world.claire.clear_faults()
    world.restart()
    world.autoflex.change(JANSEN, "order", 50001, is_invoiced=1)
    world.tick()
    held = world.held("50001")
    assert held is not None
    assert held["billed"] is True


def test_an_order_staged_as_open_by_a_run_that_died_is_owed_although_billed_meanwhile(world: World) -> None:
    load(world, orders=1)
    die_after_staging(world)
    world.autoflex.change(JANSEN, "order", 50001, is_invoiced=1)
    world.tick()
    held = world.held("50001")
    assert held is not None
    assert held["billed"] is True


def test_a_car_and_a_party_that_come_after_billing_reach_the_appointment_in_claire(world: World) -> None:
    load(world, orders=1)
    world.autoflex.change(JANSEN, "relation", 3001, last_name=None)
    world.autoflex.set_fault("status", endpoint="vehicle", status=403)
    world.tick()
    held = world.held("50001")
    assert held is not None
    assert (held["car"], held["customers"]) == (None, [])
    world.autoflex.change(JANSEN, "order", 50001, is_invoiced=1)
    world.tick()
    world.autoflex.clear_faults()
    world.tick()
    world.autoflex.change(JANSEN, "relation", 3001, last_name="Berg")
    world.tick(reread=True, full=True)
    held = world.held("50001")
    assert held is not None
    assert held["car"]["registration_number"] == "GH-123-J"


def test_a_change_to_the_car_of_a_billed_appointment_does_not_reach_claire(world: World) -> None:
    load(world, orders=1)
    world.tick()
    world.autoflex.change(JANSEN, "order", 50001, is_invoiced=1)
    world.tick()
    world.autoflex.put(JANSEN, "order", order(50002))
    world.autoflex.change(JANSEN, "vehicle", 7001, model="Polo")
    world.tick(full=True)
    models = {number: (world.held(number) or {})["car"]["model"] for number in ("50001", "50002")}
    assert models == {"50001": "Golf", "50002": "Polo"}


def test_what_a_run_that_died_had_staged_is_published_by_the_next(world: World) -> None:
    """Staged by a backfill that was killed; the next tick finds nothing new and publishes it all the same."""
    world.tick()
    billed = order(40001, plan_date_from="20260903T083000", plan_date_to=None, is_invoiced=1)
    world.autoflex.put(JANSEN, "order", billed | {"vehicle_id": None, "relation_id": None})
    context = context_of(world, options_of_months(SEPTEMBER))
    read_months(context, SEPTEMBER)
    steps.stage(context)
    world.tick(publish=True)
    with duckdb.connect(str(world.installation.settings.warehouse.analytics_path), read_only=True) as copy:
        assert copy.execute("SELECT dms_number FROM appointment").fetchall() == [("40001",)]
