"""Where is this work order: how one is found, and what is told of it."""

from __future__ import annotations

import hashlib
import shutil

import pytest
from typer.testing import CliRunner

from autoflex_pipeline.cli.app import app
from autoflex_pipeline_tests.commands import command
from autoflex_pipeline_tests.pipeline.tracing import LATER, one, trace, why
from autoflex_pipeline_tests.world import DEVRIES, JANSEN, World, load, vehicle


def files_of(world: World) -> dict[str, str]:
    """The stores by the hash of their content; the locks and SQLite's shared memory aside."""
    folder = world.installation.settings.warehouse.path.parent
    stores = [folder / "warehouse.duckdb", folder / "warehouse.state.sqlite"]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in stores}


def test_a_delivered_order_is_told_from_its_records_to_what_claire_holds(world: World) -> None:
    load(world, orders=2)
    world.autoflex.change(JANSEN, "vehicle", 7001, license_plate=" 12 ab 34 ", vin="KORT")
    world.tick()
    world.pass_time(minutes=5)
    world.autoflex.change(JANSEN, "order", 50001, notes="Graag voor 10 uur")
    world.tick()
    found = one(world)
    assert (found["dealer_id"], found["dms_number"], found["wo_number"]) == (JANSEN, "50001", "2026-50001")
    assert found["why"]["state"] == "delivered"
    records = [(each["entity"], each["dms_number"], each["record"].get("notes")) for each in found["raw"]]
    assert records == [
        ("order", "50001", "Klant wacht"),
        ("order_line", "5000101", None),
        ("order_line", "5000102", None),
        ("vehicle", "7001", None),
        ("relation", "3001", None),
        ("order", "50001", "Graag voor 10 uur"),
    ]
    assert all(each["extract_id"] and each["source"] and each["fetched_at"] and each["run_id"] for each in found["raw"])
    assert [(each["before"], each["after"], each["rule"]) for each in found["repairs"] if each["entity"] == "car"] == [
        (" 12 ab 34 ", "12-AB-34", "plate_normalised")
    ]
    assert [(each["severity"], each["rule"], each["value"]) for each in found["findings"]] == [
        ("warn", "vin_invalid", "KORT")
    ]
    versions = [each for each in found["versions"] if each["entity"] == "appointment"]
    assert [each["valid_to"] is None for each in versions] == [False, True]
    assert versions[0]["valid_to"] == versions[1]["valid_from"]
    assert {"field": "dms_notes", "old": "Klant wacht", "new": "Graag voor 10 uur"} in versions[1]["changed"]
    assert [(each["result"], each["http_status"]) for each in found["deliveries"]] == [
        ("created", 201),
        ("updated", 200),
    ]
    assert found["deliveries"][1]["fields_changed"] == [
        {"field": "dms_notes", "old": "Klant wacht", "new": "Graag voor 10 uur"}
    ]
    held = world.held("50001")
    assert held is not None
    assert (found["claire"]["id"], found["claire"]["status"]) == (held["id"], held["status"])
    assert found["claire"]["acknowledged_at"]
    assert found["differs"] == []


def test_an_order_is_found_however_its_number_is_typed(world: World) -> None:
    load(world, orders=2)
    world.tick()
    for query in ("2026-50001", " 2026 50001", "202650001", "50001"):
        assert one(world, query)["dms_number"] == "50001", query


def test_a_plate_gives_every_order_of_its_car_the_newest_first(world: World) -> None:
    load(world, orders=3)
    world.autoflex.change(JANSEN, "order", 50002, **LATER)
    world.autoflex.put(JANSEN, "vehicle", vehicle(7002, license_plate="12AB34"))
    world.autoflex.change(JANSEN, "order", 50003, vehicle_id=7002)
    world.tick()
    for query in ("GH-123-J", "gh123j", "GH 123 J", "gh-12-3j"):
        answer = trace(world, "--dealer", JANSEN, query, "--json")
        assert [each["dms_number"] for each in answer.json] == ["50002", "50001"], query


def test_a_number_that_the_order_no_longer_has_finds_it_too(world: World) -> None:
    load(world, orders=1)
    world.tick()
    world.pass_time(minutes=5)
    world.autoflex.change(JANSEN, "order", 50001, order_number="2026-77777")
    world.tick()
    assert one(world, "2026-50001")["wo_number"] == "2026-77777"


def test_another_dealers_order_of_the_same_number_is_not_told(world: World) -> None:
    load(world, JANSEN, orders=1)
    load(world, DEVRIES, orders=1)
    world.autoflex.change(DEVRIES, "order", 50001, notes="van De Vries")
    world.tick()
    assert "De Vries" not in trace(world, "--dealer", JANSEN, "50001", "--json").out


def test_nothing_found_says_what_was_searched_what_is_near_and_who_knows_it(world: World) -> None:
    load(world, JANSEN, orders=2)
    load(world, DEVRIES, orders=1)
    world.autoflex.change(DEVRIES, "order", 50001, order_number="2026-99999")
    world.tick()
    answer = trace(world, "--dealer", JANSEN, "2026-99999", "--json")
    assert (answer.code, answer.json) == (1, [])
    assert "searched 2 orders and 1 cars" in answer.err
    assert f"known at: {DEVRIES}" in answer.err
    answer = trace(world, "--dealer", JANSEN, "2026-50081")
    assert answer.code == 1
    assert "near: 2026-50001 (WO number)" in answer.err


def test_before_the_first_run_the_command_says_so_and_makes_no_file(world: World) -> None:
    shutil.rmtree(world.folder / "data")
    done = CliRunner().invoke(app, ["trace", "--config", str(world.config), "--dealer", JANSEN, "50001"])
    assert "run `autoflex-pipeline sync` first" in str(done.exception)
    assert not (world.folder / "data" / "warehouse.duckdb").exists()


@pytest.mark.parametrize("store", ["warehouse.duckdb", "warehouse.state.sqlite"])
def test_a_damaged_store_is_told_in_one_line_with_the_next_step(world: World, store: str) -> None:
    """Regression: it was a traceback of 45 lines."""
    load(world, orders=1)
    world.tick()
    raw_hash = one(world)["raw"][0]["raw_hash"]
    world.installation.close()
    path = world.installation.settings.warehouse.path.with_name(store)
    path.write_bytes(b"this is no database" * 1000)
    for arguments in (["--dealer", JANSEN, "50001"], ["--raw", raw_hash]):
        done = command(world, "trace", *arguments)
        assert (done.code, done.out) == (1, "")
        assert done.err.count("\n") == 1
        assert f"{path} is damaged (" in done.err
        assert "put the last good copy back with `autoflex-pipeline restore`" in done.err


def test_it_changes_nothing_and_the_next_run_sends_nothing(world: World) -> None:
    load(world, orders=2)
    world.tick()
    before = files_of(world)
    trace(world, "--dealer", JANSEN, "50001")
    trace(world, "--dealer", JANSEN, "niets")
    trace(world, "--raw", one(world)["raw"][0]["raw_hash"])
    assert files_of(world) == before


def test_it_answers_while_a_run_writes_to_the_state_store(world: World) -> None:
    load(world, orders=1)
    world.tick()
    with world.installation.state.begin() as connection:
        connection.exec_driver_sql("UPDATE disposition SET state = state")
        assert why(world)[0] == "delivered"


def test_the_tree_of_the_terminal_tells_the_same(world: World) -> None:
    load(world, orders=1)
    world.autoflex.change(JANSEN, "order", 50001, notes="[red]let op[/red] \x1b[31m")
    world.tick()
    answer = trace(world, "--dealer", JANSEN, "50001")
    assert answer.code == 0
    for text in (
        "work order 2026-50001, DMS number 50001", "Claire holds it as it stands in staging", "created, HTTP 201",
        "appointment 50001: 2026-11-24 10:00:00 – now", '"GH123J" → "GH-123-J" (plate_normalised)',
        "order?filter=is_invoiced[eq]:0", "[red]let op[/red]",
    ):  # fmt: skip
        assert text in answer.out.replace("\n", " "), text
    assert "\x1b" not in answer.out


# Why it is not in Claire, or not as it stands in the DMS: every reason.
