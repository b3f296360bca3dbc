"""What an appointment, an intervention, a car and a party are, declared once; their pandera schemas come from that.

Nothing here reads a source or writes a table; everything else derives from these declarations.
"""

from __future__ import annotations

from functools import cache

from autoflex_pipeline.model.appointment import Appointment
from autoflex_pipeline.model.car import Car
from autoflex_pipeline.model.columns import Entity, FieldInfo, declared_fields
from autoflex_pipeline.model.intervention import Intervention
from autoflex_pipeline.model.party import Party

MODELS: dict[str, type[Entity]] = {
    "appointment": Appointment,
    "intervention": Intervention,
    "car": Car,
    "party": Party,
}
"""The entities, in the order in which they are shown."""

RAW_ENTITIES = {"appointment": "order", "intervention": "order_line", "car": "vehicle", "party": "relation"}
"""The DMS's own name for what an entity is made from."""


@cache
def fields(entity: str) -> tuple[FieldInfo, ...]:
    """The declared fields of ``entity``, in order."""
    return declared_fields(MODELS[entity])


@cache
def dms_names(entity: str) -> tuple[str, ...]:
    """The names to ask of the DMS for ``entity``, each once, in the order of declaration."""
    return tuple(dict.fromkeys(name for field in fields(entity) for name in field.dms))


def dms_name(entity: str, field: str) -> str:
    """The DMS's (first) name for a declared field, such as order_id for the appointment's dms_number."""
    return next(declared.dms[0] for declared in fields(entity) if declared.name == field)


__all__ = [
    "MODELS",
    "RAW_ENTITIES",
    "Appointment",
    "Car",
    "FieldInfo",
    "Intervention",
    "Party",
    "dms_name",
    "dms_names",
    "fields",
]
