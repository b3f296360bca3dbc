"""A warehouse in memory with a past: rows are put in as staging would leave them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest

from autoflex_pipeline.quality import JudgedDealer, Verdict, judge
from autoflex_pipeline.quality.schema_drift import note_fields
from autoflex_pipeline.warehouse.schema import ensure_schema

NOW = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)  # a Tuesday, 14:00 at the dealer's
DEALER = "garage-jansen"
DEALERS = (JudgedDealer(DEALER, "Europe/Amsterdam", 24),)


class Past:
    """What a dealer's past is made of; ``check`` judges it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.seq = 0

    def watched_for(self, days: int, dealer_id: str = DEALER) -> None:
        """The dealer's first extract was ``days`` full days before today, and one."""
        self.insert("extract", [{"dealer_id": dealer_id, "is_complete": True, "started_at": ago(days=days + 1)}])

    def insert(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        """Put rows into a table, column by name; columns that are not named stay empty."""
        for row in rows:
            marks = ", ".join("?" for _ in row)
            self.connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))

    def appointments(self, number: int, made_at: datetime, **values: Any) -> None:
        """So many appointments, made and accepted at one moment."""
        row = {
            "dealer_id": DEALER, "created_at": made_at, "observed_at": made_at, "is_billed": False, "run_id": "tick",
            **values,
        }  # fmt: skip
        marks = ", ".join("?" for _ in row)
        self.connection.execute(
            f"INSERT INTO appointment ({', '.join(row)}, dms_number) "
            f"SELECT {marks}, range::VARCHAR FROM range({self.seq + 1}, {self.seq + number + 1})",
            list(row.values()),
        )
        self.seq += number

    def raw(self, records: Sequence[dict[str, Any]], at: datetime, entity: str = "order") -> None:
        """New raw records, noted as staging notes them."""
        self.connection.execute(
            "INSERT INTO raw_record (seq, dealer_id, entity, record, fetched_at) "
            "SELECT ? + generate_subscripts(each, 1), ?, ?, unnest(each), ? FROM (SELECT ?::VARCHAR[] AS each)",
            [self.seq, DEALER, entity, at, [json.dumps(record) for record in records]],
        )
        self.seq += len(records)
        note_fields(self.connection, at)
        self.connection.execute("DELETE FROM staged")
        self.insert("staged", [{"entity": entity, "raw_seq": self.seq}])

    def check(self, name: str, subject: str = "open_orders", now: datetime = NOW) -> Verdict:
        """The verdict of one check."""
        (verdict,) = [
            verdict
            for verdict in judge(self.connection, DEALERS, now)
            if (verdict.check.name, verdict.check.subject) == (name, subject)
        ]
        return verdict


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


@pytest.fixture(scope="session")
def empty_warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        ensure_schema(connection)
        yield connection


@pytest.fixture
def past(empty_warehouse: duckdb.DuckDBPyConnection) -> Iterator[Past]:
    """Undone after each test: making the tables takes longer than most tests."""
    empty_warehouse.begin()
    yield Past(empty_warehouse)
    empty_warehouse.rollback()
