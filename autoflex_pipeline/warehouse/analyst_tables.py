"""The tables of the analysts' copy: columns and meaning, derived from the warehouse's declarations."""

from __future__ import annotations

from autoflex_pipeline.model import MODELS, FieldInfo, fields
from autoflex_pipeline.warehouse.pseudonyms import POSTCODE, full_name
from autoflex_pipeline.warehouse.tables import (
    BOOKKEEPING,
    DEALER,
    ENTITY,
    NUMBER,
    RUN,
    Column,
    Table,
    current_table,
    past_table,
)

PSEUDONYM_NOTE = "A pseudonym, the same for the same value of the same dealer (real where privacy is full)."
LEFT_OUT_NOTE = "Left out, because it may name people (there where privacy is full)."
INTERNAL_COLUMNS = ("raw_seq", "run_id")

LINEAGE = Table(
    "lineage",
    "One row per version of a record: the raw record that it was made from. Join on the key and valid_from.",
    (
        DEALER,
        ENTITY,
        NUMBER,
        Column("valid_from", "TIMESTAMPTZ", "When the version was accepted."),
        Column("extract_id", "VARCHAR", "The extract that brought the raw record."),
        Column("source", "VARCHAR", "Endpoint and page, or file and line."),
        Column("raw_hash", "VARCHAR", "Hash of the raw record's text."),
        Column("run_id", "VARCHAR", "The run that accepted the version."),
    ),
)

PUBLISHED = Table(
    "published",
    "One row: the moment that all tables of this file share.",
    (
        Column("published_at", "TIMESTAMPTZ", "When this file was made."),
        Column("as_of", "TIMESTAMPTZ", "The moment that all tables show: later changes are not in them."),
        RUN,
        Column("versions", "VARCHAR", "JSON: versions of the program, the warehouse's schema and DuckDB."),
    ),
)

SHOWN_BOOKKEEPING = {
    "quarantine": (
        "dealer_id entity dms_number rule field value hint first_seen_at last_seen_at state",
        {"value": "The offending value, masked like its field: pseudonym, four digits, or left out."},
    ),
    "delivery": (
        "dealer_id dms_number attempted_at result http_status message fields_changed run_id",
        {
            "message": "What Claire said, or why it failed. Left out, because it may quote values.",
            "fields_changed": "JSON list of {field, old, new}, field as named in Claire; values masked like the field.",
        },
    ),
    "extract": (
        "extract_id dealer_id source window_from window_to is_complete rows started_at finished_at run_id",
        {},
    ),
}
"""Which columns of the warehouse's own tables are published, and what masking changes about their meaning."""


def published_tables() -> tuple[Table, ...]:
    """Every table of the analysts' copy, in the order in which they are shown."""
    current = tuple(_masked_table(entity, current_table(entity)) for entity in MODELS)
    history = tuple(_history_table(entity) for entity in MODELS)
    quarantine, delivery, extract = (_bookkeeping(name) for name in SHOWN_BOOKKEEPING)
    return (*current, *history, quarantine, delivery, LINEAGE, extract, PUBLISHED)


def fields_by_name(entity: str) -> dict[str, FieldInfo]:
    """The declared fields of ``entity`` by column name."""
    return {field.name: field for field in fields(entity)}


def _masked_table(entity: str, table: Table) -> Table:
    declared = fields_by_name(entity)
    columns = tuple(
        Column(column.name, column.type, column.description + _masking(declared.get(column.name)))
        for column in table.columns
        if column.name not in INTERNAL_COLUMNS
    )
    return Table(table.name, table.description, columns)


def _history_table(entity: str) -> Table:
    table = _masked_table(entity, past_table(entity))
    *columns, valid_to = table.columns
    until = Column(valid_to.name, valid_to.type, "When the next version replaced it; empty for the newest.")
    description = f"Every accepted version of each {entity}, the newest too (valid_to empty)."
    return Table(f"{entity}_history", description, (*columns, until))


def _masking(field: FieldInfo | None) -> str:
    """What masking adds to a field's meaning; the postcode's own description says it."""
    if field is None or field.pii is None or full_name(field) == POSTCODE:
        return ""
    return f" {PSEUDONYM_NOTE if field.pii == 'P' else LEFT_OUT_NOTE}"


def _bookkeeping(name: str) -> Table:
    table = next(table for table in BOOKKEEPING if table.name == name)
    names, meanings = SHOWN_BOOKKEEPING[name]
    known = {column.name: column for column in table.columns}
    columns = tuple(
        Column(column, known[column].type, meanings.get(column, known[column].description)) for column in names.split()
    )
    return Table(name, table.description, columns)
