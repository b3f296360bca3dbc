"""Where is this work order: the command answers for every way in which one can be on its way, or not in Claire."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from autoflex_pipeline.cli.app import app
from autoflex_pipeline.orchestration.build import build_definitions
from autoflex_pipeline.runs.context import RunOptions
from autoflex_pipeline_tests.domain import new_run_id
from autoflex_pipeline_tests.world import DEVRIES, JANSEN, World, line, load, order, relation, variable, vehicle

LATER = {"plan_date_from": "20261210T083000", "plan_date_to": "20261210T170000"}


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def trace(world: World, *arguments: str) -> Answer:
    done = CliRunner().invoke(app, ["trace", "--config", str(world.config), *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return Answer(done.exit_code, done.stdout, done.stderr)


def one(world: World, query: str = "50001") -> dict[str, Any]:
    answer = trace(world, "--dealer", JANSEN, query, "--json")
    assert answer.code == 0, answer.err
    return dict(answer.json)


def why(world: World, query: str = "50001") -> tuple[str, str]:
    found = one(world, query)["why"]
    return found["state"], found["text"]


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


def test_waiting_for_a_part(world: World) -> None:
    load(world, orders=1)
    world.autoflex.change(JANSEN, "order", 50001, **LATER)
    world.autoflex.set_fault("status", endpoint="vehicle", status=403)
    world.tick()
    assert why(world) == ("waiting", "It waits for its car, at most until 2026-11-25 10:00; then it goes without.")
    assert one(world)["claire"] is None


def test_held_because_work_has_started(world: World) -> None:
    world.configure(dealers={JANSEN: {"keep_importing": False}})
    world.restart()
    load(world, orders=1)
    world.tick()
    world.claire.set_status("101", "50001", "Control started")
    world.pass_time(minutes=5)
    world.autoflex.change(JANSEN, "order", 50001, notes="te laat")
    world.tick()
    state, text = why(world)
    assert state == "held"
    assert text.startswith("Claire holds an older version, acknowledged 2026-11-24 10:00: Held since 2026-11-24 10:05")
    assert one(world)["differs"] == [{"field": "dms_notes", "old": "Klant wacht", "new": "te laat"}]


def test_rejected_by_claire_with_its_message(world: World) -> None:
    load(world, orders=1)
    world.claire.set_fault("status_before", status=422, dms_nr="50001")
    world.tick()
    found = one(world)
    assert found["why"]["state"] == "rejected"
    assert "Claire refused it with HTTP 422" in found["why"]["text"]
    assert f"autoflex-pipeline resend --dealer {JANSEN} 50001" in found["why"]["text"]
    assert found["why"]["detail"] == found["deliveries"][-1]["message"]
    assert found["deliveries"][-1]["message"]


def test_quarantined_with_rule_field_and_hint(world: World) -> None:
    load(world, orders=1)
    world.autoflex.change(JANSEN, "order", 50001, plan_date_from="morgen")
    world.tick()
    for query in ("50001", "2026-50001"):
        found = one(world, query)
        assert found["why"]["state"] == "quarantined"
        assert "rule appointment_date_unreadable on appointment_date" in found["why"]["text"]
        assert "Correct the planned date in the DMS" in found["why"]["text"]
        assert found["why"]["detail"] == "appointment_date is 'morgen'"
        assert [(each["severity"], each["rule"], each["state"]) for each in found["findings"]] == [
            ("reject", "appointment_date_unreadable", "open"),
            ("warn", "value_unreadable", None),
        ]
        assert (found["wo_number"], found["claire"], found["differs"]) == ("2026-50001", None, None)
        assert "appointment" not in {each["entity"] for each in found["versions"]}


def test_the_newest_record_in_quarantine_while_claire_keeps_the_last_good_version(world: World) -> None:
    load(world, orders=1)
    world.tick()
    world.pass_time(minutes=5)
    world.autoflex.change(JANSEN, "order", 50001, order_number="")
    world.tick()
    found = one(world)
    assert found["why"]["state"] == "delivered"
    assert found["why"]["notes"] == [
        "Its newest record is in quarantine (wo_number_missing); its last good version is used."
    ]


def test_a_part_in_quarantine_is_named(world: World) -> None:
    load(world, orders=1)
    world.autoflex.change(JANSEN, "order_line", 5000101, price_incl_vat="gratis")
    world.tick()
    assert one(world)["why"]["notes"] == ["Its intervention 5000101 is in quarantine: rule price_invalid on price."]


def test_failed_because_claire_could_not_be_reached(world: World) -> None:
    world.configure(claire={"deadline_seconds": 0.3})
    world.restart()
    load(world, orders=1)
    world.claire.set_fault("status_before", status=503)
    world.tick()
    found = one(world)
    assert found["why"]["state"] == "failed"
    assert "each sync tries it again" in found["why"]["text"]
    assert {each["result"] for each in found["deliveries"]} == {"failed"}


def test_on_hold_because_claire_refuses_the_key(world: World) -> None:
    load(world, orders=1)
    world.claire.set_fault("unauthorized", times=50)
    world.tick()
    state, text = why(world)
    assert state == "on_hold"
    assert text.startswith("The dealer is on hold since 2026-11-24 10:00 (configuration)")


def test_not_found_at_a_dealer_whose_login_is_on_hold_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    load(world, orders=1)
    world.tick()
    monkeypatch.setenv(variable(JANSEN, "PASSWORD"), "verkeerd")
    world.restart()
    world.tick()
    answer = trace(world, "--dealer", JANSEN, "51234")
    assert answer.code == 1
    assert "on hold since 2026-11-24 10:00 (login)" in answer.err


def test_stopped_by_the_mass_change_guard(world: World) -> None:
    load(world, orders=6)
    world.tick()
    for number in range(50001, 50007):
        world.autoflex.change(JANSEN, "order", number, is_invoiced=1)
    world.pass_time(minutes=5)
    world.tick()
    state, text = why(world)
    assert state == "pending"
    assert "mass-change guard" in text
    assert "--allow-mass-change" in text
    assert one(world)["differs"] == [{"field": "billed", "old": False, "new": True}]


def test_billed_history_that_was_not_asked_for(world: World) -> None:
    load(world, orders=1)
    world.autoflex.change(JANSEN, "order", 50001, is_invoiced=1)
    world.tick(months={JANSEN: [(date(2026, 11, 1), date(2026, 11, 30))]})
    state, text = why(world)
    assert state == "history"
    assert "--deliver-history" in text


def test_another_order_type_is_skipped(world: World) -> None:
    load(world, orders=1)
    world.autoflex.put(JANSEN, "order", order(60001, order_type=2))
    world.autoflex.put(JANSEN, "order", order(60002, order_type=None))
    world.tick()
    assert why(world, "2026-60001") == (
        "skipped",
        "Its order type is not WORKSHOP (1): it is no appointment, and is skipped.",
    )
    assert "no order type" in why(world, "60002")[1]


def test_not_yet_due_after_a_dry_run(world: World) -> None:
    load(world, orders=1)
    world.tick(dry_run=True)
    assert why(world) == ("not_due", "It is not due yet: the next sync delivers it.")


def test_read_but_not_staged_by_a_run_that_broke_off(world: World) -> None:
    from autoflex_pipeline.runs.orders import read_open_orders

    load(world, orders=1)
    read_open_orders(world.installation.run_context(new_run_id(), RunOptions()))
    state, text = why(world, "2026-50001")
    assert state == "not_staged"
    assert "read from Autoflex at 2026-11-24 10:00" in text


def test_staged_but_not_compared_by_a_run_that_broke_off(world: World) -> None:
    load(world, orders=1)
    world.tick(dry_run=True)
    with world.installation.warehouse.open() as connection:
        connection.execute("DELETE FROM document")
    assert why(world)[0] == "not_compared"


def test_sent_without_a_known_answer(world: World) -> None:
    load(world, orders=1)
    world.tick()
    with world.installation.state.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE intent SET answered_at = NULL, result = NULL, body = '{}', "
            "will_hold = (SELECT held FROM acknowledged)"
        )
    state, text = why(world)
    assert state == "unanswered"
    assert "same key" in text


def test_gone_from_the_dms_before_claire_had_it(world: World) -> None:
    load(world, orders=2)
    world.tick(dry_run=True)
    world.autoflex.delete(JANSEN, "order", 50001)
    world.tick(dry_run=True)
    assert "Autoflex does not have it since 2026-11-24 10:00" in one(world)["why"]["notes"][0]
    world.pass_time(minutes=61)
    world.tick()
    state, text = why(world)
    assert state == "gone"
    assert "nothing is sent" in text


def test_gone_from_the_dms_and_canceled_in_claire(world: World) -> None:
    load(world, orders=2)
    world.tick()
    world.autoflex.delete(JANSEN, "order", 50001)
    world.tick()
    world.pass_time(minutes=61)
    world.tick()
    found = one(world)
    assert found["why"]["state"] == "delivered"
    assert "counts as canceled" in found["why"]["notes"][0]


# Forward from a raw record.


def raw_hash(world: World, entity: str, place: int = 0) -> str:
    return str([each["raw_hash"] for each in one(world)["raw"] if each["entity"] == entity][place])


def test_a_raw_record_leads_to_the_versions_orders_and_deliveries_that_it_reached(world: World) -> None:
    load(world, orders=2)
    world.autoflex.put(JANSEN, "vehicle", vehicle(7002, license_plate="12AB34", driver_relation_id=None))
    world.autoflex.load(
        JANSEN, {"order": [order(50003, vehicle_id=7002, relation_id=None)], "order_line": [line(1, 50003)]}
    )
    world.tick()
    world.pass_time(minutes=5)
    world.autoflex.change(JANSEN, "vehicle", 7001, model="Polo")
    world.tick(reread=True)
    first = trace(world, "--raw", raw_hash(world, "vehicle"), "--json").json
    assert first["raw"]["dealer_id"] == JANSEN
    assert [(each["entity"], each["valid_to"] is None) for each in first["versions"]] == [("car", False)]
    assert [each["dms_number"] for each in first["appointments"]] == ["50001", "50002"]
    # Both were on their way at once: which answer came first is chance.
    assert sorted((each["dms_number"], each["result"]) for each in first["deliveries"]) == [
        ("50001", "created"),
        ("50002", "created"),
    ]
    second = trace(world, "--raw", raw_hash(world, "vehicle", 1)[:12], "--dealer", JANSEN, "--json").json
    assert [each["result"] for each in second["deliveries"]] == ["updated", "updated"]
    assert second["versions"][0]["changed"] == [{"field": "model", "old": "Golf", "new": "Polo"}]


def test_a_relation_reaches_the_orders_of_its_cars_too(world: World) -> None:
    load(world, orders=1)
    world.autoflex.change(JANSEN, "order", 50001, relation_id=None)
    world.tick()
    found = trace(world, "--raw", raw_hash(world, "relation"), "--json").json
    assert [each["dms_number"] for each in found["appointments"]] == ["50001"]


@pytest.mark.parametrize("entity", ["order", "order_line"])
def test_an_order_and_its_line_reach_their_own_appointment(world: World, entity: str) -> None:
    load(world, orders=2)
    world.tick()
    found = trace(world, "--raw", raw_hash(world, entity), "--json").json
    assert [each["dms_number"] for each in found["appointments"]] == ["50001"]
    assert [each["dms_number"] for each in found["deliveries"]] == ["50001"]
    assert "appointments that it reached: 1" in trace(world, "--raw", raw_hash(world, entity)).out


def test_equal_records_of_two_dealers_are_both_told(world: World) -> None:
    load(world, JANSEN, orders=1)
    load(world, DEVRIES, orders=1)
    world.autoflex.load(JANSEN, {"relation": [relation(3001)]})
    world.tick()
    found = trace(world, "--raw", raw_hash(world, "relation"), "--json").json
    assert {each["raw"]["dealer_id"] for each in found} == {JANSEN, DEVRIES}


def test_an_unknown_hash_is_an_exit_code_and_a_line(world: World) -> None:
    load(world, orders=1)
    world.tick()
    answer = trace(world, "--raw", "0123456789abcdef", "--json")
    assert (answer.code, answer.json) == (1, [])
    assert "begins with '0123456789abcdef'" in answer.err
    assert Path(world.config).exists()


# The job in the Dagster UI.


def run_job(world: World, query: str) -> dg.ExecuteInProcessResult:
    config = {"ops": {"find_work_order": {"config": {"dealer": JANSEN, "query": query}}}}
    job = build_definitions(world.installation).resolve_job_def("trace")
    return job.execute_in_process(run_config=config, raise_on_error=False)


def report_of_job(world: World, query: str) -> tuple[str, dict[str, Any]]:
    result = run_job(world, query)
    assert result.success
    (event,) = [event for event in result.all_events if event.is_step_materialization]
    metadata = {name: entry.value for name, entry in event.materialization.metadata.items()}
    return str(metadata["report"]), metadata


def test_the_job_leaves_a_report_without_personal_values(world: World) -> None:
    load(world, orders=1)
    world.autoflex.change(JANSEN, "vehicle", 7001, vin="KORT")
    world.tick()
    report, counts = report_of_job(world, "2026-50001")
    for text in ("2026-50001", "**delivered**", "created", "vin\\_invalid", "plate\\_normalised", "postcode", "hidden"):
        assert text in report, text
    for value in ("GH-123-J", "GH123J", "KORT", "Berg", "Dorpsstraat", "1234", "Klant wacht", "Golf"):
        assert value not in report, value
    assert (counts["orders"], counts["deliveries"], counts["state_delivered"]) == (1, 1, 1)


def test_the_job_shows_the_values_of_a_dealer_whose_privacy_is_full(world: World) -> None:
    world.configure(dealers={JANSEN: {"privacy": "full"}})
    world.restart()
    load(world, orders=1)
    world.tick()
    report, _ = report_of_job(world, "50001")
    assert "GH-123-J" in report
    assert "Klant wacht" in report


def test_the_job_fails_with_one_clear_line_when_nothing_is_found_and_names_no_plate(world: World) -> None:
    load(world, orders=1)
    world.tick()
    result = run_job(world, "GH-124-J")
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    description = failure.step_failure_data.user_failure_data.description
    assert "nothing is known of 'GH-124-J'" in description
    assert "GH-123-J" not in description
