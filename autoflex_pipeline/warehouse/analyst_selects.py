"""The SELECT that fills each table of the analysts' copy, from the warehouse it is attached to."""

from __future__ import annotations

from autoflex_pipeline.model import MODELS
from autoflex_pipeline.sql_files import named_sql
from autoflex_pipeline.warehouse.analyst_tables import fields_by_name, published_tables
from autoflex_pipeline.warehouse.pseudonyms import full_name
from autoflex_pipeline.warehouse.tables import Table, history_select

NEWEST = {"valid_from": "observed_at", "valid_to": "NULL"}
"""What a history's columns are for the version that holds now."""


def selects(copy: str) -> dict[str, str]:
    """SQL by table, with the columns in the declared order; all but ``published``, which is made of the moment.

    ``copy`` is the name of the attached file: a history takes the newest versions from there, where the entity's own
    table is filled already, because each pseudonym costs two hashes.
    """
    tables = {table.name: table for table in published_tables()}
    by_table = {entity: _masked_select(tables[entity], entity, entity) for entity in MODELS}
    for entity in MODELS:
        table = tables[f"{entity}_history"]
        newest = ", ".join(NEWEST.get(name, name) for name in table.column_names)
        past = _masked_select(table, entity, f"{entity}_past")
        by_table[table.name] = f"{past} UNION ALL SELECT {newest} FROM {copy}.{entity}"
    by_table |= named_sql("warehouse/analyst_selects.sql")
    by_table["lineage"] = by_table["lineage"].replace("{versions}", _all_versions())
    return by_table


def _masked_select(table: Table, entity: str, source: str) -> str:
    declared = fields_by_name(entity)
    expressions = []
    for name in table.column_names:
        field = declared.get(name)
        if field is None or field.pii is None:
            expressions.append(name)
        else:
            expressions.append(f"masked(dealer_id, '{full_name(field)}', {name}) AS {name}")
    return f"SELECT {', '.join(expressions)} FROM {source}"


def _all_versions() -> str:
    return " UNION ALL ".join(
        f"SELECT dealer_id, '{entity}' AS entity, dms_number, valid_from, raw_seq, run_id "
        f"FROM ({history_select(entity)})"
        for entity in MODELS
    )
