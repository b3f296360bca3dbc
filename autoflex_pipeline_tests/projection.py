"""Whether Claire is what the DMS says, and whether each document had one effect: the sandbox's logs are the judge."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import text

from autoflex_pipeline_tests.pipeline.oracle import document
from autoflex_pipeline_tests.world import LOCATIONS, World

Row = dict[str, Any]

CLEARED = frozenset({"creation_date", "scheduled_in", "scheduled_out", "dms_notes"})
"""What an empty value in the DMS clears in Claire, by the field catalogue; other fields then keep what they had."""


def expected(world: World, dealer_id: str) -> dict[str, Row]:
    """By DMS number what Claire should hold of each work order of the dealer, as the DMS is now."""
    rows = {name: world.autoflex.rows(dealer_id, name) for name in ("order", "order_line", "vehicle", "relation")}
    vehicles = {str(row["vehicle_id"]): row for row in rows["vehicle"]}
    relations = {str(row["relation_id"]): row for row in rows["relation"]}
    lines: dict[str, list[Row]] = {}
    for line in rows["order_line"]:
        lines.setdefault(str(line["order_id"]), []).append(line)
    return {
        str(order["order_id"]): document(order, lines.get(str(order["order_id"]), []), vehicles, relations)
        for order in rows["order"]
        if order["order_type"] == 1
    }


def held(world: World, dealer_id: str) -> dict[str, Row]:
    """By DMS number what Claire holds."""
    return {row["dms_nr"]: row for row in world.claire.appointments(LOCATIONS[dealer_id])}


def deviations(world: World, dealer_id: str) -> list[str]:
    """Where Claire is not what the DMS says: open orders it lacks, fields that differ, gone ones not canceled."""
    wanted, found = expected(world, dealer_id), held(world, dealer_id)
    wrong = [
        f"{dealer_id} {number}: is open and Claire does not have it"
        for number, each in wanted.items()
        if not each["billed"] and number not in found
    ]
    for number, appointment in found.items():
        if number in wanted:
            wrong += [f"{dealer_id} {number}: {each}" for each in differences(appointment, wanted[number])]
        elif not appointment["canceled"]:
            wrong.append(f"{dealer_id} {number}: is gone from the DMS and not canceled in Claire")
    return wrong


def differences(appointment: Row, wanted: Row) -> list[str]:
    """The fields in which an appointment of Claire's is not the wanted document."""
    shape = _shaped(appointment)
    return [
        f"{name} is {shape.get(name)!r}, should be {wanted.get(name)!r}"
        for name in sorted(wanted.keys() | CLEARED)
        if shape.get(name) != wanted.get(name)
    ]


def _shaped(appointment: Row) -> Row:
    """In the shape of the oracle's documents: no empty values, customers by kind, without staff's lines."""
    shape = _filled(appointment)
    shape["interventions"] = [
        {name: line.get(name) for name in ("dms_nr", "position", "title", "price")}
        for line in appointment["interventions"]
        if line.get("dms_nr") is not None
    ]
    if appointment.get("car"):
        shape["car"] = _filled(appointment["car"])
    shape["customers"] = sorted(map(_filled, appointment["customers"]), key=lambda each: str(each["customer_kind"]))
    return shape


def _filled(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}


def effects_out_of_order(world: World) -> list[str]:
    """Intents that had more than one effect, effects of no intent, and effects that came after a newer intent's.

    Of the intents that a restore forgot only the first is judged.
    """
    with world.installation.state.begin() as state:
        numbers = {
            key: int(number) for key, number in state.execute(text("SELECT idempotency_key, intent_number FROM intent"))
        }
    effects = world.claire.effects()
    wrong = [
        f"intent {key} had {count} effects"
        for key, count in Counter(effect["idempotency_key"] for effect in effects).items()
        if count > 1
    ]
    newest: dict[tuple[str, str], int] = {}
    for effect in effects:
        place = (effect["location_id"], effect["dms_nr"])
        number = numbers.get(effect["idempotency_key"])
        if number is None:
            if effect["idempotency_key"] not in world.forgotten:
                wrong.append(f"{place}: an effect of no known intent")
        elif number < newest.get(place, 0):
            wrong.append(f"{place}: intent {number} took effect after intent {newest[place]}")
        else:
            newest[place] = number
    return wrong
