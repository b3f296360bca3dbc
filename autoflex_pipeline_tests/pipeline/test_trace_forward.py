"""Forward from a raw record: the versions, orders and deliveries that it reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoflex_pipeline_tests.pipeline.tracing import one, trace
from autoflex_pipeline_tests.world import DEVRIES, JANSEN, World, line, load, order, relation, vehicle


def raw_hash(world: World, entity: str, place: int = 0) -> str:
    return str([each["raw_hash"] for each in one(world)["raw"] if each["entity"] == entity][place])


def test_a_raw_record_leads_to_the_versions_orders_and_deliveries_that_it_reached(world: World) -> None:
    load(world, orders=2)
    world.autoflex.put(JANSEN, "vehicle", vehicle(7002, license_plate="12AB34", driver_relation_id=None))
    world.autoflex.load(
        JANSEN, {"order": [order(50003, vehicle_id=7002, relation_id=None)], "order_line": [line(1, 50003)]}
    )
    world.tick()
    world.pass_time(minutes=5)
    world.autoflex.change(JANSEN, "vehicle", 7001, model="Polo")
    world.tick(reread=True)
    first = trace(world, "--raw", raw_hash(world, "vehicle"), "--json").json
    assert first["raw"]["dealer_id"] == JANSEN
    assert [(each["entity"], each["valid_to"] is None) for each in first["versions"]] == [("car", False)]
    assert [each["dms_number"] for each in first["appointments"]] == ["50001", "50002"]
    # Both were on their way at once: which answer came first is chance.
    assert sorted((each["dms_number"], each["result"]) for each in first["deliveries"]) == [
        ("50001", "created"),
        ("50002", "created"),
    ]
    second = trace(world, "--raw", raw_hash(world, "vehicle", 1)[:12], "--dealer", JANSEN, "--json").json
    assert [each["result"] for each in second["deliveries"]] == ["updated", "updated"]
    assert second["versions"][0]["changed"] == [{"field": "model", "old": "Golf", "new": "Polo"}]


def test_a_relation_reaches_the_orders_of_its_cars_too(world: World) -> None:
    load(world, orders=1)
    world.autoflex.change(JANSEN, "order", 50001, relation_id=None)
    world.tick()
    found = trace(world, "--raw", raw_hash(world, "relation"), "--json").json
    assert [each["dms_number"] for each in found["appointments"]] == ["50001"]


@pytest.mark.parametrize("entity", ["order", "order_line"])
def test_an_order_and_its_line_reach_their_own_appointment(world: World, entity: str) -> None:
    load(world, orders=2)
    world.tick()
    found = trace(world, "--raw", raw_hash(world, entity), "--json").json
    assert [each["dms_number"] for each in found["appointments"]] == ["50001"]
    assert [each["dms_number"] for each in found["deliveries"]] == ["50001"]
    assert "appointments that it reached: 1" in trace(world, "--raw", raw_hash(world, entity)).out


def test_equal_records_of_two_dealers_are_both_told(world: World) -> None:
    load(world, JANSEN, orders=1)
    load(world, DEVRIES, orders=1)
    world.autoflex.load(JANSEN, {"relation": [relation(3001)]})
    world.tick()
    found = trace(world, "--raw", raw_hash(world, "relation"), "--json").json
    assert {each["raw"]["dealer_id"] for each in found} == {JANSEN, DEVRIES}


def test_an_unknown_hash_is_an_exit_code_and_a_line(world: World) -> None:
    load(world, orders=1)
    world.tick()
    answer = trace(world, "--raw", "0123456789abcdef", "--json")
    assert (answer.code, answer.json) == (1, [])
    assert "begins with '0123456789abcdef'" in answer.err
    assert Path(world.config).exists()


# The job in the Dagster UI.
