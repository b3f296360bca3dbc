"""A run that dies or whose disk fails at any durable step: the next ones leave Claire exact, with one effect a change.

Every ``CRASH_EVERY``-th step is tried: 20 in the usual run, 1 in ``make crash``.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import duckdb
import pytest

from autoflex_pipeline_tests.faults.crashing import STEPS, Crash, Kind, run_to_crash
from autoflex_pipeline_tests.world import DEVRIES, JANSEN, LOCATIONS, World, line, load, order, relation, vehicle

EVERY = int(os.environ.get("CRASH_EVERY", "20"))
ORDERS = (50001, 50002)


def change_everything(world: World, round_number: int) -> None:
    """Another text in two orders, their lines, car and party, and a new order with its own, in one dealer's DMS."""
    told, new = f"ronde {round_number}", 60000 + round_number
    own = {"vehicle_id": new, "relation_id": new, "plan_date_from": "20261210T083000", "plan_date_to": None}
    world.autoflex.load(
        JANSEN,
        {
            "order": [*(order(number, notes=told) for number in ORDERS), order(new, notes=told, **own)],
            "order_line": [
                line(number * 100 + 1, number, line_number=1, description=told) for number in (*ORDERS, new)
            ],
            "vehicle": [
                vehicle(model=told),
                vehicle(new, model=told, driver_relation_id=new, owner_relation_id=new),
            ],
            "relation": [relation(street=told), relation(new, street=told)],
        },
    )


def numbers_of(round_number: int) -> list[str]:
    return [str(number) for number in (*ORDERS, 60000 + round_number)]


def assert_exact(world: World, round_number: int) -> None:
    """Claire shows this round's texts everywhere, and each document had one effect in it."""
    told = f"ronde {round_number}"
    for number in numbers_of(round_number):
        held: dict[str, Any] | None = world.held(number)
        assert held is not None, number
        assert held["dms_notes"] == told
        assert [each["title"] for each in held["interventions"]] == [told]
        assert held["car"]["model"] == told
        assert {customer["street"] for customer in held["customers"]} == {told}


def effects(world: World) -> Counter[str]:
    return Counter(effect["dms_nr"] for effect in world.claire.effects(LOCATIONS[JANSEN]))


def published(world: World) -> list[tuple[Any, ...]]:
    """The notes in the analysts' copy: readable, and as new as the warehouse."""
    with duckdb.connect(str(world.folder / "data" / "analytics.duckdb"), read_only=True) as connection:
        return connection.execute("SELECT dms_number, dealer_id FROM appointment ORDER BY ALL").fetchall()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["kill", "full disk", "I/O error"])
def test_a_crash_at_any_durable_step_loses_nothing_and_does_nothing_twice(world: World, kind: Kind) -> None:
    load(world, JANSEN, orders=len(ORDERS), lines=1)
    load(world, DEVRIES, orders=1)
    world.tick(reread=True)
    tried: Counter[str] = Counter()
    round_number, at = 0, 1
    while True:
        round_number += 1
        change_everything(world, round_number)
        before = effects(world)
        code, names = run_to_crash(world.config, world.now, Crash(at, kind))
        if len(names) < at and code == 0:
            break  # the run has fewer steps than that
        tried[names[at - 1] if names else "killed"] += 1
        world.restart()
        summary = world.tick(reread=True)
        assert all(part["ok"] for part in summary.values()), (at, kind, summary)
        assert_exact(world, round_number)
        assert effects(world) - before == Counter(numbers_of(round_number)), (at, kind)
        sent = world.imports()
        assert all(part["ok"] for part in world.tick().values())
        assert world.imports() == sent, (at, kind)
        assert published(world) == world.query("SELECT dms_number, dealer_id FROM appointment ORDER BY ALL")
        at += EVERY
    print(f"{kind}: {sum(tried.values())} of {at - 1} steps tried: {dict(tried)}")


def test_the_steps_of_a_run_are_all_named_and_all_met(world: World) -> None:
    load(world)
    code, names = run_to_crash(world.config, world.now, Crash(0))
    assert code == 0
    assert set(names) == set(STEPS)
