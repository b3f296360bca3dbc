"""What a run tells an OpenLineage backend: what moved between which columns, and nobody's name."""

from __future__ import annotations

import json

from autoflex_pipeline_tests.world import World, load


def test_a_run_writes_its_events_without_a_value_of_a_record_and_a_dry_run_none(world: World) -> None:
    world.config.write_text(world.config.read_text("utf-8") + '[lineage]\nopenlineage_file = "l.jsonl"\n', "utf-8")
    world.restart()
    load(world, orders=3)
    world.tick(dry_run=True)
    file = world.folder / "l.jsonl"
    assert not file.exists()
    world.tick()
    text = file.read_text("utf-8")
    events = {event["job"]["name"]: event for event in map(json.loads, text.splitlines())}
    (delivered,) = events["deliver"]["outputs"]
    assert delivered["outputFacets"]["outputStatistics"]["rowCount"] == 3
    for value in ("Berg", "Dorpsstraat", "GH123J", "GH-123-J", "Klant wacht", "WVWZZZ1KZAW000001", "2026-50001"):
        assert value not in text, value
