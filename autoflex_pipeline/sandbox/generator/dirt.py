"""Dirty rows: one way to spoil a clean row for each rule of the validation table that a single row can break."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from autoflex_pipeline.sandbox.autoflex.schema import KEYS, Endpoint
from autoflex_pipeline.sandbox.generator.moments import last_sunday, read

Row = dict[str, Any]
Spoil = Callable[[random.Random, Row, date], "Row | None"]
"""Gives the fields that make the row dirty; None when this row cannot be spoilt that way."""


@dataclass(frozen=True)
class DirtyRow:
    """A row that was spoilt: the rule that it breaks, and the clean values of the spoilt fields."""

    endpoint: Endpoint
    row_id: str
    rule: str
    clean: Row = field(repr=False)


def spoil_some(
    rng: random.Random, endpoint: Endpoint, rows: Sequence[Row], share: float, today: date
) -> list[DirtyRow]:
    """Spoil ``share`` of the rows in place, the rules in turn, so that enough rows meet every rule once."""
    rules = list(_SPOILS[endpoint].items())
    rng.shuffle(rules)
    dirty: list[DirtyRow] = []
    for row in rng.sample(list(rows), round(len(rows) * share)):
        for attempt in range(len(rules)):
            rule, spoil = rules[attempt]
            fields = spoil(rng, row, today)
            if fields is not None:
                clean = {name: row[name] for name in fields}
                dirty.append(DirtyRow(endpoint, str(row[KEYS[endpoint]]), rule, clean))
                row.update(fields)
                rules.append(rules.pop(attempt))
                break
    return dirty


def _fields(**fields: Any) -> Spoil:
    return lambda rng, row, today: dict(fields)


def _one_of(field_name: str, *values: Any) -> Spoil:
    return lambda rng, row, today: {field_name: rng.choice(values)}


def _moved(row: Row, name: str, moment: datetime) -> Row:
    return {name: moment.strftime("%Y%m%dT%H%M%S")}


def _out_of_range(rng: random.Random, row: Row, today: date) -> Row:
    return {"plan_date_from": rng.choice(("19700101T000000", f"{today.year + 3}-06-15T09:00:00", "1899-12-30"))}


def _day_month_swapped(rng: random.Random, row: Row, today: date) -> Row | None:
    plan, made = read(row["plan_date_from"]), read(row["order_date"])
    if plan.day > 12:
        return None
    swapped = plan.replace(month=plan.day, day=plan.month)
    if abs((swapped - made).days) <= 180 or abs((plan - made).days) > 50:
        return None
    return {**_moved(row, "plan_date_from", swapped), "plan_date_to": None}


def _out_before_in(rng: random.Random, row: Row, today: date) -> Row:
    return _moved(row, "plan_date_to", read(row["plan_date_from"]) - timedelta(hours=rng.randrange(1, 30)))


def _made_after(rng: random.Random, row: Row, today: date) -> Row:
    return _moved(row, "order_date", read(row["plan_date_from"]) + timedelta(days=rng.randrange(2, 9)))


def _clock_change(rng: random.Random, row: Row, today: date) -> Row:
    plan = read(row["plan_date_from"])
    month = 3 if rng.random() < 0.5 else 10
    night = last_sunday(plan.year, month)
    moment = datetime(night.year, night.month, night.day, 2, rng.choice((0, 15, 30)))
    made = moment - timedelta(days=5)
    return {**_moved(row, "plan_date_from", moment), **_moved(row, "order_date", made), "plan_date_to": None}


def _no_time(rng: random.Random, row: Row, today: date) -> Row:
    return {"plan_date_from": read(row["plan_date_from"]).strftime(rng.choice(("%Y%m%d", "%Y-%m-%d")))}


def _lower_mileage(rng: random.Random, row: Row, today: date) -> Row | None:
    return {"milometer": row["milometer"] // 10} if (row["milometer"] or 0) > 20_000 else None


def _unreadable(rng: random.Random, row: Row, today: date) -> Row:
    name, value = rng.choice(
        (("is_present", "misschien"), ("milometer", "n.v.t."), ("plan_date_to", "eind van de dag"), ("is_internal", 7))
    )
    return {name: value}


def _control_characters(name: str) -> Spoil:
    return lambda rng, row, today: {name: f"  \x00Let\x07 op:  {row[name] or 'dubbele  spaties'}\x1b "}


def _plain_postcode(rng: random.Random, row: Row, today: date) -> Row | None:
    if not str(row["postcode"])[:4].isdecimal() or len(str(row["postcode"])) < 6:
        return None
    return {"postcode": f" {str(row['postcode']).replace(' ', '').lower()}"}


_SPOILS: dict[Endpoint, dict[str, Spoil]] = {
    "order": {
        "key_missing": _fields(order_id=None),
        "wo_number_missing": _one_of("order_number", None, "", "   "),
        "appointment_date_unreadable": _one_of("plan_date_from", "20261332T080000", "volgende week", "00000000"),
        "appointment_date_from_order_date": _fields(plan_date_from=None, plan_date_to=None),
        "date_out_of_range": _out_of_range,
        "date_day_month_swapped": _day_month_swapped,
        "out_before_in": _out_before_in,
        "created_after_appointment": _made_after,
        "value_unreadable": _unreadable,
        "mileage_out_of_range": _one_of("milometer", -1, 9_999_999),
        "mileage_lower": _lower_mileage,
        "text_cut": lambda rng, row, today: {"notes": "Zeer lang verhaal. " * 700},
        "text_cleaned": _control_characters("notes"),
        "clock_change_resolved": _clock_change,
        "time_missing": _no_time,
    },
    "order_line": {
        "key_missing": _fields(order_line_id=None),
        "title_empty": _one_of("description", None, "", " \t "),
        "price_invalid": _one_of("price_incl_vat", "gratis", "NaN", "1.2.3", "Infinity"),
        "price_out_of_range": _one_of("price_incl_vat", 1_000_000, "-250000.00"),
        "orphan": _fields(order_id=999_999_999),
        "text_cleaned": _control_characters("description"),
    },
    "vehicle": {
        "key_missing": _fields(vehicle_id=None),
        "plate_normalised": lambda rng, row, today: {"license_plate": f" {row['formatted_license_plate'].lower()} "},
        "plate_foreign_or_invalid": _one_of("license_plate", "onbekend", "12-345-67", "nieuw!"),
        "vin_invalid": _one_of("vin", "WVWZZZ1KZAW00000", "IOQZZZ1KZAW000001", "?"),
        "car_unidentified": _fields(brand=None, model=None, license_plate=None, formatted_license_plate=None, vin=None),
        "text_cleaned": _control_characters("model"),
    },
    "relation": {
        "key_missing": _fields(relation_id=None),
        "party_nameless": _fields(company_name=None, last_name=None, last_name_prefix=None),
        "postcode_normalised": _plain_postcode,
        "postcode_malformed": _one_of("postcode", "1234", "1234 5B", "0123 AB", "1234 ABC"),
        "text_cleaned": _control_characters("city"),
    },
}

RULES = {endpoint: tuple(spoils) for endpoint, spoils in _SPOILS.items()}
"""The rules that dirty rows break, by endpoint."""
