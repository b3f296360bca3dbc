"""An analyst's session held open during syncs, also one opened for writing by mistake, disturbs nobody."""

from __future__ import annotations

import duckdb

from autoflex_pipeline_tests.world import JANSEN, World, load


def test_sessions_held_open_during_syncs_disturb_nobody_and_corrupt_nothing(world: World) -> None:
    load(world, orders=2)
    assert world.run(publish=True)["ok"]
    link = world.folder / "data" / "analytics.duckdb"
    first = link.resolve()
    reading = duckdb.connect(str(link), read_only=True)
    assert reading.execute("SELECT count(*) FROM appointment").fetchone() == (2,)
    world.autoflex.change(JANSEN, "order", 50001, milometer=200000)
    assert world.run(publish=True)["ok"]
    # The open session still sees its own moment; a mistaken writer on the new version changes nobody's next one.
    assert reading.execute("SELECT max(dms_mileage) FROM appointment").fetchone() == (123456,)
    second = link.resolve()
    assert second != first
    second.chmod(0o644)
    writing = duckdb.connect(str(link))
    writing.execute("DELETE FROM appointment")
    world.autoflex.change(JANSEN, "order", 50002, milometer=300000)
    assert world.run(publish=True)["ok"]
    with duckdb.connect(str(link), read_only=True) as fresh:
        assert fresh.execute("SELECT count(*), max(dms_mileage) FROM appointment").fetchone() == (2, 300000)
    reading.close()
    writing.close()
    world.autoflex.change(JANSEN, "order", 50002, milometer=310000)
    assert world.run(publish=True)["ok"]
    with duckdb.connect(str(link), read_only=True) as fresh:
        assert fresh.execute("SELECT count(*), max(dms_mileage) FROM appointment").fetchone() == (2, 310000)


def test_personal_values_are_pseudonyms_for_analysts(world: World) -> None:
    load(world, orders=1)
    world.run(publish=True)
    with duckdb.connect(str(world.folder / "data" / "analytics.duckdb"), read_only=True) as analysts:
        row = analysts.execute("SELECT last_name, street, postcode, place FROM party").fetchone()
        notes = analysts.execute("SELECT dms_notes FROM appointment").fetchone()
    assert row is not None
    assert row[0] not in (None, "van den Berg")
    assert row[1] not in (None, "Dorpsstraat")
    assert row[2:] == ("1234", "Utrecht")
    assert notes == (None,)
