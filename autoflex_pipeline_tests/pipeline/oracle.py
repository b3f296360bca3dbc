"""What Claire should hold of a clean order, written down by hand from the field catalogue: no code of the pipeline."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Amsterdam")
FORMS = ("%Y%m%dT%H%M%S", "%Y-%m-%dT%H:%M:%S", "%Y%m%d", "%Y-%m-%d")
SIDECODES = [
    "XX-99-99",
    "99-99-XX",
    "99-XX-99",
    "XX-99-XX",
    "XX-XX-99",
    "99-XX-XX",
    "99-XXX-9",
    "9-XXX-99",
    "XX-999-X",
    "X-999-XX",
    "XXX-99-X",
    "X-99-XXX",
    "9-XX-999",
    "999-XX-9",
]

Row = dict[str, Any]


def local(value: str | None) -> datetime | None:
    for form in FORMS:
        try:
            return datetime.strptime(value or "", form).replace(tzinfo=ZONE)
        except ValueError:
            continue
    return None


def moment(value: str | None) -> str | None:
    found = local(value)
    return found.isoformat() if found else None


def line_text(value: object) -> str | None:
    text = "".join(
        char for char in str(value if value is not None else "") if (char >= " " and char != "\x7f") or char in "\n\t\r"
    )
    return re.sub(r"\s+", " ", text).strip() or None


def notes(value: object) -> str | None:
    text = str(value if value is not None else "").replace("\r\n", "\n").replace("\r", "\n")
    text = "".join(char for char in text if (char >= " " and char != "\x7f") or char in "\n\t")
    return re.sub(r" {2,}", " ", text).strip(" ").strip() or None


def plate(value: str | None) -> str | None:
    bare = re.sub(r"[^A-Za-z0-9]", "", value or "").upper()
    shape = re.sub(r"\d", "9", re.sub(r"[A-Z]", "X", bare))
    for code in SIDECODES:
        if code.replace("-", "") == shape:
            letters = iter(bare)
            return "".join("-" if char == "-" else next(letters) for char in code)
    return line_text((value or "").upper())


def postcode(value: str | None) -> str | None:
    # SA, SD and SS are given to nobody: what bears them is no Dutch postcode and is passed on as it is.
    match = re.fullmatch(r"\s*([1-9]\d{3})\s*((?!S[ADS])[A-Z]{2})\s*", value or "", flags=re.IGNORECASE)
    return f"{match[1]} {match[2].upper()}" if match else line_text(value)


def joined(*values: object) -> str | None:
    return line_text(" ".join(str(value) for value in values if value not in (None, "")))


def number(value: object) -> str | None:
    return None if value in (None, "", 0, "0") else str(value)


def price(value: object) -> str | None:
    if value in (None, ""):
        return None
    text = str(value)
    if "," in text:
        text = text.replace(".", "").replace(",", ".")
    return str(Decimal(text).quantize(Decimal("0.01"), ROUND_HALF_UP))


def party(kind: str, row: Row) -> Row:
    fields = {
        "customer_kind": kind, "dms_nr": str(row["relation_id"]), "company": line_text(row["company_name"]),
        "title": line_text(row["title"]), "last_name": joined(row["last_name_prefix"], row["last_name"]),
        "street": line_text(row["street"]), "house_number": joined(row["house_number"], row["house_number_addition"]),
        "postcode": postcode(row["postcode"]), "place": line_text(row["city"]),
    }  # fmt: skip
    return {name: value for name, value in fields.items() if value is not None}


def document(order: Row, lines: list[Row], vehicles: dict[str, Row], relations: dict[str, Row]) -> Row:
    """The document without its empty values; ``lines`` are those of the order, in the order the DMS gives them."""
    planned = order["plan_date_from"] or order["order_date"]
    day = local(planned)
    assert day is not None
    fields: Row = {
        "dms_nr": str(order["order_id"]), "wo_nr": line_text(order["order_number"]),
        "appointment_date": day.date().isoformat(),
        "creation_date": moment(order["order_date"]), "scheduled_in": moment(order["plan_date_from"]),
        "scheduled_out": moment(order["plan_date_to"]), "billed": order["is_invoiced"] == 1,
        "dms_notes": notes(order["notes"]), "internal": order["is_internal"] == 1,
        "car_in_shop": None if order["is_present"] is None else order["is_present"] == 1,
        "dms_mileage": None if order["milometer"] in (None, "") else int(order["milometer"]),
        "canceled": order["is_canceled"] == 1,
    }  # fmt: skip
    placed = [
        (place if line["line_number"] is None else line["line_number"], place, line)
        for place, line in enumerate(lines, 1)
    ]
    ordered = sorted(placed, key=lambda item: item[:2])
    fields["interventions"] = [
        {"dms_nr": str(line["order_line_id"]), "position": position, "title": line_text(line["description"]),
         "price": price(line["price_incl_vat"])}
        for position, _, line in ordered
    ]  # fmt: skip
    customers = {"contractor": number(order["relation_id"])}
    car = vehicles.get(str(order["vehicle_id"]))
    if car:
        customers |= {"driver": number(car["driver_relation_id"]), "owner": number(car["owner_relation_id"])}
        held = {
            "dms_nr": str(car["vehicle_id"]), "make": line_text(car["brand"]), "model": line_text(car["model"]),
            "registration_number": plate(car["license_plate"]), "vin": line_text((car["vin"] or "").upper()),
            "engine_number": line_text(car["engine_number"]), "notes": notes(car["notes"]),
            "driver_id": number(car["driver_relation_id"]),
        }  # fmt: skip
        fields["car"] = {name: value for name, value in held.items() if value is not None}
    fields["customers"] = sorted(
        (party(kind, relations[key]) for kind, key in customers.items() if key in relations),
        key=lambda each: str(each["customer_kind"]),
    )
    return {name: value for name, value in fields.items() if value is not None}
