"""What `quarantine list` tells leads to the record itself."""

from __future__ import annotations

import json

from autoflex_pipeline_tests.commands import command
from autoflex_pipeline_tests.world import JANSEN, World, line, load


def test_a_record_without_a_number_can_be_looked_at(world: World) -> None:
    """It was listed without number and without where it came from, so that nobody could find it in the DMS."""
    load(world, orders=1)
    assert world.dms is not None
    world.dms.load(
        JANSEN, "order_line", [("nameless", line(7, 50001, description="Wissers") | {"order_line_id": None})]
    )
    world.tick()

    [entry] = json.loads(command(world, "quarantine", "list", "--json").out)
    assert (entry["rule"], entry["dms_number"]) == ("key_missing", None)
    assert entry["source"].startswith("order_line?")
    shown = command(world, "quarantine", "list").out.split()[-1]
    assert entry["raw_hash"].startswith(shown)

    found = json.loads(command(world, "trace", "--raw", shown, "--json").out)
    assert found["raw"]["record"]["description"] == "Wissers"
    assert found["appointments"] == []


def test_an_entry_that_is_shown_says_where_its_record_came_from(world: World) -> None:
    load(world, orders=1)
    world.autoflex.change(JANSEN, "order_line", 5000101, description=" ")
    world.tick()
    done = command(world, "quarantine", "show", "5000101")
    assert done.code == 0
    assert "order_line?" in done.out
