"""A warehouse in which a test puts raw records as a source would, stages them, and looks at what came of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import duckdb

from autoflex_pipeline.model import RAW_ENTITIES
from autoflex_pipeline.staging import ORDER, StageCounts, StagingContext, stage_entities
from autoflex_pipeline.staging.accounting import DealerAccount, account_run
from autoflex_pipeline.warehouse.schema import ensure_schema
from autoflex_pipeline.warehouse.tables import all_tables

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
DEALER = "garage-jansen"
STAGING_ORDER = ("party", "car", "appointment", "intervention")
KEYS = {"order": "order_id", "order_line": "order_line_id", "vehicle": "vehicle_id", "relation": "relation_id"}

GOOD: dict[str, dict[str, Any]] = {
    "order": {
        "order_id": 50012,
        "order_number": "2026-00417",
        "plan_date_from": "2026-11-24T08:30:00",
        "plan_date_to": "2026-11-24T17:00:00",
        "order_date": "20261118T140500",
        "is_invoiced": 0,
        "notes": "Klant wacht",
        "is_present": 1,
        "is_internal": 0,
        "milometer": 123456,
        "is_canceled": 0,
        "vehicle_id": 7001,
        "relation_id": 3090,
        "last_modified": None,
        "order_type": 1,
    },
    "order_line": {
        "order_line_id": 900441,
        "order_id": 50012,
        "line_number": 1,
        "description": "Grote beurt",
        "price_incl_vat": "389.00",
    },
    "vehicle": {
        "vehicle_id": 7001,
        "brand": "Volkswagen",
        "model": "Golf",
        "license_plate": "GH-123-J",
        "vin": "WVWZZZ1KZAW000001",
        "engine_number": "CAX123456",
        "notes": None,
        "driver_relation_id": 3001,
        "owner_relation_id": None,
    },
    "relation": {
        "relation_id": 3001,
        "company_name": None,
        "title": "Mevr.",
        "last_name_prefix": "van den",
        "last_name": "Berg",
        "street": "Dorpsstraat",
        "house_number": "12",
        "house_number_addition": "bis",
        "postcode": "1234 AB",
        "city": "Utrecht",
    },
}
ABSENT = object()
"""As a value: leave the field out of the record."""


@cache
def _made_tables() -> duckdb.DuckDBPyConnection:
    """The tables of a warehouse, made once for all tests of a process."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    ensure_schema(connection)
    return connection


class MemoryWarehouse:
    """A warehouse without a file: the same tables, opened and committed the same way, without waiting for a disk.

    One at a time: a new one empties the tables of the one before.
    """

    def __init__(self) -> None:
        self._connection = _made_tables()
        for table in all_tables():
            self._connection.execute(f"DELETE FROM {table.name}")

    @contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The connection, in a transaction: committed at the end, rolled back on any exception."""
        self._connection.begin()
        try:
            yield self._connection
        except BaseException:
            self._connection.rollback()
            raise
        self._connection.commit()


class Lab:
    """One warehouse; ``now`` and ``run_id`` are those of the next staging."""

    def __init__(self, zone: str = "Europe/Amsterdam") -> None:
        self.warehouse = MemoryWarehouse()
        self.zone = zone
        self.now = NOW
        self.run_id = "run-1"

    def put(self, raw_entity: str, dealer: str = DEALER, **changes: Any) -> str:
        """Store a good record with these changes as a new version; gives its number."""
        record = {**GOOD[raw_entity], **changes}
        record = {name: value for name, value in record.items() if value is not ABSENT}
        key = record.get(KEYS[raw_entity])
        parent = record.get("order_id") if raw_entity == "order_line" else None
        self.put_text(
            raw_entity,
            json.dumps(record),
            None if key is None else str(key),
            parent=None if parent is None else str(parent),
            dealer=dealer,
        )
        return str(key)

    def put_text(
        self, raw_entity: str, text: str, key: str | None, parent: str | None = None, dealer: str = DEALER
    ) -> None:
        """Store any text as a new version of a record, as sources/storing does."""
        values = {
            "dealer_id": dealer,
            "entity": raw_entity,
            "record_key": key,
            "raw_hash": hashlib.sha256(text.encode("utf-8", "replace")).hexdigest(),
            "run_id": self.run_id,
        }
        with self.warehouse.open() as connection:
            if (
                key is None
                and connection.execute(
                    "UPDATE sighting SET run_id = $run_id WHERE record_key IS NULL AND dealer_id = $dealer_id"
                    " AND entity = $entity AND raw_hash = $raw_hash RETURNING 1",
                    {name: value for name, value in values.items() if name != "record_key"},
                ).fetchone()
            ):
                return  # without a key, the content is the identity
            row = connection.execute("SELECT coalesce(max(seq), 0) + 1 FROM raw_record").fetchone()
            assert row is not None
            seq = row[0]
            if not connection.execute("SELECT 1 FROM extract WHERE dealer_id = ?", [dealer]).fetchone():
                _insert(connection, "extract", {"extract_id": f"extract of {dealer}", "dealer_id": dealer})
            raw = values | {"seq": seq, "record": text, "parent_key": parent, "source": f"{raw_entity}?page=1"}
            _insert(connection, "raw_record", raw)
            connection.execute(
                "DELETE FROM sighting WHERE dealer_id = ? AND entity = ? AND record_key = ?", [dealer, raw_entity, key]
            )
            _insert(connection, "sighting", values | {"raw_seq": seq, "seen_at": self.now})

    def stage(self, *entities: str) -> dict[str, dict[str, StageCounts]]:
        """Stage all entities, or these."""
        context = StagingContext({DEALER: self.zone}, {DEALER: 24.0}, self.now, self.run_id)
        with self.warehouse.open() as connection:
            return stage_entities(connection, context, [name for name in ORDER if name in (entities or ORDER)])

    def next_run(self, **later: float) -> None:
        """Go on to another run, later (as for timedelta; an hour)."""
        self.now += timedelta(**(later or {"hours": 1}))
        self.run_id = f"run-{int(self.run_id.split('-')[1]) + 1}"

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of the warehouse."""
        with self.warehouse.open() as connection:
            return connection.execute(sql, list(values)).fetchall()

    def execute(self, sql: str, *values: Any) -> None:
        """Change the warehouse."""
        self.query(sql, *values)

    def rows(self, table: str, **where: Any) -> list[dict[str, Any]]:
        """Rows of a table as dicts."""
        with self.warehouse.open() as connection:
            condition = " AND ".join(f"{name} = ?" for name in where) or "true"
            cursor = connection.execute(f"SELECT * FROM {table} WHERE {condition} ORDER BY ALL", list(where.values()))
            names = [column[0] for column in cursor.description or []]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def row(self, table: str, **where: Any) -> dict[str, Any]:
        """The only such row."""
        (row,) = self.rows(table, **where)
        return row

    def staged(self, raw_entity: str, **changes: Any) -> Outcome:
        """Put one record, stage it, and say what came of it."""
        key = self.put(raw_entity, **changes)
        entity = next(name for name, raw in RAW_ENTITIES.items() if raw == raw_entity)
        self.stage(entity)
        return self.outcome(entity, key)

    def outcome(self, entity: str, key: str) -> Outcome:
        """What staging made of the record."""
        rows = self.rows(entity, dms_number=key)
        return Outcome(rows[0] if rows else None, self.rows("finding", entity=entity, dms_number=key))

    def accounts(self) -> dict[str, DealerAccount]:
        """The accounts of the run."""
        with self.warehouse.open() as connection:
            return account_run(connection, self.run_id)

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that staging writes, but for the marks of what it has taken."""
        tables = [*(name for entity in RAW_ENTITIES for name in (entity, f"{entity}_past"))]
        tables += ["finding", "quarantine", "skipped"]
        return {table: self.query(f"FROM {table} ORDER BY ALL") for table in tables}


class Outcome:
    """The staged row (None when there is none) and the findings of a record."""

    def __init__(self, row: Mapping[str, Any] | None, findings: list[dict[str, Any]]) -> None:
        self.row = row
        self.findings = findings

    def __getitem__(self, name: str) -> Any:
        assert self.row is not None, self.findings
        return self.row[name]

    @property
    def rules(self) -> list[tuple[str, str, str]]:
        """(severity, rule, field) of each finding."""
        return sorted((found["severity"], found["rule"], found["field"]) for found in self.findings)

    def finding(self, rule: str) -> dict[str, Any]:
        """The only finding of this rule."""
        (found,) = [found for found in self.findings if found["rule"] == rule]
        return found


def _insert(connection: Any, table: str, values: Mapping[str, Any]) -> None:
    marks = ", ".join("?" for _ in values)
    connection.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values()))
