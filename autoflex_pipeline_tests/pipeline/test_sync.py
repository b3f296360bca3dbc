"""The whole road: orders of an Autoflex, staged in DuckDB, stand in Claire.

The first two go through the job, as the command does; the others through the same steps without Dagster.
"""

from __future__ import annotations

import json

import pytest

from autoflex_pipeline.runs.context import RunOptions
from autoflex_pipeline.runs.orders import read_open_orders
from autoflex_pipeline.runs.parts import read_lines, read_relations, read_vehicles
from autoflex_pipeline_tests.commands import command
from autoflex_pipeline_tests.world import DEVRIES, JANSEN, World, line, load, order, relation, vehicle


def test_a_first_sync_brings_every_field_of_an_appointment_to_claire(world: World) -> None:
    world.autoflex.load(
        JANSEN,
        {
            "order": [
                order(50012, notes="Klant wacht\r\nop leenauto", is_internal=1, vehicle_id=7001, relation_id=3090)
            ],
            "order_line": [
                line(900442, 50012, line_number=2, description="APK", price_incl_vat="49.50"),
                line(900441, 50012, line_number=1, description="Grote beurt", price_incl_vat=389),
            ],
            "vehicle": [vehicle(7001, notes="kras links", driver_relation_id=3001, owner_relation_id=3090)],
            "relation": [
                relation(3001),
                relation(3090, company_name="Lease BV", last_name=None, last_name_prefix=None),
            ],
        },
    )
    summary = world.sync()
    assert summary["ok"], summary
    part = summary["dealers"][JANSEN]
    assert part["extracted"] == {"order": 1, "order_line": 2, "vehicle": 1, "relation": 2}
    assert part["staged"]["appointment"] == {"accepted": 1, "unchanged": 0, "quarantined": 0}
    assert part["delivery"]["created"] == 1
    held = world.held("50012")
    assert held is not None
    assert {name: held[name] for name in (
        "dms_nr", "wo_nr", "appointment_date", "creation_date", "scheduled_in", "scheduled_out", "billed", "dms_notes",
        "car_in_shop", "internal", "dms_mileage", "canceled",
    )} == {
        "dms_nr": "50012", "wo_nr": "2026-50012", "appointment_date": "2026-11-25",
        "creation_date": "2026-11-18T14:05:00+01:00", "scheduled_in": "2026-11-25T08:30:00+01:00",
        "scheduled_out": "2026-11-25T17:00:00+01:00", "billed": False, "dms_notes": "Klant wacht\nop leenauto",
        "car_in_shop": True, "internal": True, "dms_mileage": 123456, "canceled": False,
    }  # fmt: skip
    lines = [(each["dms_nr"], each["position"], each["title"], each["price"]) for each in held["interventions"]]
    assert lines == [("900441", 1, "Grote beurt", "389.00"), ("900442", 2, "APK", "49.50")]
    assert held["car"] == {
        "dms_nr": "7001", "make": "Volkswagen", "model": "Golf", "registration_number": "GH-123-J",
        "vin": "WVWZZZ1KZAW000001", "engine_number": "CAX123456", "notes": "kras links", "driver_id": "3001",
    }  # fmt: skip
    customers = {each["customer_kind"]: {k: v for k, v in each.items() if v is not None} for each in held["customers"]}
    person = {"title": "Mevr.", "last_name": "van den Berg"}
    address = {"street": "Dorpsstraat", "house_number": "12 bis", "postcode": "1234 AB", "place": "Utrecht"}
    lease = {"title": "Mevr.", "company": "Lease BV", **address}
    assert customers == {
        "driver": {"customer_kind": "driver", "dms_nr": "3001", **person, **address},
        "owner": {"customer_kind": "owner", "dms_nr": "3090", **lease},
        "contractor": {"customer_kind": "contractor", "dms_nr": "3090", **lease},
    }


def test_a_second_sync_sends_nothing(world: World) -> None:
    load(world)
    world.sync()
    sent = world.imports()
    summary = world.sync()
    assert summary["ok"], summary
    assert world.imports() == sent
    assert summary["dealers"][JANSEN]["delivery"]["unchanged"] == 3
    assert summary["dealers"][JANSEN]["staged"]["appointment"] == {"accepted": 0, "unchanged": 3, "quarantined": 0}


def test_only_what_changed_is_sent(world: World) -> None:
    load(world)
    world.run()
    sent = world.imports()
    world.autoflex.change(JANSEN, "order", 50002, notes="Graag voor 10 uur")
    summary = world.run()
    assert summary["dealers"][JANSEN]["delivery"]["updated"] == 1
    assert world.imports() == sent + 1
    held = world.held("50002")
    assert held is not None
    assert held["dms_notes"] == "Graag voor 10 uur"


def test_interventions_follow_the_order_of_the_dms_when_lines_are_moved(world: World) -> None:
    load(world, orders=1, lines=3)
    world.run()
    world.autoflex.change(JANSEN, "order_line", 5000101, line_number=9)
    world.run()
    held = world.held("50001")
    assert held is not None
    assert [each["dms_nr"] for each in held["interventions"]] == ["5000102", "5000103", "5000101"]


def test_a_line_that_is_gone_from_its_order_is_gone_from_claire_and_staff_lines_stay(world: World) -> None:
    load(world, orders=1, lines=2)
    world.run()
    world.claire.add_staff_line("101", "50001", "Ruitenwissers", None)
    world.autoflex.delete(JANSEN, "order_line", 5000101)
    world.run()
    held = world.held("50001")
    assert held is not None
    assert [each["title"] for each in held["interventions"]] == ["Regel 5000102", "Ruitenwissers"]


def test_a_changed_car_or_party_reaches_its_open_appointments(world: World) -> None:
    load(world, orders=2)
    world.run()
    world.autoflex.change(JANSEN, "vehicle", 7001, license_plate="12AB34")
    world.autoflex.change(JANSEN, "relation", 3001, city="Houten")
    summary = world.run()
    assert summary["dealers"][JANSEN]["delivery"]["updated"] == 2
    held = world.held("50002")
    assert held is not None
    assert held["car"]["registration_number"] == "12-AB-34"
    assert {each["place"] for each in held["customers"]} == {"Houten"}


def test_an_order_that_is_billed_leaves_the_open_list_and_is_billed_in_claire(world: World) -> None:
    load(world)
    world.run()
    world.autoflex.change(JANSEN, "order", 50001, is_invoiced=1)
    summary = world.run()
    held = world.held("50001")
    assert held is not None
    assert held["billed"] is True
    assert summary["dealers"][JANSEN]["extracted"]["order"] == 3


def test_orders_of_other_types_are_skipped_and_counted(world: World) -> None:
    load(world, orders=1)
    world.autoflex.put(JANSEN, "order", order(60001, order_type=2))
    world.autoflex.put(JANSEN, "order", order(60002, order_type=None))
    part = world.run()["dealers"][JANSEN]
    assert part["skipped"] == {"not_workshop": 1, "type_missing": 1}
    assert part["extracted"]["order"] == 3
    assert world.held("60001") is None


def test_a_type_between_spaces_is_a_workshop_orders_and_brings_its_parts(world: World) -> None:
    """It was staged, and nothing that belongs to it was read: it went to Claire bare."""
    load(world, orders=1)
    world.autoflex.change(JANSEN, "order", 50001, order_type=" 1 ")
    assert world.tick()[JANSEN]["ok"]
    held = world.held("50001")
    assert held is not None
    assert (len(held["interventions"]), held["car"]["model"]) == (2, "Golf")
    assert len(held["customers"]) == 3


def test_a_bad_row_waits_in_quarantine_beside_good_ones_and_heals_by_itself(world: World) -> None:
    load(world, orders=2)
    world.autoflex.change(JANSEN, "order", 50001, plan_date_from="morgen")
    world.autoflex.change(JANSEN, "order_line", 5000201, price_incl_vat="gratis")
    part = world.run()["dealers"][JANSEN]
    assert part["ok"]
    assert part["staged"]["appointment"]["quarantined"] == 1
    assert part["staged"]["intervention"]["quarantined"] == 1
    assert world.held("50001") is None
    held = world.held("50002")
    assert held is not None
    assert [each["dms_nr"] for each in held["interventions"]] == ["5000202"]
    found = world.query(
        "SELECT dms_number, rule, field, value, hint <> '' FROM quarantine WHERE state = 'open' ORDER BY 1"
    )
    assert found == [
        ("50001", "appointment_date_unreadable", "appointment_date", "morgen", True),
        ("5000201", "price_invalid", "price", "gratis", True),
    ]
    world.autoflex.change(JANSEN, "order", 50001, plan_date_from="20261126T090000")
    world.autoflex.change(JANSEN, "order_line", 5000201, price_incl_vat="10.00")
    part = world.run()["dealers"][JANSEN]
    assert part["staged"]["appointment"]["quarantined"] == 0
    assert world.held("50001") is not None
    held = world.held("50002")
    assert held is not None
    assert len(held["interventions"]) == 2
    assert world.query("SELECT DISTINCT state FROM quarantine") == [("healed",)]


def test_a_full_pass_reads_the_people_of_an_order_that_heals_with_it(world: World) -> None:
    """Its car was known already and the order not staged yet, so that it went without its driver to the next pass."""
    load(world, orders=1)
    world.autoflex.load(
        JANSEN,
        {
            "order": [order(50009, plan_date_from="32-10-2026", vehicle_id=7099)],
            "vehicle": [vehicle(7099, driver_relation_id=3099)],
            "relation": [relation(3099, last_name=None)],
        },
    )
    world.tick(full=True)
    assert world.held("50009") is None
    world.autoflex.change(JANSEN, "order", 50009, plan_date_from="20261126T083000")
    world.autoflex.change(JANSEN, "relation", 3099, last_name="Vries")
    world.tick(full=True)
    held = world.held("50009")
    assert held is not None
    assert ("driver", "3099") in [(one["customer_kind"], one["dms_nr"]) for one in held["customers"]]
    sent = world.imports()
    world.tick(full=True)
    assert world.imports() == sent


def test_a_full_pass_reads_the_people_of_an_order_that_heals_by_itself(world: World) -> None:
    """Its date is in range as days pass: no new version came, and its driver was as it was read long ago."""
    load(world, orders=1)
    world.autoflex.load(
        JANSEN,
        {
            "order": [order(50009, vehicle_id=7099, plan_date_from="20281130T083000")],
            "vehicle": [vehicle(7099, driver_relation_id=3099)],
            "relation": [relation(3099, last_name="Oud")],
        },
    )
    world.tick(full=True)
    assert world.query("SELECT rule FROM quarantine") == [("date_out_of_range",)]
    world.autoflex.change(JANSEN, "relation", 3099, last_name="Nieuw")
    world.pass_time(days=10)
    world.tick(full=True)
    assert driver(world, "50009") == "van den Nieuw"


def test_a_full_pass_reads_the_driver_whom_a_run_that_died_found_in_the_car(world: World) -> None:
    load(world, orders=1)
    world.tick()
    world.autoflex.load(JANSEN, {"relation": [relation(3099, last_name="Oud")]})
    world.autoflex.change(JANSEN, "vehicle", 7001, driver_relation_id=3099)
    read_and_die(world)
    world.autoflex.change(JANSEN, "relation", 3099, last_name="Nieuw")
    world.tick(full=True)
    assert driver(world, "50001") == "van den Nieuw"


def driver(world: World, number: str) -> str | None:
    held = world.held(number)
    assert held is not None
    return next((one["last_name"] for one in held["customers"] if one["customer_kind"] == "driver"), None)


def read_and_die(world: World, steps: int = 4) -> None:
    """A run that reads everything anew, stores it, and stages nothing; it may have read the orders alone."""
    died = world.installation.run_context("a run that dies", RunOptions(full=True))
    for read in (read_open_orders, read_lines, read_vehicles, read_relations)[:steps]:
        read(died)
    world.installation.end_run()


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("full", [False, True])
def test_the_lines_of_an_order_that_is_missing_stay_after_a_run_that_died(world: World, full: bool, steps: int) -> None:
    """The lines of the version that was never staged were asked for, and there were none: the order was emptied."""
    load(world, orders=2)
    world.tick(full=True)
    world.autoflex.change(JANSEN, "order", 50001, notes="Anders")
    read_and_die(world, steps)
    for number in (5000101, 5000102):
        world.autoflex.delete(JANSEN, "order_line", number)
    world.autoflex.delete(JANSEN, "order", 50001)
    world.tick(full=full)
    held = world.held("50001")
    assert held is not None
    assert (held["canceled"], [each["dms_nr"] for each in held["interventions"]]) == (False, ["5000101", "5000102"])


@pytest.mark.parametrize("full", [False, True])
def test_the_lines_of_orders_that_a_run_which_died_has_stored_and_not_staged_are_read_anew(
    world: World, full: bool
) -> None:
    """They were reordered since; the DMS does not say so, and only the lines of staged orders were read anew."""
    load(world, orders=1)
    world.autoflex.set_switches(JANSEN, last_modified="absent")
    read_and_die(world)
    for number, place in ((5000101, 2), (5000102, 1)):
        world.autoflex.change(JANSEN, "order_line", number, line_number=place)
    world.tick(full=full)
    held = world.held("50001")
    assert held is not None
    assert [each["dms_nr"] for each in held["interventions"]] == ["5000102", "5000101"]


def test_a_row_without_a_key_leaves_quarantine_when_the_dms_no_longer_brings_it_and_may_come_back(
    world: World,
) -> None:
    load(world, orders=2)
    row = world.autoflex.row(JANSEN, "order", 50001)
    keyless = {"order": [{**row, "order_id": None}], "order_line": [line(7, 50002) | {"order_line_id": None}]}
    world.autoflex.load(JANSEN, keyless)
    for expected in ("open", "open", "gone", "open"):
        if expected == "gone":
            for endpoint in ("order", "order_line"):
                assert world.autoflex.delete(JANSEN, endpoint, "keyless-0")
        elif world.query("SELECT 1 FROM quarantine WHERE state = 'gone'"):
            world.autoflex.load(JANSEN, keyless)
        world.pass_time(minutes=10)
        assert world.tick(full=True)[JANSEN]["ok"]
        states = dict(world.query("SELECT entity, arg_max(state, first_seen_at) FROM quarantine GROUP BY entity"))
        assert states == {"appointment": expected, "intervention": expected}
    assert world.held("50001") is not None


def test_the_last_good_version_stays_while_a_bad_one_waits(world: World) -> None:
    load(world, orders=1)
    world.run()
    world.autoflex.change(JANSEN, "order", 50001, order_number="", notes="nieuw")
    part = world.run()["dealers"][JANSEN]
    assert part["staged"]["appointment"]["quarantined"] == 1
    held = world.held("50001")
    assert held is not None
    assert (held["wo_nr"], held["dms_notes"]) == ("2026-50001", "Klant wacht")


def test_equal_numbers_of_two_dealers_are_two_appointments(world: World) -> None:
    load(world, JANSEN, orders=1)
    load(world, DEVRIES, orders=1)
    world.autoflex.change(DEVRIES, "order", 50001, notes="van De Vries")
    world.run()
    jansen, devries = world.held("50001", JANSEN), world.held("50001", DEVRIES)
    assert jansen is not None
    assert devries is not None
    assert (jansen["dms_notes"], devries["dms_notes"]) == ("Klant wacht", "van De Vries")


def test_a_dry_run_sends_nothing_and_shows_the_difference_by_field(world: World) -> None:
    load(world, orders=2)
    world.run()
    sent = world.imports()
    world.autoflex.change(JANSEN, "order", 50001, notes="anders")
    summary = world.run(dry_run=True)
    assert world.imports() == sent
    assert summary["dealers"][JANSEN]["delivery"]["updated"] == 1
    assert world.changes[JANSEN][0]["fields_changed"] == [{"field": "dms_notes", "old": "Klant wacht", "new": "anders"}]
    assert world.run()["dealers"][JANSEN]["delivery"]["updated"] == 1


def test_a_field_that_the_dms_stops_giving_keeps_its_value(world: World) -> None:
    load(world, orders=1)
    world.run()
    world.autoflex.set_fault("field_missing", endpoint="order", field="notes")
    world.autoflex.change(JANSEN, "order", 50001, milometer=130000)
    world.run()
    held = world.held("50001")
    assert held is not None
    assert (held["dms_notes"], held["dms_mileage"]) == ("Klant wacht", 130000)


def test_work_that_has_started_is_left_alone_where_importing_is_not_kept(world: World) -> None:
    world.configure(dealers={JANSEN: {"keep_importing": False}})
    world.restart()
    load(world, orders=1)
    world.run()
    world.claire.set_status("101", "50001", "Control started")
    world.autoflex.change(JANSEN, "order", 50001, notes="te laat")
    summary = world.run()
    assert summary["dealers"][JANSEN]["delivery"]["held"] == 1
    held = world.held("50001")
    assert held is not None
    assert held["dms_notes"] == "Klant wacht"
    world.claire.set_status("101", "50001", "Car in shop")
    assert world.tick(full=True)[JANSEN]["delivery"]["updated"] == 1, "each night the status is asked for again"


def test_a_time_zone_that_is_corrected_moves_the_times_of_all_appointments(world: World) -> None:
    load(world, orders=2)
    world.tick()
    held = world.held("50002")
    assert held is not None
    assert held["scheduled_in"] == "2026-11-25T08:30:00+01:00"
    world.configure(dealers={JANSEN: {"timezone": "Europe/Lisbon"}})
    world.restart()
    assert world.tick()[JANSEN]["delivery"]["updated"] == 2
    held = world.held("50002")
    assert held is not None
    assert held["scheduled_in"] == "2026-11-25T08:30:00+00:00"
    assert world.tick()[JANSEN]["delivery"]["updated"] == 0


def test_a_new_appointment_waits_for_its_car_but_not_for_ever(world: World) -> None:
    load(world, orders=1)
    world.autoflex.change(JANSEN, "order", 50001, plan_date_from="20261210T083000", plan_date_to="20261210T170000")
    world.autoflex.set_fault("status", endpoint="vehicle", status=403)
    summary = world.run()
    assert summary["dealers"][JANSEN]["delivery"]["waiting"] == 1
    assert not summary["ok"]
    world.pass_time(hours=25)
    summary = world.run()
    assert summary["dealers"][JANSEN]["delivery"]["created"] == 1


def test_an_appointment_of_tomorrow_does_not_wait(world: World) -> None:
    load(world, orders=1)
    world.autoflex.set_fault("status", endpoint="vehicle", status=403)
    assert world.run()["dealers"][JANSEN]["delivery"]["created"] == 1


def test_a_part_that_does_not_exist_is_not_waited_for(world: World) -> None:
    load(world, orders=1)
    world.autoflex.change(JANSEN, "order", 50001, plan_date_from="20261210T083000", vehicle_id=404, plan_date_to=None)
    assert world.run()["dealers"][JANSEN]["delivery"]["created"] == 1


def test_a_first_day_is_sent_alone_and_the_next_sync_sends_the_rest(world: World) -> None:
    """Getting started spoke of one day, and the command sent every open work order."""
    load(world, orders=3)
    world.autoflex.change(JANSEN, "order", 50002, plan_date_from="20261124T083000", plan_date_to=None)
    done = command(world, "sync", "--dealer", JANSEN, "--day", "2026-11-24", "--json")
    assert done.code == 0, done.err
    summary = json.loads(done.out)["dealers"][JANSEN]
    assert (summary["extracted"]["order"], summary["delivery"]["created"], summary["delivery"]["pending"]) == (3, 1, 0)
    assert [world.held(number) is not None for number in ("50001", "50002", "50003")] == [False, True, False]
    assert world.look()[JANSEN].has_work, "the schedule, when it is switched on, goes on with the rest"
    assert json.loads(command(world, "sync", "--dealer", JANSEN, "--json").out)["dealers"][JANSEN]["delivery"] == {
        **summary["delivery"], "created": 2, "unchanged": 1,
    }  # fmt: skip
    assert "must be YYYY-MM-DD" in command(world, "sync", "--day", "vandaag").err
    assert command(world, "sync", "--day", "2026-11-24", "--from", "2026-11").code == 2
