"""What an asset shows of itself: column schema, lineage and counts. Never a row, never a personal value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from autoflex_pipeline.model import RAW_ENTITIES, fields
from autoflex_pipeline.runs.asking import ReadReport


def table_schema(entity: str) -> dg.TableSchema:
    """The columns of an entity as Dagster shows them, from the declaration."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=field.name,
                type=field.duckdb_type,
                description=field.description,
                constraints=dg.TableColumnConstraints(nullable=field.nullable),
            )
            for field in fields(entity)
        ]
    )


def declared_mapping(entity: str) -> str:
    """A Markdown table of where each field comes from and where it goes."""
    lines = ["| field | Autoflex | evidence | Claire | empty |", "| --- | --- | --- | --- | --- |"]
    for field in fields(entity):
        source = ", ".join(f"`{RAW_ENTITIES[entity]}.{name}`" for name in field.dms) or "–"
        target = f"`{field.claire}`" if field.claire else "–"
        lines.append(f"| `{field.name}` | {source} | {field.evidence or '–'} | {target} | {field.empty or '–'} |")
    return "\n".join(lines)


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
        "dagster/row_count": sum(report.records.values()),
        "requests": sum(report.requests.values()),
        "partial_extracts": len(report.partial),
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


def dealers_table(rows: list[dg.TableRecord]) -> dg.MetadataValue[Any]:
    """A table with a row per dealer; a line of text when there is none."""
    return dg.MetadataValue.table(rows) if rows else dg.MetadataValue.text("nothing to do for any dealer")
