"""What can happen in a DMS: small edits with few numbers, so that they meet; values good, empty and dirty."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from hypothesis import strategies as st

from autoflex_pipeline_tests.world import DEVRIES, JANSEN, line, order, relation, vehicle

Entity = Literal["order", "order_line", "vehicle", "relation"]

LOCATIONS = {JANSEN: "101", DEVRIES: "202"}
DEALERS = tuple(LOCATIONS)

SEVERAL = 6
"""So many edits at once at most."""
ORDERS = tuple(range(50001, 50007))
CARS = (7001, 7002, 7003)
PEOPLE = (3001, 3002, 3003)
UNKNOWN_CAR, UNKNOWN_PERSON = 7099, 3099

VALUES: dict[Entity, dict[str, tuple[Any, ...]]] = {
    "order": {
        "order_number": ("2026-00417", "2026-00418", "i2026-17", " 2026-00417 ", None, "   "),
        "order_date": ("20261001T091500", "2026-10-02", None, "gisteren", "20261025T023000"),
        "plan_date_from": (
            "20261020T083000", "20261021T083000", "20261025T023000", "20261103", "2026-11-04T10:15:00",
            "03-12-2026 08:00", "20270328T023000", None, "32-10-2026", "19991231T080000", "20300101T080000",
        ),
        "plan_date_to": ("20261204T170000", "20261103T170000", None, "20261001T080000", "later"),
        "is_invoiced": (0, 1, 1, None),
        "notes": ("Klant wacht", None, " a  b ", "een\r\ntwee\x07", "x" * 10_001, "'; DROP TABLE car; --", "=1+1"),
        "is_present": (0, 1, None, "misschien"),
        "is_internal": (0, 1, None),
        "is_canceled": (0, 1, None),
        "milometer": (50_000, "88000", None, -5, 2_500_000, "veel"),
        "vehicle_id": (*CARS, None, 0, UNKNOWN_CAR),
        "relation_id": (*PEOPLE, None, UNKNOWN_PERSON),
    },
    "order_line": {
        "line_number": (1, 2, 3, 10, None),
        "description": ("APK", "Grote  beurt", "Olie", None, "  "),
        "price_incl_vat": ("49.50", 389, "1.234,56", None, "gratis", "250000"),
        "order_id": ORDERS[:3],
    },
    "vehicle": {
        "brand": ("Volkswagen", "Opel", None),
        "model": ("Golf", None),
        "license_plate": ("GH123J", "12-ab-3c", "XX 99 99", "B-MW 1234", None),
        "vin": ("WVWZZZ1KZAW000001", "wvwzzz1kzaw000002", "kort", None),
        "engine_number": ("CAX123456", None),
        "notes": ("let op", None),
        "driver_relation_id": (*PEOPLE, None, UNKNOWN_PERSON),
        "owner_relation_id": (*PEOPLE, None, 0),
    },
    "relation": {
        "company_name": ("Lease BV", None, " "),
        "title": ("Mevr.", "Dhr.", None),
        "last_name_prefix": ("van den", None),
        "last_name": ("Berg", "Smit", None),
        "street": ("Dorpsstraat", None),
        "house_number": ("12", 14, None),
        "house_number_addition": ("bis", None),
        "postcode": ("1234ab", "1234 AB", "9999", "B-1000", None),
        "city": ("Utrecht", None),
    },
}  # fmt: skip

REJECTED: dict[Entity, dict[str, Any]] = {
    "vehicle": {"brand": None, "model": None, "license_plate": None, "vin": None},
    "relation": {"company_name": None, "last_name": None},
}
"""What takes several fields to be bad."""


@dataclass(frozen=True)
class Put:
    """Change fields of a row, or make the row (also one that was there before)."""

    dealer: str
    entity: Entity
    number: int
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Remove:
    """The row is gone."""

    dealer: str
    entity: Entity
    number: int


@dataclass(frozen=True)
class Reorder:
    """The lines of an order get these line numbers, one after the other."""

    dealer: str
    order: int
    numbers: tuple[int | None, ...]


Edit = Put | Remove | Reorder

KEYS: dict[Entity, str] = {
    "order": "order_id", "order_line": "order_line_id", "vehicle": "vehicle_id", "relation": "relation_id",
}  # fmt: skip
LINES = tuple(number * 100 + place for number in ORDERS for place in (1, 2, 3))
NUMBERS: dict[Entity, tuple[int, ...]] = {
    "order": ORDERS, "order_line": LINES, "vehicle": (*CARS, UNKNOWN_CAR), "relation": (*PEOPLE, UNKNOWN_PERSON),
}  # fmt: skip


NEW_LACKS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("vin",), ("title", "postcode")),
    (("engine_number", "license_plate"), ("company_name", "city")),
    (("owner_relation_id",), ("house_number", "house_number_addition", "last_name_prefix")),
)
"""Fields that a new car and a new party lack, by their number."""


def new_row(entity: Entity, number: int) -> dict[str, Any]:
    """A good row."""
    if entity == "order":
        return order(number, plan_date_from="20261103T083000", plan_date_to="20261103T170000", order_date="20261001")
    if entity == "order_line":
        return line(number, number // 100)
    if entity == "vehicle":
        # No two are alike, and each lacks something: what is mixed up, or kept where it must not be, shows.
        return vehicle(number, **dict.fromkeys(NEW_LACKS[number % 3][0]), model=f"Model {number}")
    return relation(number, **dict.fromkeys(NEW_LACKS[number % 3][1]), street=f"Straat {number}")


def _fields(entity: Entity) -> st.SearchStrategy[dict[str, Any]]:
    values = VALUES[entity]
    one = st.sampled_from(sorted(values)).flatmap(lambda name: st.tuples(st.just(name), st.sampled_from(values[name])))
    some = st.lists(one, min_size=0, max_size=2).map(dict)
    return st.one_of(some, st.just(REJECTED[entity])) if entity in REJECTED else some


def _puts(entity: Entity) -> st.SearchStrategy[Put]:
    return st.builds(Put, st.sampled_from(DEALERS), st.just(entity), _number(entity), _fields(entity))


def _number(entity: Entity) -> st.SearchStrategy[int]:
    """The first ones twice as often: histories of few rows are the ones in which things meet."""
    numbers = NUMBERS[entity]
    return st.sampled_from((*numbers[: len(numbers) // 2], *numbers))


_BILLS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(({"is_invoiced": 1}, {"is_invoiced": 0}))

edits: st.SearchStrategy[Edit] = st.one_of(
    _puts("order"),
    _puts("order"),
    _puts("order_line"),
    _puts("vehicle"),
    _puts("relation"),
    st.builds(Remove, st.sampled_from(DEALERS), st.just("order"), _number("order")),
    st.builds(Remove, st.sampled_from(DEALERS), st.just("order_line"), _number("order_line")),
    st.builds(
        Remove, st.sampled_from(DEALERS), st.sampled_from(("vehicle", "relation")), st.sampled_from((*CARS, *PEOPLE))
    ),
    st.builds(
        Reorder,
        st.sampled_from(DEALERS),
        _number("order"),
        st.tuples(*[st.sampled_from((1, 2, 3, 3, 7, None))] * 3),
    ),
    # Of few orders, so that a billed one is met again.
    st.builds(Put, st.sampled_from(DEALERS), st.just("order"), st.sampled_from(ORDERS[:2]), _BILLS),
)
