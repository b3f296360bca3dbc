"""What to send of a document, what Claire then holds, and how two documents differ. Pure functions.

Claire may hold one of several documents while a request has no answer, so everything here takes ``held`` as a list of
possibilities; an empty list means that Claire has never acknowledged the appointment and was never sent it. A held
document has no empty values: absent and ``null`` are the same to Claire.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from autoflex_pipeline.claire.contract import KIND, KINDS, NUMBER, Document, Version, customers_by_kind, sent_fields

OF_THE_CAR = ("dms_mileage",)
"""Fields of the appointment (by their column) that are about the car: another car's must not stay."""


def document_to_send(projection: Version, held: Sequence[Version]) -> Document:
    """The document to send so that Claire, whichever of ``held`` it has, then shows ``projection``.

    An empty field goes as ``null`` or ``false`` where it clears; where it keeps, it is left out, unless the car or
    the customer that it belongs to is another one than Claire may have: then ``null``, so that no two are mixed.
    """
    car_is_another = _is_another("car", projection, held)
    document = _fields("appointment", projection.document, as_null=OF_THE_CAR if car_is_another else ())
    if "interventions" in projection.document:
        document["interventions"] = [
            _fields("intervention", line, as_null=()) for line in projection.document["interventions"]
        ]
    car = projection.document.get("car")
    held_cars = [version.document["car"] for version in held if "car" in version.document]
    if car is not None:
        document["car"] = _nested("car", car, held_cars if car_is_another else None)
    elif car_is_another and held_cars:
        document["car"] = _all_null("car", held_cars)
    if customers := _customers(projection, held, car_is_another=car_is_another):
        document["customers"] = customers
    return document


def apply(held: Version | None, sent: Document, references: dict[str, str | None]) -> Version:
    """What Claire holds once it has taken ``sent`` (about ``references``) on top of ``held``."""
    old = held or Version({})
    document = dict(old.document)
    for name, value in sent.items():
        if name == "car":
            value = _merged(document.get("car", {}), value)
        elif name == "customers":
            value = _merged_customers(old.document, value)
        elif name == "interventions":
            value = [_merged({}, line) for line in value]
        if value is None or value in ({}, []):
            document.pop(name, None)
        else:
            document[name] = value
    return Version(document, _merged_references(old, sent, references))


def difference(old: Document, new: Document) -> list[dict[str, Any]]:
    """Field by field how ``new`` differs from ``old``: ``field`` as a path, ``old`` and ``new`` (None for empty).

    Empty exactly when the documents are the same: an order of lines that no position tells is a difference of
    ``interventions``.
    """
    before, after = _flat(old), _flat(new)
    changes = [
        {"field": name, "old": value, "new": after.get(name)}
        for name, value in before.items()
        if value != after.get(name)
    ]
    changes += [{"field": name, "old": None, "new": value} for name, value in after.items() if name not in before]
    if not changes and (old_order := _line_numbers(old)) != (new_order := _line_numbers(new)):
        changes.append({"field": "interventions", "old": old_order, "new": new_order})
    return changes


def _fields(entity: str, values: Document, *, as_null: Iterable[str]) -> Document:
    """The fields of one part as they are sent; ``as_null`` are columns that go as null although they keep."""
    declared = sent_fields(entity)
    sent = {name: value for name, value in values.items() if value is not None and name in declared}
    if len(sent) < len(declared):
        for name, info in declared.items():
            if name not in sent:
                if info.empty == "false":
                    sent[name] = False
                elif info.empty == "clear" or info.name in as_null:
                    sent[name] = None
    return sent


def _nested(entity: str, values: Document, others: Sequence[Document] | None) -> Document:
    """A car or customer as it is sent; ``others`` are what Claire may have of another one (None: it is the same)."""
    if others is None:
        return _fields(entity, values, as_null=())
    as_null = [
        info.name
        for name, info in sent_fields(entity).items()
        if not info.wanted or any(other.get(name) is not None for other in others)
    ]
    return _fields(entity, values, as_null=as_null)


def _all_null(entity: str, others: Sequence[Document]) -> Document:
    return _nested(entity, {}, others)


def _customers(projection: Version, held: Sequence[Version], *, car_is_another: bool) -> list[Document]:
    now = customers_by_kind(projection.document)
    before = [customers_by_kind(version.document) for version in held]
    customers = []
    for kind, named_by in KINDS.items():
        known = [customers[kind] for customers in before if kind in customers]
        is_another = _is_another(kind, projection, held)
        if kind in now:
            fields = _nested("party", now[kind], known if is_another else None)
            customers.append({KIND: kind} | fields)
        elif known and (is_another or (named_by == "car" and car_is_another and not projection.references.get(kind))):
            # Another one who is not in staging, or nobody with this car: the one before must not stay.
            customers.append({KIND: kind} | _all_null("party", known))
    return customers


def _is_another(kind: str, projection: Version, held: Sequence[Version]) -> bool:
    """Whether the car or customer is one and Claire may have another."""
    number = projection.references.get(kind)
    if number is None:
        return False
    return any(version.references.get(kind) not in (None, number) for version in held)


def _merged(old: Document, new: Document) -> Document:
    return {name: value for name, value in {**old, **new}.items() if value is not None}


def _merged_customers(held: Document, sent: Sequence[Document]) -> list[Document]:
    customers = customers_by_kind(held)
    for customer in sent:
        kind = customer[KIND]
        merged = _merged(customers.pop(kind, {}), customer)
        if merged.keys() - {KIND}:
            customers[kind] = merged
    return [customers[kind] for kind in sorted(customers)]


def _merged_references(held: Version, sent: Document, references: dict[str, str | None]) -> dict[str, str | None]:
    """Whom Claire's document is about: as sent, else as before, and nobody where all fields were emptied."""
    merged = {**held.references}
    for customer in sent.get("customers", ()):
        if customer.get(NUMBER) is None:
            merged[customer[KIND]] = None
    return merged | {kind: number for kind, number in references.items() if number is not None}


def _flat(document: Document) -> dict[str, Any]:
    """The document as paths and values, without the empty ones."""
    flat = {name: value for name, value in document.items() if name not in ("interventions", "car", "customers")}
    for line in document.get("interventions") or ():
        flat |= _prefixed(f"interventions[{line[NUMBER]}]", line)
    flat |= _prefixed("car", document.get("car") or {})
    for kind, customer in customers_by_kind(document).items():
        flat |= _prefixed(f"customers[{kind}]", {name: value for name, value in customer.items() if name != KIND})
    return {name: value for name, value in flat.items() if value is not None}


def _prefixed(path: str, values: Document) -> dict[str, Any]:
    return {f"{path}.{name}": value for name, value in values.items()}


def _line_numbers(document: Document) -> list[str]:
    return [line[NUMBER] for line in document.get("interventions") or ()]
