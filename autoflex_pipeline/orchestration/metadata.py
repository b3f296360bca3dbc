"""What an asset shows of itself: column schema, lineage, counts, pictures. Never a personal value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from autoflex_pipeline.lineage.columns import DOCUMENTS, LOCATION, document_columns, entity_columns
from autoflex_pipeline.model import MODELS, RAW_ENTITIES, FieldInfo, fields
from autoflex_pipeline.orchestration.pictures import bars, mix
from autoflex_pipeline.runs.asking import ReadReport
from autoflex_pipeline.runs.numbers import DeliveredView, StagedView
from autoflex_pipeline.warehouse.analyst_tables import published_tables
from autoflex_pipeline.warehouse.tables import all_tables

PERSONAL = {"P": "personal, pseudonymised for analysts", "F": "free text, left out for analysts"}


def table_schema(entity: str) -> dg.TableSchema:
    """The columns of an entity as Dagster shows them, from the declaration: types, constraints, meaning."""
    keys = [field.name for field in fields(entity) if field.key]
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=field.name,
                type=field.duckdb_type,
                description=field.description,
                constraints=dg.TableColumnConstraints(nullable=field.nullable, other=_constraints(field)),
                tags={"personal_data": field.pii} if field.pii else {},
            )
            for field in fields(entity)
        ],
        constraints=dg.TableConstraints(other=[f"unique: {', '.join(keys)}"]),
    )


def _constraints(field: FieldInfo) -> list[str]:
    """What else holds for a column, in words."""
    checks = [f"{name} {value}" for name, value in field.checks.items()]
    return [*checks, *(["key"] if field.key else []), *([PERSONAL[field.pii]] if field.pii else [])]


def warehouse_schema(name: str) -> dg.TableSchema:
    """The columns of a table of the warehouse, with their comments."""
    (table,) = [table for table in all_tables() if table.name == name]
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name=column.name, type=column.type, description=column.description)
            for column in table.columns
        ]
    )


def published_tables_shown() -> str:
    """A Markdown table of what the analysts' copy holds."""
    rows = [f"| `{table.name}` | {table.description} |" for table in published_tables()]
    return "\n".join(["| table | holds |", "| --- | --- |", *rows])


def raw_schema(raw_entity: str) -> dg.TableSchema:
    """The fields of a kind of record that are read, by the DMS's own names."""
    (entity,) = [entity for entity, raw in RAW_ENTITIES.items() if raw == raw_entity]
    described: dict[str, list[str]] = {}
    for field in fields(entity):
        for name in field.dms:
            described.setdefault(name, []).append(field.name)
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name=name, type="JSON value", description=f"Becomes {' and '.join(columns)} of {entity}.")
            for name, columns in described.items()
        ]
    )


def document_schema() -> dg.TableSchema:
    """The fields of Claire's document by their path."""
    described = {field.claire: field.description for entity in MODELS for field in fields(entity) if field.claire}
    described[LOCATION] = "Claire's location, chosen by the dealer."
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name=path, type="JSON value", description=described[path]) for path in document_columns()
        ]
    )


def column_lineage(name: str) -> dict[str, Any]:
    """The metadata of an entity's or the documents' materialization that tells which column is made of which.

    Dagster's UI reads it from the newest materialization, not from the definition (1.13).
    """
    columns = document_columns() if name == DOCUMENTS else entity_columns(name)
    deps = {
        column: [dg.TableColumnDep(dg.AssetKey(source.dataset), source.name) for source in sources]
        for column, sources in columns.items()
    }
    return {"dagster/column_lineage": dg.TableColumnLineage(deps)}


def read_metadata(report: ReadReport) -> dict[str, Any]:
    """Records and requests of a reading step, and a row per dealer."""
    rows = [
        dg.TableRecord(
            {
                "dealer": dealer_id,
                "records": records,
                "requests": report.requests.get(dealer_id, 0),
                "partial": report.partial.get(dealer_id, ""),
                "confirmed_gone": len(report.gone.get(dealer_id, [])),
            }
        )
        for dealer_id, records in sorted(report.records.items())
    ]
    return {
        "rows_in": sum(report.records.values()),
        "requests": sum(report.requests.values()),
        "partial_extracts": len(report.partial),
        "confirmed_gone": sum(len(gone) for gone in report.gone.values()),
        "by_dealer": dealers_table(rows),
    }


def counts_metadata(counts: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """Totals of named counts over the dealers, and a row per dealer."""
    names = sorted({name for by_name in counts.values() for name in by_name})
    totals = {name: sum(by_name.get(name, 0) for by_name in counts.values()) for name in names}
    rows = [
        dg.TableRecord({"dealer": dealer_id} | {name: by_name.get(name, 0) for name in names})
        for dealer_id, by_name in sorted(counts.items())
    ]
    return totals | {"by_dealer": dealers_table(rows)}


def entity_metadata(view: StagedView, entity: str) -> dict[str, Any]:
    """Counts of the run, rows of the table, its newest with what is personal struck out; of appointments a picture."""
    metadata = counts_metadata(view.counts[entity]) | {"dagster/row_count": view.rows[entity]}
    if view.previews[entity]:
        metadata["newest"] = dg.MetadataValue.table([dg.TableRecord(row) for row in view.previews[entity]])
    if entity == "appointment":
        metadata["arrivals_by_day"] = bars("New work orders", view.arrivals)
    return metadata


def delivery_metadata(view: DeliveredView, counts: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """Counts and numbers of the run, how they are made up, and how long changes took over the last two weeks."""
    totals = counts_metadata(counts)
    states = {name: int(total) for name, total in totals.items() if name != "by_dealer"}
    return {
        **totals,
        **view.numbers,
        "states": mix("Appointments in scope, as this run left them", states),
        "latency_by_day": bars("Seconds from the change to Claire", view.latency, unit=" s"),
    }


def dealers_table(rows: list[dg.TableRecord]) -> dg.MetadataValue[Any]:
    """A table with a row per dealer; a line of text when there is none."""
    return dg.MetadataValue.table(rows) if rows else dg.MetadataValue.text("nothing to do for any dealer")
