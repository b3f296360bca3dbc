from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from autoflex_pipeline.errors import ConfigurationError
from autoflex_pipeline.model import MODELS, fields
from autoflex_pipeline.settings import Settings
from autoflex_pipeline.warehouse.analyst_tables import published_tables
from autoflex_pipeline.warehouse.pseudonyms import pseudonym
from autoflex_pipeline.warehouse.publishing import Published, publish
from autoflex_pipeline_tests.unit.warehouse.planted import (
    FULL,
    KEY,
    KEY_VARIABLE,
    MASKED,
    NOW,
    changes,
    insert,
    personal,
    personal_values,
    warehouse_of,
)

Query = Callable[..., list[Any]]


def publish_now(settings: Settings, run_id: str = "run-7") -> Published:
    return publish(settings, warehouse_of(settings), run_id=run_id, now=NOW)


def test_no_personal_value_of_a_pseudonymised_dealer_is_in_the_file(planted: Settings) -> None:
    content = publish_now(planted).path.read_bytes()
    assert [value for value in personal_values(MASKED) if value.encode() in content] == []
    # What the search looks for would be found: it is there where real values are allowed.
    assert [value for value in personal_values(FULL) if value.encode() not in content] == []


def test_no_personal_value_of_a_pseudonymised_dealer_is_in_any_column(planted: Settings, query: Query) -> None:
    publish_now(planted)
    shown = "\n".join(str(query(f"FROM {table.name}")) for table in published_tables())
    assert [value for value in personal_values(MASKED) if value in shown] == []
    assert [value for value in personal_values(FULL) if value not in shown] == []


def test_the_key_is_not_in_the_file(planted: Settings) -> None:
    content = publish_now(planted).path.read_bytes()
    pads = [bytes(byte ^ mask for byte in KEY.encode()) for mask in (0, 0x36, 0x5C)]
    assert [pad for pad in pads if pad in content] == []


@pytest.mark.parametrize("entity", MODELS)
def test_personal_fields_hold_pseudonyms_and_free_text_nothing(planted: Settings, query: Query, entity: str) -> None:
    publish_now(planted)
    for field in fields(entity):
        if field.pii is None:
            continue
        for table, when in ((entity, ""), (f"{entity}_history", ""), (f"{entity}_history", "old ")):
            condition = "" if table == entity else f" AND valid_to IS {'NOT NULL' if when else 'NULL'}"
            rows = query(f"SELECT {field.name} FROM {table} WHERE dealer_id = ?{condition}", MASKED)
            value = personal(MASKED, entity, field.name, when)
            expected = pseudonym(KEY.encode(), MASKED, f"{entity}.{field.name}", value) if field.pii == "P" else None
            assert rows == [(value[:4] if field.name == "postcode" else expected,)], (table, field.name)


def test_quarantined_values_are_masked_like_their_field(planted: Settings, query: Query) -> None:
    publish_now(planted)
    rows = query("SELECT entity || '.' || field, value, hint FROM quarantine WHERE dealer_id = ?", MASKED)
    vin = pseudonym(KEY.encode(), MASKED, "car.vin", personal(MASKED, "car", "vin"))
    assert {name: (value, hint) for name, value, hint in rows} == {
        "car.vin": (vin, "correct … in the DMS"),
        "appointment.dms_notes": (None, "correct … in the DMS"),
        "party.postcode": ("1357", "correct … in the DMS"),
        "intervention.price": ("twaalf", "correct twaalf in the DMS"),
        "party.last_name, company": (None, "correct … in the DMS"),
    }


def test_delivered_differences_are_masked_like_their_field(planted: Settings, query: Query) -> None:
    publish_now(planted)
    [(message, text)] = query("SELECT message, fields_changed FROM delivery WHERE dealer_id = ?", MASKED)
    key = KEY.encode()
    old_vin, new_vin = (
        pseudonym(key, MASKED, "car.vin", personal(MASKED, "car", "vin", when)) for when in ("old ", "")
    )
    name = pseudonym(key, MASKED, "party.last_name", personal(MASKED, "party", "last_name"))
    assert message is None
    assert json.loads(text) == [
        {"field": "car.vin", "old": old_vin, "new": new_vin},
        {"field": "customers[driver].last_name", "old": None, "new": name},
        {"field": "customers[owner].postcode", "old": "4321", "new": "1357"},
        {"field": "dms_notes", "old": None, "new": None},
        {"field": "interventions[900441].price", "old": "389.00", "new": "399.00"},
        {"field": "interventions[900441].position", "old": 1, "new": 2},
        {"field": "canceled", "old": False, "new": True},
        {"field": "customers[contractor]", "old": None, "new": None},
        {"field": "something_new", "old": None, "new": None},
    ]
    [(full,)] = query("SELECT fields_changed FROM delivery WHERE dealer_id = ?", FULL)
    assert json.loads(full) == changes(FULL)


@pytest.mark.parametrize("text", ["no JSON, but Jansen", '{"vin": "Jansen"}', '["Jansen"]', "[]", '[{"field": null}]'])
def test_differences_that_cannot_be_read_show_nothing(settings: Settings, query: Query, text: str) -> None:
    warehouse = warehouse_of(settings)
    with warehouse.open() as connection:
        insert(connection, "delivery", dealer_id=MASKED, dms_number="1", fields_changed=text)
    path = publish(settings, warehouse, run_id="r", now=NOW).path
    assert query("SELECT count(*) FROM delivery") == [(1,)]
    assert b"Jansen" not in path.read_bytes()


def test_the_tables_and_columns_are_those_declared_and_all_have_comments(planted: Settings, query: Query) -> None:
    publish_now(planted)
    types = {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}
    declared = {
        (table.name, column.name, types.get(column.type, column.type))
        for table in published_tables()
        for column in table.columns
    }
    assert set(query("SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal")) == declared
    assert query("SELECT table_name FROM duckdb_tables() WHERE coalesce(comment, '') = ''") == []
    assert (
        query("SELECT table_name, column_name FROM duckdb_columns() WHERE coalesce(comment, '') = '' AND NOT internal")
        == []
    )


def test_the_fixed_names_of_the_contract_are_there(planted: Settings, query: Query) -> None:
    publish_now(planted)
    columns: dict[str, list[str]] = {}
    order = "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal ORDER BY column_index"
    for table, column in query(order):
        columns.setdefault(table, []).append(column)
    catalogue = {entity: [field.name for field in fields(entity)] for entity in MODELS}
    fixed = {
        "quarantine": "dealer_id entity dms_number rule field value hint first_seen_at last_seen_at state",
        "delivery": "dealer_id dms_number attempted_at result http_status message fields_changed run_id",
        "lineage": "dealer_id entity dms_number valid_from extract_id source raw_hash run_id",
        "extract": "extract_id dealer_id source window_from window_to is_complete rows started_at finished_at run_id",
        "published": "published_at as_of run_id versions",
    }
    assert columns == (
        {entity: [*names, "observed_at"] for entity, names in catalogue.items()}
        | {f"{entity}_history": [*names, "valid_from", "valid_to"] for entity, names in catalogue.items()}
        | {table: names.split() for table, names in fixed.items()}
    )


def test_every_version_has_its_lineage(planted: Settings, query: Query) -> None:
    publish_now(planted)
    rows = query(
        "SELECT extract_id, source, raw_hash, run_id FROM lineage WHERE dealer_id = ? AND entity = 'car'", MASKED
    )
    assert sorted(rows) == [
        ("extract-1", "order?page=1", "hash-1", "run-1"),
        ("extract-2", "order?page=1", "hash-2", "run-1"),
    ]
    unmatched = "SELECT count(*) FROM car_history ANTI JOIN lineage USING (dealer_id, dms_number, valid_from)"
    assert query(unmatched) == [(0,)]


def test_published_says_which_moment_the_tables_share(planted: Settings, query: Query) -> None:
    made = publish_now(planted)
    [(published_at, as_of, run_id, versions)] = query("SELECT * FROM published")
    assert NOW <= as_of <= published_at
    assert (as_of, run_id) == (made.as_of, "run-7")
    assert set(json.loads(versions)) == {"autoflex_pipeline", "warehouse_schema", "duckdb"}


def test_the_rows_are_counted_by_table(planted: Settings, query: Query) -> None:
    made = publish_now(planted)
    assert made.rows == {table.name: query(f"SELECT count(*) FROM {table.name}")[0][0] for table in published_tables()}
    assert made.bytes == os.path.getsize(made.path)


def test_an_empty_warehouse_is_published_as_empty_tables(settings: Settings, query: Query) -> None:
    made = publish_now(settings)
    assert sum(made.rows.values()) == 1
    assert query("SELECT count(*) FROM appointment_history") == [(0,)]


def test_a_missing_key_leaves_the_last_copy_in_place(
    planted: Settings, monkeypatch: pytest.MonkeyPatch, query: Query
) -> None:
    publish_now(planted)
    monkeypatch.delenv(KEY_VARIABLE)
    with pytest.raises(ConfigurationError, match=KEY_VARIABLE):
        publish_now(planted, "run-8")
    assert query("SELECT run_id FROM published") == [("run-7",)]


def test_a_publication_that_fails_half_way_leaves_the_last_copy_and_no_litter(planted: Settings, query: Query) -> None:
    publish_now(planted)
    warehouse = warehouse_of(planted)
    with warehouse.open():
        pass  # from here on it takes the schema for granted
    with warehouse.open() as connection:
        connection.execute("ALTER TABLE extract DROP COLUMN source")
    folder = planted.warehouse.analytics_path.parent
    before = sorted(path.name for path in folder.iterdir())

    with pytest.raises(duckdb.BinderException, match="source"):
        publish(planted, warehouse, run_id="run-8", now=NOW)
    assert sorted(path.name for path in folder.iterdir()) == before
    assert query("SELECT run_id FROM published") == [("run-7",)]


def test_the_warehouse_can_be_used_again_after_a_publication(planted: Settings, query: Query) -> None:
    warehouse = warehouse_of(planted)
    publish(planted, warehouse, run_id="run-7", now=NOW)
    with warehouse.open() as connection:
        insert(connection, "car", dealer_id=FULL, dms_number="2", vin="W2")
    publish(planted, warehouse, run_id="run-8", now=NOW)
    assert query("SELECT vin FROM car WHERE dms_number = '2'") == [("W2",)]
