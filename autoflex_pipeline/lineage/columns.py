"""Which column is made of which: from the DMS's fields to Claire's, read from the one declaration of each field."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from autoflex_pipeline.claire.contract import KINDS, NUMBER, PREFIXES
from autoflex_pipeline.model import MODELS, RAW_ENTITIES, FieldInfo, fields

DOCUMENTS = "documents"
LOCATION = "location_id"
"""Of the document: chosen by the dealer's configuration."""

RAW_ASSETS = {
    "order": ("open_orders", "orders_by_month"),
    "order_line": ("order_lines",),
    "vehicle": ("vehicles",),
    "relation": ("relations",),
}
"""The assets that bring each kind of record."""


@dataclass(frozen=True, order=True, slots=True)
class Column:
    """A column of a dataset (an asset's name)."""

    dataset: str
    name: str


def entity_columns(entity: str) -> dict[str, tuple[Column, ...]]:
    """By column of ``entity`` the raw columns that it is made of; none for what comes from the configuration."""
    return {
        field.name: tuple(Column(asset, name) for asset in RAW_ASSETS[RAW_ENTITIES[entity]] for name in field.dms)
        for field in fields(entity)
    }


def document_columns() -> dict[str, tuple[Column, ...]]:
    """By path in Claire's document the columns of the entities that it is made of.

    The number of a nested car or customer is also that of the column that names it: it decides which one is nested.
    """
    columns: dict[str, tuple[Column, ...]] = {LOCATION: (Column("appointment", "dealer_id"),)}
    for entity in MODELS:
        for field in fields(entity):
            if field.claire:
                columns[field.claire] = (Column(entity, field.name), *_named_by(field))
    return columns


def _named_by(field: FieldInfo) -> tuple[Column, ...]:
    if field.claire == PREFIXES["car"] + NUMBER:
        return (Column("appointment", "car_dms_number"),)
    if field.claire == PREFIXES["party"] + NUMBER:
        return tuple(Column(entity, f"{kind}_dms_number") for kind, entity in KINDS.items())
    return ()


def mapping_table(entity: str) -> str:
    """A Markdown table of where each field of ``entity`` comes from and where it goes."""
    raw = RAW_ENTITIES[entity]
    return _table(
        ("field", "Autoflex", "evidence", "extract file", "Claire", "empty", "personal"),
        (
            (
                f"`{field.name}`", _codes(f"{raw}.{name}" for name in field.dms), field.evidence or "–",
                ", ".join(field.header) or "–", f"`{field.claire}`" if field.claire else "–", field.empty or "–",
                field.pii or "–",
            )
            for field in fields(entity)
        ),
    )  # fmt: skip


def document_table() -> str:
    """A Markdown table of what each field of Claire's document is made of, back to the DMS."""
    origin = {
        Column(entity, field.name): [f"{RAW_ENTITIES[entity]}.{name}" for name in field.dms]
        for entity in MODELS
        for field in fields(entity)
    }
    return _table(
        ("Claire", "staging", "Autoflex"),
        (
            (
                f"`{path}`",
                _codes(f"{source.dataset}.{source.name}" for source in sources),
                _codes(name for source in sources for name in origin[source]),
            )
            for path, sources in document_columns().items()
        ),
    )


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in dict.fromkeys(names)) or "–"


def _table(names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
