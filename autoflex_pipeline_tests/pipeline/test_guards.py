"""A run that may not start says why in one line, and touches nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from autoflex_pipeline.orchestration.build import build_definitions
from autoflex_pipeline.runs.context import RunOptions
from autoflex_pipeline.runs.guards import restore_marker
from autoflex_pipeline.state.store import SCHEMA_VERSION
from autoflex_pipeline_tests.commands import Done, command
from autoflex_pipeline_tests.domain import run_domain
from autoflex_pipeline_tests.world import JANSEN, World, load

MORE_THAN_ANY_DISK_HAS = {"min_free_mb": 9_999_999}


def contents(folder: Path) -> dict[str, str]:
    """The files below ``folder`` that hold data: name and hash."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def refused(world: World, *arguments: str) -> Done:
    """The command is refused in one line, without a request to anybody or a changed file."""
    world.restart()
    before, asked, sent = contents(world.folder / "data"), world.autoflex.requests(), world.imports()
    done = command(world, *arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert contents(world.folder / "data") == before
    assert (world.autoflex.requests(), world.imports()) == (asked, sent)
    return done


def skip_reason(world: World) -> str | None:
    """What the minute's tick says."""
    repository = build_definitions(world.installation).get_repository_def()
    schedule = repository.get_schedule_def("every_minute")
    with dg.instance_for_test() as instance:
        resources = {"installation": world.installation}
        with dg.build_schedule_context(instance, resources=resources, repository_def=repository) as context:
            return schedule.evaluate_tick(context).skip_message


def test_doctor_and_months_make_no_store_before_the_first_run(world: World) -> None:
    """Both say that they change nothing, and made the stores."""
    shutil.rmtree(world.folder / "data")
    load(world)
    asked = command(world, "doctor", "--dealer", JANSEN, "--json")
    (told,) = [check for check in json.loads(asked.out)["checks"] if check["name"] == "warehouse and state store"]
    assert told["ok"]
    assert "the warehouse is not there yet: the first run makes it" in told["detail"]
    months = command(world, "months", "--dealer", JANSEN, "--json")
    assert {row["state"] for row in json.loads(months.out)["dealers"][JANSEN]} == {"never"}
    assert not (world.folder / "data").exists()
    world.restart()
    assert world.run(JANSEN)["ok"]
    asked = command(world, "doctor", "--dealer", JANSEN, "--json")
    (told,) = [check for check in json.loads(asked.out)["checks"] if check["name"] == "warehouse and state store"]
    assert (told["ok"], told["detail"]) == (True, "open, with this version's schema")


def test_a_disk_that_is_nearly_full_refuses_a_first_run_before_any_file_is_made(world: World) -> None:
    shutil.rmtree(world.folder / "data")
    load(world)
    world.configure(warehouse=MORE_THAN_ANY_DISK_HAS)
    done = refused(world, "sync")
    assert f"the disk is nearly full: {world.folder / 'data'} has " in done.err
    assert "MB free, a run may need 9,999,999 MB; nothing was touched: make room there" in done.err
    assert not (world.folder / "data").exists()


def test_a_disk_that_is_nearly_full_refuses_whatever_writes(world: World) -> None:
    load(world)
    world.tick()
    world.configure(warehouse=MORE_THAN_ANY_DISK_HAS)
    world.restart()
    for arguments in (
        ("sync", "--full"),
        ("sync", "--dealer", JANSEN, "--from", "2026-10", "--to", "2026-10"),
        ("resend", "--dealer", JANSEN, "50001"),
    ):
        assert "nearly full" in refused(world, *arguments).err


def test_a_refused_run_is_told_in_the_summary_of_every_dealer(world: World) -> None:
    world.configure(warehouse=MORE_THAN_ANY_DISK_HAS)
    done = command(world, "sync", "--json")
    summary = json.loads(done.out)
    assert (done.code, summary["ok"]) == (1, False)
    assert "nearly full" in summary["dealers"][JANSEN]["error"]
    assert summary["dealers"][JANSEN]["staged"]["appointment"] == {"accepted": 0, "unchanged": 0, "quarantined": 0}


def test_the_schedule_starts_no_run_on_a_full_disk_and_says_so(world: World) -> None:
    load(world)
    world.configure(warehouse=MORE_THAN_ANY_DISK_HAS)
    world.restart()
    assert "the disk is nearly full" in (skip_reason(world) or "")


def test_a_large_copy_asks_for_more_room_than_the_least(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    load(world)
    world.tick(publish=True)
    needed = (world.folder / "data" / "analytics.duckdb").stat().st_size
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": needed - 1}))
    world.configure(warehouse={"min_free_mb": 0})
    assert "nearly full" in refused(world, "sync").err


def test_a_clock_that_is_behind_the_stores_refuses_the_run(world: World) -> None:
    load(world)
    world.tick()
    world.pass_time(hours=-3)
    world.autoflex.change(JANSEN, "order", 50001, notes="teruggezet")
    done = refused(world, "sync")
    assert "the clock of this machine is wrong" in done.err
    assert "it says 2026-11-24 06:00:00 UTC, and the stores know of 2026-11-24 09:00:00 UTC, 3 hours later" in done.err
    assert "set the clock (NTP), then run again" in done.err
    assert "the clock of this machine is wrong" in (skip_reason(world) or "")
    world.pass_time(hours=3)
    assert world.tick()[JANSEN]["ok"]
    held = world.held("50001")
    assert held is not None
    assert held["dms_notes"] == "teruggezet"


def test_a_clock_that_is_set_back_a_little_writes_no_history_that_ends_before_it_begins(world: World) -> None:
    load(world)
    world.tick()
    for minute in (1, 2, 3):
        world.pass_time(minutes=-1)
        world.autoflex.change(JANSEN, "order", 50001, notes=f"versie {minute}")
        assert world.tick()[JANSEN]["ok"]
    versions = world.query("SELECT valid_from, valid_to FROM appointment_history WHERE dms_number = '50001'")
    assert len(versions) == 4
    assert [version for version in versions if version[1] is not None and version[1] < version[0]] == []


def test_a_clock_that_jumps_while_a_run_is_under_way_confirms_no_absence(world: World) -> None:
    load(world)
    world.tick()
    world.autoflex.delete(JANSEN, "order", 50002)
    world.tick()
    world.pass_time(minutes=5)
    run = world.installation.run_context("a run whose clock jumps", RunOptions())
    world.pass_time(hours=2)
    run_domain(run)
    held = world.held("50002")
    assert held is not None
    assert held["canceled"] is False


def test_a_clock_that_jumps_ahead_between_two_runs_confirms_no_absence(world: World) -> None:
    """Canceling waits an hour on the DMS's clock, too; what is believed is canceled an hour after the jump."""
    load(world)
    world.tick()
    world.autoflex.delete(JANSEN, "order", 50002)
    world.tick()
    world.pass_time(minutes=70)
    world.dms_behind = timedelta(minutes=69)
    world.tick()
    held = world.held("50002")
    assert held is not None
    assert held["canceled"] is False
    assert not world.look()[JANSEN].reason.startswith("an absence to confirm")
    world.pass_time(minutes=60)
    assert world.look()[JANSEN].has_work
    world.tick()
    held = world.held("50002")
    assert held is not None
    assert held["canceled"] is True


def test_a_warehouse_from_a_newer_version_is_refused(world: World) -> None:
    load(world)
    world.tick()
    with world.installation.warehouse.open() as connection:
        connection.execute("INSERT INTO schema_version VALUES (99, now())")
    done = refused(world, "sync")
    assert f"the warehouse {world.folder / 'data' / 'warehouse.duckdb'} has schema version 99" in done.err
    assert "upgrade this program" in done.err
    assert "schema version 99" in refused(world, "status").err


def test_a_state_store_from_a_newer_version_is_refused(world: World) -> None:
    load(world)
    world.tick()
    with world.installation.state.begin() as connection:
        connection.exec_driver_sql("INSERT INTO schema_version VALUES (99, 'later')")
    done = refused(world, "sync")
    assert f"has schema version 99, this program knows {SCHEMA_VERSION}" in done.err


def test_the_schedule_starts_no_run_on_a_damaged_warehouse_and_says_so(world: World) -> None:
    """It looked at the DMS alone: a run was started each minute, to be refused."""
    with_work(world)
    assert skip_reason(world) is None, "there is something to do"
    world.restart()
    path = world.folder / "data" / "warehouse.duckdb"
    path.write_bytes(b"overwritten by something else" * 1000)
    reason = skip_reason(world) or ""
    assert f"a run would be refused: warehouse {path} is damaged" in reason
    assert "`autoflex-pipeline restore`" in reason


def test_the_schedule_starts_no_run_on_a_warehouse_from_a_newer_version_and_says_so(world: World) -> None:
    with_work(world)
    with world.installation.warehouse.open() as connection:
        connection.execute("INSERT INTO schema_version VALUES (99, now())")
    world.restart()
    assert "schema version 99, this program knows" in (skip_reason(world) or "")


def test_the_schedule_starts_no_run_after_a_restore_that_was_broken_off_and_says_so(world: World) -> None:
    with_work(world)
    restore_marker(world.installation.settings.warehouse.path).touch()
    assert "a restore was broken off half way" in (skip_reason(world) or "")


def test_the_schedule_starts_a_run_also_while_another_process_holds_the_warehouse(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run waits for it; the look does not."""
    monkeypatch.setattr("autoflex_pipeline.runs.guards.LOOK_SECONDS", 0)
    with_work(world)
    with world.installation.warehouse.alone():
        assert skip_reason(world) is None


def test_the_schedule_does_not_open_the_warehouse_when_there_is_nothing_to_do(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(world)
    world.tick()
    assert skip_reason(world) is not None

    def opened(*_: object) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr("autoflex_pipeline.warehouse.Warehouse.open", opened)
    assert "as last staged" in (skip_reason(world) or "")


def with_work(world: World) -> None:
    """A run has been, and there is something to do for the next."""
    load(world)
    world.tick()
    world.autoflex.change(JANSEN, "order", 50001, notes="gewijzigd")
