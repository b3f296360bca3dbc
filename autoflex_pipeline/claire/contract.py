"""The shape of the appointment document, read from the field declarations: no field is named here a second time."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from autoflex_pipeline.model import FieldInfo, fields

Document = dict[str, Any]
"""A document as Claire's contract has it, decoded from JSON."""

PREFIXES = {"appointment": "", "car": "car.", "party": "customers[].", "intervention": "interventions[]."}
"""Where the fields of an entity stand in the document."""

KINDS = {"contractor": "appointment", "driver": "car", "owner": "car"}
"""The customer kinds, in the order in which they are sent, and the entity that names the party."""

NUMBER = "dms_nr"
KIND = "customer_kind"


@dataclass(frozen=True)
class Version:
    """A document and whom it is about.

    ``references`` holds the DMS numbers of ``car``, ``contractor``, ``driver`` and ``owner``; a number can be there
    although its record is not (yet) in staging, and so not in the document.
    """

    document: Document
    references: dict[str, str | None] = field(default_factory=dict)


@cache
def sent_fields(entity: str) -> dict[str, FieldInfo]:
    """The fields of ``entity`` that Claire gets, by their name inside its part of the document."""
    prefix = PREFIXES[entity]
    return {info.claire.removeprefix(prefix): info for info in fields(entity) if info.claire}


def customers_by_kind(document: Document) -> dict[str, Document]:
    """The document's customers by their kind."""
    return {customer[KIND]: customer for customer in document.get("customers") or ()}
