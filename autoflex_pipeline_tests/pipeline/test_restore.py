"""After a restore the next run converges: Claire knows more than the stores, and nothing has a second effect."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import dagster as dg
import pytest

from autoflex_pipeline.orchestration.build import build_definitions
from autoflex_pipeline.runs.context import RunOptions
from autoflex_pipeline_tests.commands import command
from autoflex_pipeline_tests.world import JANSEN, World, load, order


def tick(world: World) -> dict[str, object]:
    return world.tick(dealers=(JANSEN,))[JANSEN]


def backed_up(world: World) -> None:
    world.restart()
    assert command(world, "backup").code == 0


def damage(world: World) -> None:
    for name in ("warehouse.duckdb", "warehouse.state.sqlite"):
        (world.folder / "data" / name).write_bytes(b"overwritten by something else" * 1000)


def notes(world: World, number: str) -> str | None:
    held = world.held(number)
    return held["dms_notes"] if held else None


def outcomes(world: World, after: int) -> list[tuple[str, str]]:
    """What became of the imports after the first ``after`` of them: number and outcome."""
    imports = [entry for entry in world.claire.log() if entry["endpoint"] == "import"]
    return sorted((entry["dms_nr"], entry["outcome"]) for entry in imports[after:])


@pytest.mark.parametrize("way", ["../../elders/{}", "elders/{}", "../backups/{}", "{}/", "./{}", "/{}", ".."])
def test_a_backup_is_asked_for_by_its_name_and_never_by_a_path(world: World, way: str) -> None:
    """Also a whole backup is refused when it lies elsewhere, or is named by a way to it."""
    backed_up(world)
    folder = world.installation.settings.warehouse.backup_folder
    [backup] = folders(folder)
    shutil.copytree(backup, world.folder / "elders" / backup.name)
    before = (world.folder / "data" / "warehouse.duckdb").read_bytes()
    name = way.format(backup.name if way != "/{}" else backup)
    done = command(world, "restore", name, "--yes")
    assert (done.code, f"there is no backup {name!r} in {folder}" in done.err) == (1, True), done
    assert (world.folder / "data" / "warehouse.duckdb").read_bytes() == before
    assert list((world.folder / "data").glob("replaced-*")) == []


def test_what_claire_took_since_the_backup_is_found_there_and_nothing_is_sent_twice(world: World) -> None:
    """The restored store counted its intents on from the backup: with the numbers, and so with the idempotency keys, of
    documents that Claire had taken since, which it answers with 422 or, to an equal one, with its first answer."""
    load(world, orders=4)
    tick(world)
    backed_up(world)
    world.autoflex.change(JANSEN, "order", 50001, notes="tweede")
    world.autoflex.change(JANSEN, "order", 50002, notes="tweede")
    world.autoflex.put(JANSEN, "order", order(50009))
    tick(world)
    world.autoflex.change(JANSEN, "order", 50001, notes="derde")
    tick(world)
    # Not seen by any run: one changes again, one goes back to what it was, one that no backup knows is billed.
    world.autoflex.change(JANSEN, "order", 50001, notes="vierde")
    world.autoflex.change(JANSEN, "order", 50002, notes="Klant wacht")
    world.autoflex.change(JANSEN, "order", 50009, is_invoiced=1)
    world.restart()
    damage(world)
    told = command(world, "sync").err
    assert "is damaged" in told
    assert "put the last good copy back with `autoflex-pipeline restore`" in told
    assert command(world, "restore", "--yes").code == 0
    sent = world.imports()
    assert tick(world)["ok"]
    assert outcomes(world, sent) == [("50001", "updated"), ("50002", "updated"), ("50009", "updated")]
    assert [notes(world, number) for number in ("50001", "50002", "50003")] == ["vierde", "Klant wacht", "Klant wacht"]
    held = world.held("50009")
    assert held is not None
    assert held["billed"] is True
    sent = world.imports()
    assert tick(world)["ok"]
    assert world.imports() == sent


def test_a_document_without_an_answer_in_the_backup_is_not_taken_for_delivered(world: World) -> None:
    """Sent again with its key it would get Claire's first answer to it, although Claire holds something newer by now.

    And nothing is sent for as long as Claire does not say what it holds.
    """
    world.configure(claire={"deadline_seconds": 1})
    load(world, orders=1)
    tick(world)
    world.autoflex.change(JANSEN, "order", 50001, notes="zonder antwoord")
    world.claire.set_fault("status_after", status=503)
    assert not tick(world)["ok"]
    world.claire.clear_faults()
    backed_up(world)
    world.autoflex.change(JANSEN, "order", 50001, notes="nieuwer")
    tick(world)
    world.autoflex.change(JANSEN, "order", 50001, notes="zonder antwoord")
    world.restart()
    assert command(world, "restore", "--yes").code == 0
    sent = world.imports()
    world.claire.set_fault("status_before", endpoint="list", status=503)
    assert "what Claire holds could not be read" in str(tick(world)["error"])
    assert world.imports() == sent
    world.claire.clear_faults()
    world.configure(claire={"deadline_seconds": 60})  # Claire is well again: a busy machine must not fail it
    world.restart()
    assert tick(world)["ok"]
    assert notes(world, "50001") == "zonder antwoord"
    assert outcomes(world, sent) == [("50001", "updated")]


def test_an_appointment_that_only_claire_has_left_is_told_once(world: World) -> None:
    load(world, orders=1)
    tick(world)
    backed_up(world)
    world.autoflex.put(JANSEN, "order", order(50009))
    tick(world)
    world.autoflex.delete(JANSEN, "order", 50009)
    world.restart()
    command(world, "restore", "--yes")
    assert "neither in staging nor, asked for by id, in Autoflex: 50009; cancel" in str(tick(world)["error"])
    assert tick(world)["ok"]


def test_a_person_sees_what_is_replaced_and_is_asked_first(world: World) -> None:
    load(world, orders=1)
    tick(world)
    backed_up(world)
    world.pass_time(minutes=1)
    backed_up(world)
    newest = world.folder / "data" / "backups" / "20261124T090100Z"
    (newest / "state.sqlite").write_bytes(b"damaged")
    listed = json.loads(command(world, "restore", "--list", "--json").out)
    assert [(each["name"], each["verified"]) for each in listed] == [
        ("20261124T090100Z", False), ("20261124T090000Z", True),
    ]  # fmt: skip
    assert "copied" in command(world, "restore", "--list").out  # a narrow terminal wraps the sentence
    refused = command(world, "restore", "20261124T090100Z", "--yes")
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "is not as it was copied" in refused.err
    assert "there is no backup '20200101T000000Z'" in command(world, "restore", "20200101T000000Z", "--yes").err
    before = (world.folder / "data" / "warehouse.duckdb").stat().st_ino
    no = command(world, "restore", answers="n\n")
    assert (no.code, "nothing was replaced" in no.err) == (1, True)
    assert "Backup 20261124T090000Z, made 2026-11-24 " in no.out
    assert f"{world.folder / 'data' / 'warehouse.duckdb'}: " in no.out
    assert (world.folder / "data" / "warehouse.duckdb").stat().st_ino == before
    assert command(world, "restore", answers="y\n").code == 0
    assert (world.folder / "data" / "warehouse.duckdb").stat().st_ino != before


def test_of_backups_dated_in_the_future_or_of_a_newer_version_none_is_taken_for_the_newest_unsaid(
    world: World,
) -> None:
    """The one that was made while the clock was a year ahead was put back as the newest."""
    load(world, orders=1)
    tick(world)
    backed_up(world)
    for minutes in (0, 5):
        world.pass_time(minutes=minutes)
        backed_up(world)
    backups = world.folder / "data" / "backups"
    newer = backups / "20261124T090500Z" / "backup.json"
    newer.write_text(newer.read_text().replace('"warehouse_schema": "1"', '"warehouse_schema": "99"'))
    world.pass_time(days=365)
    backed_up(world)
    world.pass_time(days=-365)
    listed = json.loads(command(world, "restore", "--list", "--json").out)
    assert [(each["name"], each["verified"], each["ahead_of_clock"]) for each in listed] == [
        ("20261124T090500Z", False, False),
        ("20261124T090000Z-2", True, False),
        ("20261124T090000Z", True, False),
        ("20271124T090500Z", True, True),
    ]
    preview = command(world, "restore", answers="n\n").out
    assert "Backup 20261124T090000Z-2, made 2026-11-24 " in preview
    assert "Passed over: backup" in preview
    assert "warehouse schema version 99, this program knows 1: it was written by a newer version" in preview
    assert "20271124T090500Z is dated later than this machine's clock" in preview
    asked_for = command(world, "restore", "20271124T090500Z", answers="n\n").out
    assert "Backup 20271124T090500Z, made 2027-11-24 " in asked_for
    assert "20271124T090500Z is dated later than this machine's clock" in asked_for
    refused = command(world, "restore", "20261124T090500Z", "--yes")
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "upgrade this program" in refused.err
    restored = json.loads(command(world, "restore", "--yes", "--json").out)
    assert restored["restored"]["name"] == "20261124T090000Z-2"
    assert len(restored["passed_over"]) == 2


def test_nothing_is_restored_while_a_run_is_going(world: World) -> None:
    load(world, orders=1)
    tick(world)
    backed_up(world)
    world.installation.run_context("a run that is going", RunOptions())
    refused = command(world, "restore", "--yes")
    assert (refused.code, refused.out) == (1, "")
    assert "a run is going: switch the schedules off" in refused.err


def test_each_night_makes_a_verified_backup_and_keeps_the_newest(world: World) -> None:
    patient = {"deadline_seconds": 60}  # it is not about a busy machine
    world.configure(warehouse={"backups_kept": 1, "backup_path": "elders"}, claire=patient)
    load(world, orders=1)
    for _ in range(2):
        world.pass_time(minutes=1)
        assert world.sync(JANSEN, full=True)["ok"]
    assert [path.name for path in folders(world.folder / "elders")] == ["20261124T090200Z"]
    world.configure(warehouse={"backups_kept": 0, "backup_path": "geen"}, claire=patient)
    world.restart()
    assert world.sync(JANSEN, full=True)["ok"]
    assert not (world.folder / "geen").exists()


def test_a_night_whose_backup_cannot_be_verified_says_so_by_its_check_and_keeps_the_older_ones(world: World) -> None:
    """Nothing but a backup reads the damaged block: the rest of the night goes well."""
    world.configure(warehouse={"backups_kept": 1})
    load(world, orders=1)
    tick(world)
    path = world.folder / "data" / "warehouse.duckdb"
    with world.installation.warehouse.open() as connection:
        connection.execute("CREATE TABLE read_by_no_run AS SELECT md5(range::VARCHAR) AS noise FROM range(200000)")
    backed_up(world)
    content = bytearray(path.read_bytes())
    content[-2_000_000:-1_000_000] = bytes(1_000_000)
    path.write_bytes(content)
    world.pass_time(minutes=1)
    result = night(world)
    assert not result.success
    (check,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "backup_verified"]
    assert not check.passed
    assert "no backup was made, and the older ones stay" in str(check.description)
    assert "`autoflex-pipeline restore`" in str(check.description)
    assert [each.name for each in folders(world.folder / "data" / "backups")] == ["20261124T090000Z"]
    assert command(world, "restore", "--yes").code == 0
    assert tick(world)["ok"]


def test_a_night_that_cannot_remove_an_old_backup_has_verified_the_new_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.configure(warehouse={"backups_kept": 1})
    load(world, orders=1)
    tick(world)
    backed_up(world)
    world.pass_time(minutes=1)

    def refused(backup: Path) -> None:
        raise PermissionError(13, "Permission denied", str(backup))

    with monkeypatch.context() as patch:
        patch.setattr("autoflex_pipeline.runs.backup._remove", refused)
        result = night(world)
    (check,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "backup_verified"]
    assert check.passed
    (failed,) = result.get_step_failure_events()
    assert "20261124T090000Z cannot be removed (Permission denied)" in str(failed.step_failure_data.user_failure_data)
    assert len(folders(world.folder / "data" / "backups")) == 2


def night(world: World) -> dg.ExecuteInProcessResult:
    """The nightly job, as Dagster runs it."""
    world.restart()
    job = build_definitions(world.installation).resolve_job_def("nightly")
    with dg.instance_for_test() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    world.restart()
    return result


def folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())
