"""What Claire should hold of one row of the DMS, dirty or not: from design/semantics.md and fields.md, by hand.

Each function gives the fields by their names in Claire, empty ones as None; None instead of a dict for a row that is
to be rejected. No code of the pipeline is used.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from autoflex_pipeline_tests.pipeline.oracle import ZONE, joined, line_text, notes, number, plate, postcode, price

Row = dict[str, Any]
Fields = dict[str, Any]

FORMS = (
    "%Y%m%dT%H%M%S", "%Y-%m-%dT%H:%M:%S", "%d-%m-%Y %H:%M", "%Y%m%d", "%Y-%m-%d", "%d-%m-%Y",
)  # fmt: skip
DAY_ONLY = ("%Y%m%d", "%Y-%m-%d", "%d-%m-%Y")
LONGEST = 10_000

KEEPS = {
    "appointment": ("car_in_shop", "dms_mileage"),
    "car": ("make", "model", "registration_number", "vin", "engine_number", "driver_id"),
    "party": ("company", "title", "last_name", "street", "house_number", "postcode", "place"),
}
"""Fields of which an empty value leaves what Claire has."""


def order_fields(row: Row, today: date) -> Fields | None:
    """The appointment's own fields; None when the order is to be rejected."""
    wo_number = line_text(row["order_number"])
    planned, made = _text(row["plan_date_from"]), _text(row["order_date"])
    day = _local(planned if planned is not None else made)
    if wo_number is None or day is None or not date(2000, 1, 1) <= day.date() <= today.replace(year=today.year + 2):
        return None
    comes, leaves = _local(planned), _local(_text(row["plan_date_to"]))
    if comes is not None and leaves is not None and _is_before(row, comes, leaves):
        leaves = None
    return {
        "wo_nr": wo_number, "appointment_date": day.date().isoformat(), "creation_date": _moment(_local(made)),
        "scheduled_in": _moment(comes), "scheduled_out": _moment(leaves), "billed": row["is_invoiced"] == 1,
        "dms_notes": _cut(notes(row["notes"])), "internal": row["is_internal"] == 1,
        "car_in_shop": {0: False, 1: True}.get(row["is_present"]), "dms_mileage": _mileage(row["milometer"]),
        "canceled": row["is_canceled"] == 1,
    }  # fmt: skip


def line_fields(row: Row, place: int) -> Fields | None:
    """An intervention; ``place`` is where the DMS gives it among the lines of its order, from 1."""
    title = line_text(row["description"])
    try:
        amount = price(row["price_incl_vat"])
    except InvalidOperation:
        return None
    if title is None or (amount is not None and abs(Decimal(amount)) > 100_000):
        return None
    position = place if row["line_number"] is None else row["line_number"]
    return {"dms_nr": str(row["order_line_id"]), "position": position, "title": title, "price": amount}


def car_fields(row: Row) -> Fields | None:
    """A car, with the numbers of its driver and owner as ``driver`` and ``owner``."""
    fields = {
        "dms_nr": str(row["vehicle_id"]), "make": line_text(row["brand"]), "model": line_text(row["model"]),
        "registration_number": plate(row["license_plate"]), "vin": line_text((row["vin"] or "").upper()),
        "engine_number": line_text(row["engine_number"]), "notes": _cut(notes(row["notes"])),
        "driver_id": number(row["driver_relation_id"]),
    }  # fmt: skip
    if not any(fields[name] for name in ("make", "model", "registration_number", "vin")):
        return None
    return fields


def party_fields(row: Row) -> Fields | None:
    """A party, of whichever kind."""
    last_name = line_text(row["last_name"])
    fields = {
        "dms_nr": str(row["relation_id"]), "company": line_text(row["company_name"]),
        "title": line_text(row["title"]), "last_name": last_name and joined(row["last_name_prefix"], last_name),
        "street": line_text(row["street"]), "house_number": joined(row["house_number"], row["house_number_addition"]),
        "postcode": postcode(row["postcode"]), "place": line_text(row["city"]),
    }  # fmt: skip
    return fields if fields["company"] or fields["last_name"] else None


def _text(value: object) -> str | None:
    return str(value).strip() or None if value is not None else None


def _local(text: str | None) -> datetime | None:
    for form in FORMS:
        try:
            return datetime.strptime(text or "", form)
        except ValueError:
            continue
    return None


def _moment(local: datetime | None) -> str | None:
    """With offset; a time that does not exist moves forward by the gap, of a doubled one the first is taken."""
    if local is None:
        return None
    return local.replace(tzinfo=ZONE).astimezone(UTC).astimezone(ZONE).isoformat()


def _is_before(row: Row, comes: datetime, leaves: datetime) -> bool:
    texts = (str(row["plan_date_from"]).strip(), str(row["plan_date_to"]).strip())
    if any(len(text) <= 10 for text in texts):
        return leaves.date() < comes.date()
    return leaves.replace(tzinfo=ZONE).astimezone(UTC) < comes.replace(tzinfo=ZONE).astimezone(UTC)


def _mileage(value: object) -> int | None:
    text = _text(value)
    if text is None or not re.fullmatch(r"[+-]?\d+", text):
        return None
    return int(text) if 0 <= int(text) <= 2_000_000 else None


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= LONGEST else text[: LONGEST - 1] + "…"
