"""What the sensors tell of runs that failed or were stopped by a check, once each; and what the schedule then does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from autoflex_pipeline.orchestration.build import build_definitions
from autoflex_pipeline.orchestration.partitions import RANGE_END, RANGE_START, partition_key
from autoflex_pipeline.orchestration.resources import Installation
from autoflex_pipeline.runs import steps
from autoflex_pipeline_tests.pipeline.test_nothing_vanishes import losing
from autoflex_pipeline_tests.receivers import Receiver
from autoflex_pipeline_tests.world import DEVRIES, JANSEN, World, load, order


def evaluate(sensor_name: str, installation: Installation, instance: dg.DagsterInstance) -> str:
    definitions = build_definitions(installation)
    sensor = definitions.get_repository_def().get_sensor_def(sensor_name)
    context = dg.build_sensor_context(
        instance=instance, definitions=definitions, resources={"installation": installation}
    )
    tick = sensor.evaluate_tick(context)
    return str(tick.skip_message)


def test_the_sensor_tells_red_runs_and_failing_checks_once(
    world: World, receiver: Receiver, instance: dg.DagsterInstance
) -> None:
    load(world, orders=2)
    sync = build_definitions(world.installation).resolve_job_def("sync")

    def run() -> None:
        sync.execute_in_process(instance=instance, raise_on_error=False)

    analytics = world.installation.settings.warehouse.analytics_path
    analytics.mkdir(parents=True)  # the publication fails: a red run
    run()
    for _ in range(2):
        evaluate("alerts", world.installation, instance)
    assert receiver.changes == [("opened", "run_failed")]
    assert receiver.alerts[0]["subject"] == "sync"
    analytics.rmdir()
    bad = [order(number, order_number=None) for number in range(50011, 50017)]
    world.autoflex.load(JANSEN, {"order": bad})
    world.pass_time(minutes=11)
    run()
    told = evaluate("alerts", world.installation, instance)
    assert receiver.changes[1:] == [("recovered", "run_failed"), ("opened", "check_failed")]
    assert receiver.alerts[-1]["subject"] == "appointment: few_rejected"
    assert receiver.alerts[-1]["severity"] == "warning"
    assert told == "open: check_failed appointment: few_rejected; 2 messages sent, 0 still to go"


def write_past_staging(world: World) -> None:
    """A row that the model refuses, as nobody but another program could write it."""
    with world.installation.warehouse.open() as connection:
        connection.execute("UPDATE appointment SET wo_number = NULL WHERE dms_number = '50001'")


def run_sync(world: World, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = build_definitions(world.installation).resolve_job_def("sync")
    return job.execute_in_process(instance=instance, raise_on_error=False)


def test_a_run_that_a_check_stopped_is_told_by_the_check_alone(
    world: World, receiver: Receiver, instance: dg.DagsterInstance
) -> None:
    """It was told twice: as a failing check, and as a failed run."""
    load(world, orders=2)
    assert run_sync(world, instance).success
    write_past_staging(world)
    assert not run_sync(world, instance).success
    evaluate("alerts", world.installation, instance)
    assert receiver.changes == [("opened", "check_failed")]
    assert receiver.alerts[0]["subject"] == "appointment: follows_the_model"
    assert receiver.alerts[0]["severity"] == "error"
    assert "it stopped the run, nothing was sent" in receiver.texts[0]


def test_a_run_that_ends_because_records_do_not_add_up_is_told_as_trouble_of_its_dealer_alone(
    world: World, receiver: Receiver, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(world, orders=3)
    load(world, DEVRIES)
    monkeypatch.setattr(steps, "stage_entities", losing)
    job = build_definitions(world.installation).resolve_job_def("sync")
    config = {"resources": {"options": {"config": {"dealers": [JANSEN]}}}}
    assert not job.execute_in_process(instance=instance, raise_on_error=False, run_config=config).success
    evaluate("alerts", world.installation, instance)
    assert receiver.changes == [("opened", "accounts")]
    assert receiver.alerts[0]["dealer_id"] == JANSEN
    assert minute(world, instance) is None, "the other dealer's run is started"


def test_a_backfill_that_ends_because_records_do_not_add_up_is_told_as_a_failed_run(
    world: World, receiver: Receiver, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next tick finds their place, so that the dealer shows nothing; and the history was not sent."""
    load(world, orders=3)
    monkeypatch.setattr(steps, "stage_entities", losing)
    job = build_definitions(world.installation).resolve_job_def("backfill")
    month = partition_key(JANSEN, "2026-11")
    config = {"resources": {"options": {"config": {"dealers": [JANSEN], "deliver_history": True}}}}
    tags = {RANGE_START: month, RANGE_END: month}
    assert not job.execute_in_process(instance=instance, raise_on_error=False, tags=tags, run_config=config).success
    evaluate("alerts", world.installation, instance)
    assert [(alert["kind"], alert["subject"]) for alert in receiver.alerts] == [("run_failed", "backfill")]


def test_a_preview_that_ends_because_records_do_not_add_up_holds_nobody_back(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(world, orders=3)
    job = build_definitions(world.installation).resolve_job_def("preview")
    with monkeypatch.context() as patch:
        patch.setattr(steps, "stage_entities", losing)
        config = {"resources": {"options": {"config": {"dealers": [JANSEN], "dry_run": True}}}}
        assert not job.execute_in_process(instance=instance, raise_on_error=False, run_config=config).success
    assert world.look()[JANSEN].has_work
    assert world.tick()[JANSEN]["delivery"]["created"] == 3


def test_the_schedule_backs_off_after_runs_that_a_check_stopped_and_says_so(
    world: World, instance: dg.DagsterInstance
) -> None:
    """It started the same run again every minute."""
    load(world, orders=2)
    world.now = datetime.now(UTC)
    assert run_sync(world, instance).success
    write_past_staging(world)
    world.autoflex.change(JANSEN, "order", 50002, notes="Klant komt later")
    assert minute(world, instance) is None, "there is something to do"
    for minutes in (5, 15):
        world.now = datetime.now(UTC)
        assert not run_sync(world, instance).success
        world.now = datetime.now(UTC) + timedelta(minutes=minutes - 1)
        reason = minute(world, instance)
        assert reason is not None
        assert "was stopped by appointment: follows_the_model; tried again at " in reason
        world.pass_time(minutes=2)
        assert minute(world, instance) is None
    with world.installation.warehouse.open() as connection:
        connection.execute("UPDATE appointment SET wo_number = '2026-50001' WHERE dms_number = '50001'")
    world.now = datetime.now(UTC)
    assert run_sync(world, instance).success
    assert "stopped" not in str(minute(world, instance))


def minute(world: World, instance: dg.DagsterInstance) -> str | None:
    """Why the minute's tick starts nothing; None when it starts a run."""
    repository = build_definitions(world.installation).get_repository_def()
    resources = {"installation": world.installation}
    with dg.build_schedule_context(instance, resources=resources, repository_def=repository) as context:
        tick = repository.get_schedule_def("every_minute").evaluate_tick(context)
    return None if tick.run_requests else str(tick.skip_message)


def test_a_run_that_fails_as_a_whole_is_told_at_once_and_not_again(
    world: World, receiver: Receiver, instance: dg.DagsterInstance
) -> None:
    load(world, orders=1)
    world.installation.settings.warehouse.analytics_path.mkdir(parents=True)  # the publication fails
    result = run_sync(world, instance)
    (failed,) = [event for event in result.all_events if event.event_type == dg.DagsterEventType.RUN_FAILURE]
    definitions = build_definitions(world.installation)
    context = dg.build_run_status_sensor_context(
        sensor_name="run_failures",
        dagster_event=failed,
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        resources={"installation": world.installation},
    ).for_run_failure()
    told = definitions.get_repository_def().get_sensor_def("run_failures")(context)
    assert isinstance(told, dg.SkipReason), "it starts no run"
    assert receiver.changes == [("opened", "run_failed")]
    assert receiver.alerts[0]["subject"] == "sync"
    evaluate("alerts", world.installation, instance)
    assert len(receiver.changes) == 1
