"""What docs/dealers.md says of a dealer that is taken out of the file, and put back."""

from __future__ import annotations

import duckdb

from autoflex_pipeline_tests.commands import command
from autoflex_pipeline_tests.world import DEVRIES, JANSEN, World, load


def without(world: World, dealer_id: str) -> str:
    """Take the dealer's table, the last of the file, out of it; gives the file as it was."""
    whole = world.config.read_text(encoding="utf-8")
    head, mark, rest = whole.rpartition("[[dealers]]")
    assert dealer_id in rest, "only the last dealer can be taken out"
    world.config.write_text(head, encoding="utf-8")
    world.restart()
    return head + mark + rest


def analysts(world: World, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(world.installation.settings.warehouse.analytics_path), read_only=True) as copy:
        return copy.execute(sql).fetchall()


def test_a_dealer_that_left_is_not_read_and_keeps_what_is_stored_and_goes_on_when_it_is_back(world: World) -> None:
    world.configure(dealers={DEVRIES: {"privacy": "full"}})
    world.restart()
    for dealer_id in (JANSEN, DEVRIES):
        load(world, dealer_id, orders=1)
    world.tick(publish=True)
    assert analysts(world, f"SELECT DISTINCT last_name FROM party WHERE dealer_id = '{DEVRIES}'") == [("van den Berg",)]

    file = without(world, DEVRIES)
    world.autoflex.change(DEVRIES, "order", 50001, notes="Meanwhile")
    world.autoflex.change(JANSEN, "order", 50001, notes="Goes on")
    assert set(world.tick(publish=True)) == {JANSEN}
    assert command(world, "trace", "--dealer", DEVRIES, "50001").code == 2
    [(raw_hash,)] = world.query(f"SELECT min(raw_hash) FROM raw_record WHERE dealer_id = '{DEVRIES}'")
    told = command(world, "trace", "--raw", raw_hash)
    assert (told.code, DEVRIES in told.out) == (0, True), told.err
    held = world.held("50001", DEVRIES)
    assert held is not None
    assert (held["dms_notes"], held["canceled"]) == ("Klant wacht", False)
    [(name,)] = analysts(world, f"SELECT DISTINCT last_name FROM party WHERE dealer_id = '{DEVRIES}'")
    assert name != "van den Berg", "it is not configured as full any more"

    world.config.write_text(file, encoding="utf-8")
    world.restart()
    assert world.tick(publish=True)[DEVRIES]["delivery"]["updated"] == 1
    held = world.held("50001", DEVRIES)
    assert held is not None
    assert held["dms_notes"] == "Meanwhile"
