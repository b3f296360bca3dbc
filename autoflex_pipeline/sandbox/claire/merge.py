"""What an import does to the appointment that Claire holds: left out keeps, null clears, lists by their own rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Document = dict[str, Any]

SCALARS = (
    "location_id",
    "dms_nr",
    "wo_nr",
    "appointment_date",
    "creation_date",
    "scheduled_in",
    "scheduled_out",
    "billed",
    "dms_notes",
    "car_in_shop",
    "internal",
    "dms_mileage",
    "canceled",
)
CAR_FIELDS = ("dms_nr", "make", "model", "registration_number", "vin", "engine_number", "notes", "driver_id")
CUSTOMER_FIELDS = ("dms_nr", "company", "title", "last_name", "street", "house_number", "postcode", "place")
KIND_ORDER = {"driver": 0, "owner": 1, "contractor": 2}


def empty_document(location_id: str, dms_nr: str) -> Document:
    """An appointment of which nothing but its key is known."""
    document: Document = dict.fromkeys(SCALARS)
    document.update(location_id=location_id, dms_nr=dms_nr, billed=False, internal=False, canceled=False)
    document.update(interventions=[], car=None, customers=[])
    return document


def merged(held: Document, given: Mapping[str, Any]) -> Document:
    """The document after an import of ``given`` (valid) onto ``held``; neither is changed."""
    document = dict(held)
    for name, value in given.items():
        if name == "interventions":
            document[name] = _merged_interventions(held["interventions"], value or [])
        elif name == "car":
            document[name] = _merged_car(held["car"], value)
        elif name == "customers":
            document[name] = [] if value is None else _merged_customers(held["customers"], value)
        else:
            document[name] = value
    return document


def changed_fields(old: Document, new: Document) -> list[dict[str, Any]]:
    """What differs, leaf by leaf: ``[{"field": "interventions[900441].price", "old": …, "new": …}]``."""
    before, after = _leaves(old), _leaves(new)
    return [
        {"field": name, "old": before.get(name), "new": after.get(name)}
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    ]


def in_order(interventions: list[Document]) -> list[Document]:
    """By position; ties as they come, lines that staff typed after those of the DMS."""
    return sorted(interventions, key=lambda line: (line["position"], line["dms_nr"] is None))


def _merged_interventions(held: list[Document], given: list[Mapping[str, Any]]) -> list[Document]:
    known = {line["dms_nr"]: line for line in held if line["dms_nr"] is not None}
    from_dms = [{"price": None, **known.get(line["dms_nr"], {}), **line} for line in given]
    by_staff = [line for line in held if line["dms_nr"] is None]
    return in_order(from_dms + by_staff)


def _merged_car(held: Document | None, given: Mapping[str, Any] | None) -> Document | None:
    if given is None:
        return None
    return {**dict.fromkeys(CAR_FIELDS), **(held or {}), **given}


def _merged_customers(held: list[Document], given: list[Mapping[str, Any]]) -> list[Document]:
    by_kind = {customer["customer_kind"]: customer for customer in held}
    for customer in given:
        kind = customer["customer_kind"]
        base = {"customer_kind": kind, **dict.fromkeys(CUSTOMER_FIELDS)}
        by_kind[kind] = {**base, **by_kind.get(kind, {}), **customer}
    left = [each for each in by_kind.values() if any(v is not None for k, v in each.items() if k != "customer_kind")]
    return sorted(left, key=lambda customer: KIND_ORDER[customer["customer_kind"]])


def _leaves(document: Document) -> dict[str, Any]:
    leaves = {name: value for name, value in document.items() if name not in ("interventions", "car", "customers")}
    leaves["interventions"] = [_line_name(line) for line in document["interventions"]]
    for line in document["interventions"]:
        path = f"interventions[{_line_name(line)}]"
        leaves.update({f"{path}.{key}": value for key, value in line.items() if key not in ("dms_nr", "staff_id")})
    leaves.update({f"car.{key}": value for key, value in (document["car"] or {}).items()})
    for customer in document["customers"]:
        kind = customer["customer_kind"]
        leaves.update({f"customers[{kind}].{k}": v for k, v in customer.items() if k != "customer_kind"})
    return leaves


def _line_name(line: Document) -> str:
    return str(line["dms_nr"]) if line["dms_nr"] is not None else f"staff {line['staff_id']}"
