"""What would be sent is shown field by field before anything is sent, in the UI and on the terminal."""

from __future__ import annotations

import json

import pytest

from autoflex_pipeline.cli.sync import show_changes
from autoflex_pipeline.orchestration import preview
from autoflex_pipeline.runs import steps
from autoflex_pipeline.runs.context import RunOptions
from autoflex_pipeline_tests.commands import command
from autoflex_pipeline_tests.launchpad import launch, reported, table_of
from autoflex_pipeline_tests.world import DEVRIES, JANSEN, World, load


def test_the_preview_job_shows_the_difference_by_field_and_sends_nothing(world: World) -> None:
    load(world, JANSEN)
    load(world, DEVRIES)
    world.tick()
    sent, held = world.imports(), world.claire.appointments("101")
    world.autoflex.change(JANSEN, "order", 50001, plan_date_from="20261126T100000", notes="van mevrouw Berg")
    world.autoflex.change(JANSEN, "order", 50002, is_canceled=1)
    world.autoflex.change(JANSEN, "relation", 3001, last_name="Boer", city="Houten")
    world.autoflex.change(DEVRIES, "order", 50001, notes="niet gevraagd")
    result = launch(
        world,
        "preview",
        f"{{resources: {{options: {{config: {{dealers: [{JANSEN}], dry_run: false, reread: true}}}}}}}}",
    )
    assert result.success
    report = reported(result, "preview_report")
    rows = table_of(report["difference"], "dealer", "dms_number", "would", "field", "now", "then")
    assert {row[0] for row in rows} == {JANSEN}
    assert rows[0][:3] == (JANSEN, "50002", "cancel"), "what undoes most stands first"
    assert (JANSEN, "50001", "update", "appointment_date", "2026-11-25", "2026-11-26") in rows
    assert (JANSEN, "50001", "update", "dms_notes", "hidden", "hidden") in rows
    assert (JANSEN, "50003", "update", "customers[driver].last_name", "hidden", "hidden") in rows
    assert (JANSEN, "50003", "update", "customers[driver].place", "Utrecht", "Houten") in rows
    assert "Boer" not in str(report)
    assert "Berg" not in str(report)
    assert (report["would_update"], report["would_cancel"], report["would_create"]) == (3, 1, 0)
    assert report["fields_left_out"] == 0

    assert world.imports() == sent, "nothing is sent, although dry_run was switched off in the Launchpad"
    assert world.claire.appointments("101") == held
    assert world.look()[JANSEN].has_work, "the next tick does not take the preview for a sync"
    assert world.tick()[JANSEN]["delivery"]["updated"] == 3
    held_now = world.held("50002")
    assert held_now is not None
    assert held_now["canceled"] is True


def test_a_preview_says_what_would_be_held_because_work_has_started(world: World) -> None:
    """A dry run told of an update where a run would have held it: the status was asked for just before sending only."""
    world.configure(dealers={JANSEN: {"keep_importing": False}}, claire={"deadline_seconds": 60})
    world.restart()
    load(world, orders=2)
    world.tick()
    world.claire.set_status("101", "50001", "Control started")
    for number in (50001, 50002):
        world.autoflex.change(JANSEN, "order", number, notes="nieuw")
    delivery = world.tick(dry_run=True)[JANSEN]["delivery"]
    assert (delivery["held"], delivery["updated"]) == (1, 1)
    world.claire.set_fault("unauthorized")
    failed = world.tick(dry_run=True)[JANSEN]
    assert "could not be asked for the status of the appointments" in failed["error"]
    world.claire.clear_faults()
    world.restart()
    delivery = world.tick()[JANSEN]["delivery"]
    assert (delivery["held"], delivery["updated"]) == (1, 1)


def test_a_table_that_would_be_too_long_says_how_much_is_left_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "MOST_FIELDS", 4)
    load(world, orders=2)
    world.tick(dry_run=True)
    run = world.installation.run_context("a-preview", RunOptions(dry_run=True))
    metadata = preview.preview_metadata(world.installation.settings, steps.deliver(run))
    assert len(metadata["difference"].records) == 4
    assert metadata["fields_left_out"] == metadata["fields"] - 4 > 0
    assert metadata["would_create"] == 2


def test_a_dry_run_on_the_terminal_prints_the_difference_readably_and_as_json(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    load(world, orders=2)
    world.tick()
    world.autoflex.change(JANSEN, "order", 50001, notes=None, milometer=130000)
    sent = world.imports()
    done = command(world, "sync", "--dealer", JANSEN, "--dry-run", "--json")
    assert done.code == 0
    told = json.loads(done.out)
    assert told["dealers"][JANSEN]["delivery"]["updated"] == 1
    (document,) = told["changes"][JANSEN]
    assert {"field": "dms_notes", "old": "Klant wacht", "new": None} in document["fields_changed"]
    assert world.imports() == sent
    show_changes(told["changes"])
    lines = capsys.readouterr().out.splitlines()
    (notes,) = [line for line in lines if "dms_notes" in line]
    assert notes.split() == ["50001", "update", "dms_notes", "Klant", "wacht", "(empty)"]
    assert any(line.split() == ["dms_mileage", "123456", "130000"] for line in lines)
