"""What goes wrong in a run is told to the configured routes, once per change, and nothing personal with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from autoflex_pipeline.alerts.kinds import Watched, trouble
from autoflex_pipeline.alerts.watching import watch
from autoflex_pipeline.orchestration.build import build_definitions
from autoflex_pipeline.orchestration.partitions import RANGE_END, RANGE_START, partition_key
from autoflex_pipeline.orchestration.resources import Installation
from autoflex_pipeline.runs import steps
from autoflex_pipeline.runs.guards import restore_marker
from autoflex_pipeline.state.alerts import AlertKey
from autoflex_pipeline.state.dealers import remember
from autoflex_pipeline_tests.commands import command
from autoflex_pipeline_tests.pipeline.test_nothing_vanishes import losing
from autoflex_pipeline_tests.receivers import Receiver, receiving
from autoflex_pipeline_tests.world import DEVRIES, JANSEN, World, load, order, variable

ROUTE = '[[alerts]]\nname = "team"\nto = "webhook"\nquiet_minutes = 0\n[alerts.webhook]\nurl_env = "HOOK_URL"\n'


@pytest.fixture
def receiver(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as running:
        monkeypatch.setenv("HOOK_URL", f"{running.url}/geheim")
        world.config.write_text(world.config.read_text("utf-8") + ROUTE, "utf-8")
        world.restart()
        yield running


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as made:
        yield made


def look(world: World) -> None:
    opened = world.installation
    watch(opened.settings, opened.state, clock=opened.clock)


def test_a_refused_login_is_told_when_it_begins_lasts_and_ends(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv(variable(JANSEN, "PASSWORD"), "verkeerd")
        world.tick(dealers=(JANSEN,))
        look(world)
        look(world)
        assert receiver.changes == [("opened", "login")]
        assert receiver.alerts[0]["dealer_id"] == JANSEN
        assert variable(JANSEN, "PASSWORD") in receiver.texts[0], "which variable to correct"
        world.pass_time(minutes=61)
        look(world)
        assert receiver.alerts[-1]["change"] == "worse"
        assert receiver.alerts[-1]["severity"] == "critical"
    world.restart()
    world.tick(dealers=(JANSEN,))
    look(world)
    assert receiver.changes[2:] == [("recovered", "login")]


def test_words_of_a_vendor_and_of_records_are_in_no_message(world: World, receiver: Receiver) -> None:
    """What a vendor quotes in an error may be anyone's name; a message leaves the house."""
    load(world)
    world.autoflex.set_fault("error", endpoint="vehicle", code=404, message="Mevr. van den Berg is onbekend")
    summary = world.tick(dealers=(JANSEN,))
    look(world)
    assert "Berg" in summary[JANSEN]["error"], "the vendor's words are where only the data team looks"
    assert receiver.changes == [("opened", "source")]
    for text in receiver.texts:
        for value in ("Berg", "GH123J", "Klant wacht", "geheim"):
            assert value not in text


def test_rejected_documents_are_told_with_their_number(world: World, receiver: Receiver) -> None:
    load(world, orders=3)
    world.claire.set_fault("status_before", status=422)
    world.tick()
    look(world)
    assert receiver.changes == [("opened", "rejected")]
    assert "What: 3 appointments" in receiver.texts[0]


def test_a_dealer_that_no_run_takes_any_more_is_late(world: World, receiver: Receiver) -> None:
    good_run(world)
    world.pass_time(minutes=59)
    look(world)
    assert receiver.changes == []
    world.pass_time(minutes=2)
    look(world)
    assert receiver.changes == [("opened", "late")], "and nothing of the dealer that no run ever took"
    good_run(world)
    look(world)
    assert receiver.changes[1:] == [("recovered", "late")]


def test_a_nearly_full_disk_is_told_although_no_run_starts(world: World, receiver: Receiver) -> None:
    world.configure(warehouse={"min_free_mb": 10_000_000})
    world.config.write_text(world.config.read_text("utf-8") + ROUTE, "utf-8")
    world.restart()
    look(world)
    assert receiver.changes == [("opened", "run_refused")]
    assert "the disk is nearly full" in receiver.texts[0]


def overwrite_warehouse(world: World) -> None:
    world.restart()
    (world.folder / "data" / "warehouse.duckdb").write_bytes(b"overwritten by something else" * 1000)


def test_a_damaged_warehouse_is_told_and_silences_nothing_else(world: World, receiver: Receiver) -> None:
    """Looking for silent feeds raised it, before anything was kept or sent: not even the failed run was told."""
    load(world, orders=1)
    world.tick()
    overwrite_warehouse(world)
    failed = Watched(AlertKey("", "run_failed", "sync"), trouble("run_failed", detail="run 0badcafe"))
    opened = world.installation
    watch(opened.settings, opened.state, clock=opened.clock, also=[failed])
    assert sorted(receiver.changes) == [("opened", "run_failed"), ("opened", "run_refused")]
    assert "warehouse.duckdb is damaged" in next(text for text in receiver.texts if "run_refused" in text)


def test_a_damaged_warehouse_stays_told_however_long_it_lasts(world: World, receiver: Receiver) -> None:
    load(world, orders=1)
    world.tick()
    overwrite_warehouse(world)
    for _ in range(2):
        look(world)
        world.pass_time(minutes=45)  # by then no feed is looked at any more
    assert receiver.changes == [("opened", "run_refused")]


def test_damage_that_only_the_look_for_silent_feeds_meets_lets_the_rest_be_told(
    world: World, receiver: Receiver
) -> None:
    with_history(world)
    good_run(world)
    with world.installation.warehouse.open() as connection:
        connection.execute(
            "INSERT INTO raw_record (seq, dealer_id, fetched_at, record) "
            "SELECT range, $dealer, $now, repeat('x', 50) || range FROM range(200000)",
            {"dealer": JANSEN, "now": world.now},
        )
    world.installation.warehouse.shorten_log()
    path = world.folder / "data" / "warehouse.duckdb"
    world.restart()
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.write_bytes(content)
    failed = Watched(AlertKey("", "run_failed", "sync"), trouble("run_failed"))
    opened = world.installation
    watch(opened.settings, opened.state, clock=opened.clock, also=[failed])
    assert sorted(receiver.changes) == [("opened", "run_failed"), ("opened", "run_refused")]


def test_a_warehouse_of_a_newer_version_and_a_restore_that_was_broken_off_are_told(
    world: World, receiver: Receiver
) -> None:
    with world.installation.warehouse.open() as connection:
        connection.execute("INSERT INTO schema_version VALUES (99, now())")
    world.restart()
    look(world)
    assert receiver.changes == [("opened", "run_refused")]
    assert "schema version 99" in receiver.texts[0]
    for path in (world.folder / "data").glob("warehouse.duckdb*"):
        path.unlink()
    look(world)
    marker = restore_marker(world.installation.settings.warehouse.path)
    marker.touch()
    look(world)
    assert receiver.changes[1:] == [("recovered", "run_refused"), ("opened", "run_refused")]
    assert "a restore was broken off half way" in receiver.texts[-1]
    marker.unlink()
    look(world)
    assert receiver.changes[3:] == [("recovered", "run_refused")]
    assert not (world.folder / "data" / "warehouse.duckdb").exists(), "a look makes none"


def test_a_warehouse_that_another_process_holds_is_neither_told_nor_taken_for_mended(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autoflex_pipeline.runs.guards.LOOK_SECONDS", 0)
    load(world, orders=1)
    world.tick()
    with world.installation.warehouse.alone():
        look(world)
    assert receiver.changes == []
    overwrite_warehouse(world)
    look(world)
    with world.installation.warehouse.alone():
        look(world)
    assert receiver.changes == [("opened", "run_refused")]


def with_history(world: World) -> None:
    """Eight weeks in which a run brought a change every ten minutes from 08:00 to 17:00, and a good run just now."""
    here = world.now.astimezone(ZoneInfo("Europe/Amsterdam"))
    days = [here - timedelta(weeks=week) for week in range(1, 9)]
    moments = [day.replace(hour=8, minute=0) + timedelta(minutes=10 * step) for day in days for step in range(54)]
    with world.installation.warehouse.open() as connection:
        for place, moment in enumerate(moments):
            run = f"run-{place}"
            connection.execute(
                "INSERT INTO extract (extract_id, dealer_id, entity, source, started_at, run_id) "
                "VALUES ($run, $dealer, 'order', 'api:open_orders', $moment, $run)",
                {"run": run, "dealer": JANSEN, "moment": moment},
            )
            connection.execute(
                "INSERT INTO raw_record (seq, dealer_id, entity, record_key, extract_id, fetched_at, run_id) "
                "VALUES ($seq, $dealer, 'order', '1', $run, $moment, $run)",
                {"seq": place, "dealer": JANSEN, "run": run, "moment": moment},
            )


def good_run(world: World) -> None:
    with world.installation.state.begin() as connection:
        values = {"last_attempt_at": world.now, "last_success_at": world.now, "last_run_id": "now"}
        remember(connection, JANSEN, **values)


def change(world: World) -> None:
    with world.installation.warehouse.open() as connection:
        connection.execute("UPDATE raw_record SET fetched_at = $now WHERE seq = 0", {"now": world.now})


def test_a_feed_that_goes_silent_is_told_once_and_is_over_when_something_changes(
    world: World, receiver: Receiver
) -> None:
    """It was told as recovered at midnight, when nothing is usual, although nothing had changed."""
    with_history(world)
    world.now = world.now.replace(hour=8, minute=20)  # 09:20 there; changes usually begin at 08:00
    for _ in range(3):
        good_run(world)
        look(world)
        world.pass_time(minutes=15)
    assert receiver.changes == [("opened", "silent_feed")]
    assert "no change since 2026-11-17 16:50 CET; usually 10 runs bring changes" in receiver.texts[0]
    world.pass_time(hours=16)
    good_run(world)
    look(world)
    assert len(receiver.changes) == 1
    world.pass_time(minutes=11)
    change(world)
    good_run(world)
    look(world)
    assert receiver.changes[1:] == [("recovered", "silent_feed")]


def test_a_feed_is_not_called_silent_while_nobody_looks_at_it(world: World, receiver: Receiver) -> None:
    with_history(world)
    good_run(world)
    world.pass_time(minutes=31)
    look(world)
    assert receiver.changes == []


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


def test_the_command_lists_what_is_open_and_tries_the_routes(world: World, receiver: Receiver) -> None:
    load(world)
    world.claire.set_fault("status_before", status=422)
    assert "nobody has looked yet" in command(world, "alerts", "list").err
    world.tick()
    receiver.answers = [500, 200]
    assert command(world, "alerts", "watch").code == 1, "the message is still to go"
    listed = command(world, "alerts", "list")
    assert "Claire rejects documents" in listed.out
    assert "the webhook answered 500" in listed.out
    parsed = json.loads(command(world, "alerts", "list", "--json").out)
    assert [(row["dealer_id"], row["kind"], row["size"]) for row in parsed["alerts"]] == [(JANSEN, "rejected", 3)]
    assert datetime.fromisoformat(parsed["alerts"][0]["opened_at"]) == world.now
    assert len(parsed["unsent"]) == 1
    tried = command(world, "alerts", "test")
    assert (tried.code, tried.out) == (0, "team: sent\n")
    assert receiver.alerts[-1]["kind"] == "test"
    receiver.answers = [403]
    tried = command(world, "alerts", "test", "--route", "team")
    assert (tried.code, tried.out) == (1, "team: NOT SENT: the webhook answered 403\n")
    assert command(world, "alerts", "test", "--route", "nobody").code == 2
