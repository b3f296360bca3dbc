"""What a person does from the UI's Launchpad: it does what the command does, and says what happened."""

from __future__ import annotations

import dagster as dg

from autoflex_pipeline_tests.launchpad import launch, reported, table_of
from autoflex_pipeline_tests.world import DEVRIES, JANSEN, World, load


def why(result: dg.ExecuteInProcessResult) -> str:
    """What the run says of its failure."""
    (data,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert data.user_failure_data is not None
    return str(data.user_failure_data.description)


def test_a_sync_narrowed_to_one_dealer_touches_no_other(world: World) -> None:
    load(world, JANSEN, orders=1)
    load(world, DEVRIES, orders=1)
    assert launch(world, "sync", f"resources: {{options: {{config: {{dealers: [{DEVRIES}]}}}}}}").success
    assert world.held("50001", DEVRIES) is not None
    assert world.held("50001", JANSEN) is None
    assert world.autoflex.requests(JANSEN) == 0


def test_one_rejected_appointment_is_sent_again_and_the_report_says_what_claire_answered(world: World) -> None:
    load(world, orders=2)
    world.claire.set_fault("status_before", status=422, dms_nr="50001")
    assert world.tick()[JANSEN]["delivery"]["rejected"] == 1
    world.claire.clear_faults()
    assert world.tick()[JANSEN]["delivery"]["rejected"] == 1, "by itself it is not sent again"
    options = f'{{dealers: [{JANSEN}], numbers: ["50001", "59999"], force: true}}'
    result = launch(world, "resend", f"resources: {{options: {{config: {options}}}}}")
    assert result.success
    assert world.held("50001") is not None
    report = reported(result, "resend_report")
    assert table_of(report["appointments"], "dms_number", "result", "http_status") == [
        ("50001", "created", "201"), ("59999", "not in staging", ""),
    ]  # fmt: skip
    assert "quarantine show" in report["appointments"][1].data["message"]


def test_resending_what_is_gone_and_was_never_in_claire_says_so(world: World) -> None:
    load(world, orders=2)
    world.claire.set_fault("status_before", status=422, dms_nr="50001")
    world.tick()
    world.autoflex.delete(JANSEN, "order", 50001)
    world.tick()
    world.pass_time(minutes=61)
    world.tick()
    result = launch(world, "resend", f'resources: {{options: {{config: {{dealers: [{JANSEN}], numbers: ["50001"]}}}}}}')
    assert result.success
    (row,) = reported(result, "resend_report")["appointments"]
    assert row.data["message"] == "the DMS no longer has it, and Claire has none either"
    assert world.held("50001") is None


def test_what_is_in_quarantine_is_validated_anew_and_then_delivered(world: World) -> None:
    """Nothing told the schedule that a record had left quarantine: it went with the rereading, ten minutes later."""
    load(world, orders=3)
    world.autoflex.change(JANSEN, "order", 50001, plan_date_from="20281126T083000", plan_date_to=None)
    world.autoflex.change(JANSEN, "order", 50002, plan_date_from="morgen")
    assert world.tick()[JANSEN]["staged"]["appointment"]["quarantined"] == 2
    world.pass_time(days=3)
    world.tick()
    assert not world.look()[JANSEN].has_work
    config = f"ops: {{validate_again: {{config: {{dealer: {JANSEN}, entity: appointment, dms_numbers: []}}}}}}"
    result = launch(world, "quarantine_retry", config)
    assert result.success
    report = reported(result, "quarantine_retry_report")
    assert (report["taken"], report["healed"], report["still_rejected"]) == (2, 1, 1)
    assert table_of(report["records"], "dms_number", "now", "rules") == [
        ("50002", "still rejected", "appointment_date_unreadable"), ("50001", "good", ""),
    ]  # fmt: skip
    assert world.held("50001") is None, "validating sends nothing"
    seen = world.look()[JANSEN]
    assert (seen.has_work, seen.reason) == (True, "records have left quarantine")
    world.tick()
    assert world.held("50001") is not None


def test_a_retry_of_nothing_says_so_in_one_line(world: World) -> None:
    load(world, orders=1)
    world.tick()
    result = launch(world, "quarantine_retry", 'ops: {validate_again: {config: {dms_numbers: ["50001"]}}}')
    assert not result.success
    assert why(result) == "quarantine holds nothing open of 50001"
    wrong = launch(world, "quarantine_retry", "ops: {validate_again: {config: {entity: order}}}")
    assert "must be one of appointment, intervention, car, party" in why(wrong)
