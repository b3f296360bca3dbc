"""Every field of 500 open orders with messy values arrives exactly, in the DMS's order."""

from __future__ import annotations

from datetime import date
from typing import Any

from autoflex_pipeline.sandbox.generator import generate_dealer
from autoflex_pipeline_tests.pipeline.oracle import document
from autoflex_pipeline_tests.world import JANSEN, World


def test_five_hundred_messy_open_orders_arrive_exactly(world: World) -> None:
    data = generate_dealer(11, JANSEN, date(2026, 11, 24), 1, open_orders=500, dirty=0.02)
    world.autoflex.load(
        JANSEN, {name: list(data.rows(name)) for name in ("order", "order_line", "vehicle", "relation")}
    )
    summary = world.sync(JANSEN)
    part = summary["dealers"][JANSEN]
    assert part["ok"], part
    # What the DMS itself answers, values and order alike.
    rows = {name: world.autoflex.rows(JANSEN, name) for name in ("order", "order_line", "vehicle", "relation")}
    vehicles = {str(row["vehicle_id"]): row for row in rows["vehicle"]}
    relations = {str(row["relation_id"]): row for row in rows["relation"]}
    dirty = {(row.endpoint, str(row.row_id)) for row in data.dirty}
    held = {row["dms_nr"]: row for row in world.claire.appointments("101")}
    compared = 0
    for order in rows["order"]:
        lines = [row for row in rows["order_line"] if str(row["order_id"]) == str(order["order_id"])]
        if not _is_clean_and_open(order, lines, vehicles, dirty):
            continue
        number = str(order["order_id"])
        expected = document(order, lines, vehicles, relations)
        assert number in held, f"order {number} did not arrive"
        assert _without_empty(held[number], expected) == expected
        compared += 1
    assert compared > 400
    assert part["staged"]["appointment"]["quarantined"] + part["staged"]["intervention"]["quarantined"] > 0


def _is_clean_and_open(
    order: dict[str, Any], lines: list[dict[str, Any]], vehicles: dict[str, Any], dirty: set[tuple[str, str]]
) -> bool:
    car = vehicles.get(str(order["vehicle_id"]), {})
    parts = [
        ("order", order["order_id"]), ("vehicle", order["vehicle_id"]), ("relation", order["relation_id"]),
        ("relation", car.get("driver_relation_id")), ("relation", car.get("owner_relation_id")),
        *(("order_line", line["order_line_id"]) for line in lines),
    ]  # fmt: skip
    is_open = order["is_invoiced"] == 0 and order["order_type"] == 1
    # A record without a number of its own is dirty too, but has no number to be known by.
    is_keyed = order["order_id"] is not None and all(line["order_line_id"] is not None for line in lines)
    return is_open and is_keyed and not any((endpoint, str(key)) in dirty for endpoint, key in parts)


def _without_empty(held: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """The held document in the shape of the expected one: no empty values, customers by kind."""
    document = {name: value for name, value in held.items() if value is not None and name in expected}
    document["interventions"] = [
        {name: line.get(name) for name in ("dms_nr", "position", "title", "price")} for line in held["interventions"]
    ]
    if held.get("car"):
        document["car"] = {name: value for name, value in held["car"].items() if value is not None}
    customers = [{name: value for name, value in each.items() if value is not None} for each in held["customers"]]
    document["customers"] = sorted(customers, key=lambda each: str(each["customer_kind"]))
    return document
