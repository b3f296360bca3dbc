"""What goes wrong in a run is told to the configured routes, once per change, and nothing personal with it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from autoflex_pipeline.alerts.kinds import Watched, trouble
from autoflex_pipeline.alerts.watching import watch
from autoflex_pipeline.runs.guards import restore_marker
from autoflex_pipeline.state.alerts import AlertKey
from autoflex_pipeline.state.dealers import remember
from autoflex_pipeline_tests.commands import command
from autoflex_pipeline_tests.receivers import ROUTE, Receiver
from autoflex_pipeline_tests.world import JANSEN, World, load, variable


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
