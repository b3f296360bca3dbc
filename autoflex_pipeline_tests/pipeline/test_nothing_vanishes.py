"""extracted = accepted + unchanged + quarantined + skipped: a dealer for which it does not hold is sent nothing."""

from __future__ import annotations

from typing import Any

import dagster as dg
import duckdb
import pytest

from autoflex_pipeline.orchestration.build import build_definitions
from autoflex_pipeline.orchestration.stopped import stopped, stopping_checks
from autoflex_pipeline.runs import steps
from autoflex_pipeline.runs.summary import summary_of
from autoflex_pipeline.sources import storing
from autoflex_pipeline.staging import StageCounts, StagingContext
from autoflex_pipeline.staging.accounting import account_run, unbalanced_dealers
from autoflex_pipeline_tests.world import DEVRIES, JANSEN, World, load

real = steps.stage_entities


def losing(connection: duckdb.DuckDBPyConnection, staging: StagingContext) -> dict[str, dict[str, StageCounts]]:
    """A staging with a defect: one accepted order of Jansen is nowhere afterwards."""
    counts = real(connection, staging)
    connection.execute("DELETE FROM appointment WHERE dealer_id = ? AND dms_number = '50002'", [JANSEN])
    return counts


def test_records_that_vanish_keep_their_dealer_from_being_sent_anything_until_they_are_found_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check stopped its own run only, and that for every dealer; one that did not see the record sent all."""
    load(world)
    load(world, DEVRIES)
    with monkeypatch.context() as patch:
        patch.setattr(steps, "stage_entities", losing)
        summary = world.sync()
        assert "its records do not add up (check nothing_vanishes of run " in summary["dealers"][JANSEN]["error"]
        assert summary["dealers"][DEVRIES]["ok"], "what happens to one dealer changes nothing for another"
        assert world.imports() == 3
        seen = world.look()[JANSEN]
        assert not seen.has_work, "no run a minute mends a defect of the program"
        assert seen.reason.startswith("held until 10:05 (accounts): ")
    told = world.sync(JANSEN, numbers=["50001"], force=True, reread=False)["dealers"][JANSEN]
    assert "its records do not add up (check nothing_vanishes of run " in told["error"]
    assert world.imports() == 3
    # The program is mended: it finds the lost record's place by itself, and all that waited goes.
    summary = world.sync()
    assert summary["ok"], summary
    assert [held["wo_nr"] for number in ("50001", "50002", "50003") if (held := world.held(number))] == [
        "2026-50001", "2026-50002", "2026-50003",
    ]  # fmt: skip
    assert "held" not in world.look()[JANSEN].reason


def test_a_run_none_of_whose_dealers_adds_up_is_stopped_by_the_check_and_the_others_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(world)
    load(world, DEVRIES)
    with monkeypatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setattr(steps, "stage_entities", losing)
        jansen = run_sync(world, instance, dealers=[JANSEN])
        assert not {"claire_deliveries", "analytics"} & steps_of(jansen)
        assert world.imports() == 0
        summary, _ = summary_of(world.installation.state, [jansen.run_id], [JANSEN], [])
        assert "its records do not add up (check nothing_vanishes of run " in summary["dealers"][JANSEN]["error"]
        assert summary["dealers"][JANSEN]["extracted"]["order"] == 3
        assert stopping_checks(instance, jansen.run_id) == ("quarantine: nothing_vanishes",)
        assert stopped(instance, "sync") is None, "the schedule waits for this dealer, not for all"
        assert (world.look()[JANSEN].has_work, world.look()[DEVRIES].has_work) == (False, True)
        both = run_sync(world, instance)
        assert both.success
        assert {"claire_deliveries", "analytics"} <= steps_of(both)
        assert stopping_checks(instance, both.run_id) == (), "a warning stops nothing"
    assert world.imports() == 3
    assert world.held("50001", DEVRIES) is not None
    assert world.held("50001") is None


def test_a_night_that_the_check_stops_has_made_its_backup(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    load(world)
    assert world.sync(JANSEN, dry_run=True)["ok"]
    with monkeypatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setattr(steps, "stage_entities", losing)
        night = run_job(world, instance, "nightly", dealers=[JANSEN])
        assert stopping_checks(instance, night.run_id) == ("quarantine: nothing_vanishes",)
    assert "claire_deliveries" not in steps_of(night)
    (copy,) = (world.folder / "data" / "backups").glob("*/warehouse.duckdb")
    with duckdb.connect(str(copy), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM appointment").fetchall() == [(3,)]


def run_sync(world: World, instance: dg.DagsterInstance, **options: Any) -> dg.ExecuteInProcessResult:
    return run_job(world, instance, "sync", **options)


def run_job(world: World, instance: dg.DagsterInstance, name: str, **options: Any) -> dg.ExecuteInProcessResult:
    job = build_definitions(world.installation).resolve_job_def(name)
    config = {"resources": {"options": {"config": options}}}
    return job.execute_in_process(instance=instance, raise_on_error=False, run_config=config)


def steps_of(result: dg.ExecuteInProcessResult) -> set[str | None]:
    return {event.step_key for event in result.all_events if event.is_step_start}


def test_a_record_that_staging_tells_twice_does_not_add_up(world: World) -> None:
    """Both sides were counted from the same rows, so that one told twice also came twice."""
    load(world, orders=1)
    world.tick()
    [(run_id,)] = world.query(f"SELECT DISTINCT run_id FROM sighting WHERE dealer_id = '{JANSEN}'")
    with world.installation.warehouse.open() as connection:
        assert unbalanced_dealers(connection, run_id) == []
        connection.execute("INSERT INTO car FROM car")
        account: Any = account_run(connection, run_id)[JANSEN]
        assert (account.extracted["vehicle"], account.staged["car"]["accepted"]) == (1, 2)
        assert unbalanced_dealers(connection, run_id) == [JANSEN]


def forgetting(connection: duckdb.DuckDBPyConnection, staging: StagingContext) -> dict[str, dict[str, StageCounts]]:
    """A staging with a defect: an order of Jansen that was changed is as it was before."""
    former = connection.execute("SELECT * FROM appointment WHERE dms_number = '50002'").fetchall()
    counts = real(connection, staging)
    for row in former:
        connection.execute("DELETE FROM appointment WHERE dms_number = '50002'")
        connection.execute(f"INSERT INTO appointment VALUES ({', '.join('?' * len(row))})", list(row))
    return counts


def test_a_change_that_staging_loses_does_not_count_as_unchanged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    load(world)
    load(world, DEVRIES, orders=1)
    world.tick()
    world.autoflex.change(JANSEN, "order", 50002, notes="gewijzigd")
    world.autoflex.change(DEVRIES, "order", 50001, notes="gewijzigd")
    with monkeypatch.context() as patch:
        patch.setattr(steps, "stage_entities", forgetting)
        summary = world.sync()
    assert "its records do not add up (check nothing_vanishes of run " in summary["dealers"][JANSEN]["error"]
    assert summary["dealers"][DEVRIES]["ok"], "what happens to one dealer changes nothing for another"
    # The program is mended.
    summary = world.sync()
    assert summary["ok"], summary
    held = world.held("50002")
    assert held is not None
    assert held["dms_notes"] == "gewijzigd"


def test_a_record_that_is_lost_before_it_is_stored_does_not_add_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(world)
    records = storing._records
    with monkeypatch.context() as patch:
        patch.setattr(storing, "_records", lambda extracts: records(extracts).slice(1))
        summary = world.sync(JANSEN)
    assert "its records do not add up (check nothing_vanishes of run " in summary["dealers"][JANSEN]["error"]
    assert world.imports() == 0
    summary = world.sync()
    assert summary["ok"], summary
    assert world.imports() == 3


def test_a_change_of_spelling_that_changes_no_field_adds_up(world: World) -> None:
    load(world)
    world.tick()
    world.autoflex.change(JANSEN, "vehicle", 7001, license_plate="gh-123-j")
    before = world.query("SELECT count(*) FROM raw_record WHERE entity = 'vehicle'")
    summary = world.tick(reread=True)
    assert summary[JANSEN]["ok"]
    assert world.query("SELECT count(*) FROM raw_record WHERE entity = 'vehicle'") != before
    assert world.query("SELECT count(*) FROM car_past") == [(0,)]
