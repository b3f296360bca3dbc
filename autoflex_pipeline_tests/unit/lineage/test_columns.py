"""Lineage between columns follows from the declarations, and Dagster is told the same."""

from __future__ import annotations

import dagster as dg
import pytest

from autoflex_pipeline.lineage.columns import Column, document_columns, document_table, entity_columns, mapping_table
from autoflex_pipeline.model import MODELS, fields
from autoflex_pipeline.orchestration.build import build_definitions
from autoflex_pipeline.orchestration.metadata import column_lineage, document_schema, raw_schema
from autoflex_pipeline.orchestration.resources import Installation


def test_a_column_is_made_of_the_dms_fields_that_it_declares() -> None:
    appointment = entity_columns("appointment")
    assert appointment["wo_number"] == (
        Column("open_orders", "order_number"),
        Column("orders_by_month", "order_number"),
    )
    assert entity_columns("party")["last_name"] == (
        Column("relations", "last_name_prefix"),
        Column("relations", "last_name"),
    )
    assert appointment["dealer_id"] == ()


def test_a_field_of_claire_leads_back_to_its_column_and_to_the_one_that_names_it() -> None:
    documents = document_columns()
    assert documents["interventions[].price"] == (Column("intervention", "price"),)
    assert documents["car.dms_nr"] == (Column("car", "dms_number"), Column("appointment", "car_dms_number"))
    assert set(documents["customers[].dms_nr"]) == {
        Column("party", "dms_number"),
        Column("appointment", "contractor_dms_number"),
        Column("car", "driver_dms_number"),
        Column("car", "owner_dms_number"),
    }


def test_every_declared_field_and_every_field_of_claire_has_its_place() -> None:
    for entity in MODELS:
        assert list(entity_columns(entity)) == [field.name for field in fields(entity)]
    sent = {field.claire for entity in MODELS for field in fields(entity) if field.claire}
    assert set(document_columns()) == sent | {"location_id"}
    declared = {Column(entity, field.name) for entity in MODELS for field in fields(entity)}
    assert {source for sources in document_columns().values() for source in sources} <= declared


def test_dagster_is_told_columns_that_exist_upstream() -> None:
    assets = build_definitions(Installation()).resolve_asset_graph()
    there = {key.to_user_string() for key in assets.get_all_asset_keys()}
    known = {asset: {column.name for column in raw_schema(raw).columns} for asset, raw in (
        ("open_orders", "order"), ("orders_by_month", "order"), ("order_lines", "order_line"),
        ("vehicles", "vehicle"), ("relations", "relation"),
    )}  # fmt: skip
    known |= {entity: {field.name for field in fields(entity)} for entity in MODELS}
    for name in (*MODELS, "documents"):
        lineage = column_lineage(name)["dagster/column_lineage"]
        assert isinstance(lineage, dg.TableColumnLineage)
        for deps in lineage.deps_by_column.values():
            for dep in deps:
                assert dep.asset_key.to_user_string() in there
                assert dep.column_name in known[dep.asset_key.to_user_string()]
    assert {column.name for column in document_schema().columns} == set(document_columns())


@pytest.mark.parametrize("entity", MODELS)
def test_the_tables_for_people_name_every_field(entity: str) -> None:
    for field in fields(entity):
        assert f"`{field.name}`" in mapping_table(entity)
        assert field.claire is None or f"`{field.claire}`" in document_table()
