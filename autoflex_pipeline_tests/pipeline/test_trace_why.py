"""Why a work order is not in Claire, or on its way: the command answers for every way in which that can be."""

from __future__ import annotations

from datetime import date

import pytest

from autoflex_pipeline.runs.context import RunOptions
from autoflex_pipeline_tests.domain import new_run_id
from autoflex_pipeline_tests.pipeline.tracing import LATER, one, trace, why
from autoflex_pipeline_tests.world import JANSEN, World, load, order, variable


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


def test_refused_when_it_was_repeated_and_changed_since(world: World) -> None:
    load(world, orders=1)
    world.tick(dry_run=True)
    world.claire.set_fault("reset_after", times=1)
    world.claire.set_fault("status_before", status=422, after=1, times=1)
    world.tick()
    assert why(world)[0] == "rejected"
    assert "so that version may be in Claire" in one(world)["why"]["notes"][0]
    world.autoflex.change(JANSEN, "order", 50001, notes="verbeterd")
    world.tick(dry_run=True)
    assert why(world) == ("not_due", "It was rejected and has changed since; the next sync sends it.")


def test_gone_from_the_dms_and_perhaps_in_claire(world: World) -> None:
    load(world, orders=2)
    world.claire.set_fault("reset_after", dms_nr="50001", times=1)
    world.claire.set_fault("status_before", dms_nr="50001", status=422, after=1, times=1)
    world.tick()
    world.autoflex.delete(JANSEN, "order", 50001)
    world.tick()
    world.pass_time(minutes=61)
    world.tick(dry_run=True)
    state, text = why(world)
    assert state == "unanswered"
    assert "the next sync asks Claire, and cancels it when it is there" in text
    world.tick()
    assert why(world)[0] == "delivered"


def test_gone_from_the_dms_before_claire_had_it(world: World) -> None:
    load(world, orders=2)
    world.tick(dry_run=True)
    world.autoflex.delete(JANSEN, "order", 50001)
    for dry_run in (True, False):
        world.tick(dry_run=dry_run)
        missing = one(world)["why"]
        assert missing["state"] == "waiting"
        assert "it goes once Autoflex has it again" in missing["text"]
    assert "Autoflex did not have it on 2026-11-24 10:00" in missing["notes"][0]
    assert "it counts as gone" in missing["notes"][0]
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
