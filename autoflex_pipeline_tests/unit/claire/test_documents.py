from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from autoflex_pipeline.claire.contract import Version, sent_fields
from autoflex_pipeline.claire.documents import projections, refresh_documents
from autoflex_pipeline.warehouse import Warehouse
from autoflex_pipeline_tests.unit.claire.stage import (
    APPOINTMENT,
    CAR,
    DEALER,
    DRIVER,
    NOW,
    ZONES,
    put,
    put_appointment,
    put_lines,
    put_whole,
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with Warehouse(tmp_path / "w.duckdb").open() as opened:
        yield opened


def project(connection: duckdb.DuckDBPyConnection, number: str = "50012") -> Version:
    return projections(connection, [(DEALER, number)], ZONES)[(DEALER, number)]


def document_hash(connection: duckdb.DuckDBPyConnection) -> str:
    row = connection.execute("SELECT document_hash FROM document").fetchone()
    assert row
    return str(row[0])


def test_the_projection_is_the_document_of_the_contract_page(connection: duckdb.DuckDBPyConnection) -> None:
    put_whole(connection)
    version = project(connection)
    document = version.document
    assert document["dms_nr"] == "50012"
    assert document["appointment_date"] == "2026-11-24"
    assert document["creation_date"] == "2026-11-18T14:05:00+01:00"
    assert document["scheduled_in"] == "2026-11-24T08:30:00+01:00"
    assert document["dms_notes"] == 'Klant wacht\n"buiten" é €'
    assert document["interventions"] == [
        {"dms_nr": "500121", "position": 1, "title": "Grote beurt", "price": "389.00"},
        {"dms_nr": "500122", "position": 2, "title": "APK", "price": "49.50"},
    ]
    assert document["car"]["driver_id"] == "3001"
    assert document["car"]["notes"] is None
    assert [customer["customer_kind"] for customer in document["customers"]] == ["contractor", "driver"]
    assert "customer_waiting" not in document
    assert version.references == {"car": "7001", "contractor": "3090", "driver": "3001", "owner": None}


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC), "2026-03-29T01:59:59+01:00"),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "2026-03-29T03:00:00+02:00"),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "2026-10-25T02:30:00+02:00"),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "2026-10-25T02:30:00+01:00"),
        (None, None),
    ],
)
def test_moments_carry_the_offset_of_the_dealers_zone(
    connection: duckdb.DuckDBPyConnection, moment: datetime | None, text: str | None
) -> None:
    put_appointment(connection, created_at=moment)
    assert project(connection).document["creation_date"] == text


def test_lines_stand_by_position_then_place_then_number_and_only_those_of_the_list(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    put_appointment(connection)
    put_lines(connection, "50012", [("9", 2, "b", "1.00"), ("8", 1, "a", None), ("7", 2, "c", "0.10")])
    put(connection, "intervention", dms_number="6", appointment_dms_number="50012", position=0, title="gone")
    lines = project(connection).document["interventions"]
    assert [line["dms_nr"] for line in lines] == ["8", "9", "7"]
    assert [line["price"] for line in lines] == [None, "1.00", "0.10"]


def test_unread_lines_are_left_out_and_no_lines_are_an_empty_list(connection: duckdb.DuckDBPyConnection) -> None:
    put_appointment(connection)
    assert "interventions" not in project(connection).document
    put_lines(connection, "50012", [])
    assert project(connection).document["interventions"] == []


def test_a_car_that_is_not_staged_is_left_out_but_known_by_number(connection: duckdb.DuckDBPyConnection) -> None:
    put_appointment(connection)
    version = project(connection)
    assert "car" not in version.document
    assert version.document["customers"] == []
    assert version.references["car"] == "7001"


def test_a_change_of_any_part_changes_the_hash_and_no_change_keeps_the_row(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    put_whole(connection)
    assert refresh_documents(connection, ZONES, NOW) == 1
    seen = {document_hash(connection)}
    put_whole(connection)
    assert refresh_documents(connection, ZONES, NOW + timedelta(hours=1)) == 0
    for table, values in (
        ("car", {"dms_number": "7001", "make": "Skoda", "driver_dms_number": "3001"}),
        ("party", {"dms_number": "3090", "company": "Andere BV"}),
        ("party", {"dms_number": "3001", "last_name": "Bakker"}),
        ("intervention", {"dms_number": "500121", "appointment_dms_number": "50012", "position": 3, "title": "x"}),
    ):
        put(connection, table, **values)
        connection.execute("INSERT INTO document_dirty VALUES (?, '50012')", [DEALER])
        assert refresh_documents(connection, ZONES, NOW) == 1
        seen.add(document_hash(connection))
    assert len(seen) == 5
    assert connection.execute("SELECT count(*) FROM document_dirty").fetchone() == (0,)


VALUES = {
    "BIGINT": (1, 2),
    "BOOLEAN": (False, True),
    "DATE": (date(2026, 11, 24), date(2026, 11, 25)),
    "DECIMAL(12,2)": (Decimal("1.00"), Decimal("10.00")),
    "TIMESTAMPTZ": (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
    "VARCHAR": ("", "a"),
}
PARTS = {
    "appointment": {"dms_number": "50012"},
    "car": {"dms_number": "7001", "driver_dms_number": "3001"},
    "party": {"dms_number": "3001"},
    "intervention": {"dms_number": "500121", "appointment_dms_number": "50012"},
}


@pytest.mark.parametrize("entity", PARTS)
def test_each_value_of_each_field_that_is_sent_has_a_hash_of_its_own(
    connection: duckdb.DuckDBPyConnection, entity: str
) -> None:
    """An empty text is not no text; the times are the same on the clock, before and after it is put back."""
    put_whole(connection)
    whole = {"appointment": APPOINTMENT, "car": CAR, "party": DRIVER, "intervention": {"position": 1, "title": "x"}}
    tried = [info for info in sent_fields(entity).values() if not info.key and info.name not in PARTS[entity]]
    seen, wanted = set(), 0
    for info in tried:
        for value in (*VALUES[info.duckdb_type], *([None] if info.nullable else [])):
            put(connection, entity, **(whole[entity] | PARTS[entity] | {info.name: value}))
            connection.execute("INSERT INTO document_dirty VALUES (?, '50012')", [DEALER])
            refresh_documents(connection, ZONES, NOW)
            document = project(connection).document
            seen.add((str(sorted(document.items())), document_hash(connection)))
            wanted += 1
    assert len({document for document, _ in seen}) == len({hashed for _, hashed in seen}) == len(seen)
    assert len(seen) > wanted / 2


def test_lines_in_another_order_and_texts_in_each_others_place_have_another_hash(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    put_appointment(connection)
    seen = set()
    for titles in (("a", "b"), ("b", "a"), ("ab", ""), ("", "ab"), ("a", "a"), ("b", "b")):
        put_lines(connection, "50012", [("1", 1, titles[0], "1.00"), ("2", 2, titles[1], "1.00")])
        connection.execute("INSERT INTO document_dirty VALUES (?, '50012')", [DEALER])
        refresh_documents(connection, ZONES, NOW)
        seen.add(document_hash(connection))
    assert len(seen) == 6


def test_once_open_an_appointment_stays_owed_when_it_is_billed(connection: duckdb.DuckDBPyConnection) -> None:
    put_appointment(connection, "1")
    put_appointment(connection, "2", is_billed=True)
    refresh_documents(connection, ZONES, NOW)
    put_appointment(connection, "1", is_billed=True)
    refresh_documents(connection, ZONES, NOW)
    rows = connection.execute("SELECT dms_number, is_open, is_owed FROM document ORDER BY 1").fetchall()
    assert rows == [("1", False, True), ("2", False, False)]


def test_what_is_marked_for_an_unknown_dealer_stays_marked(connection: duckdb.DuckDBPyConnection) -> None:
    put_appointment(connection, dealer_id="elsewhere")
    assert refresh_documents(connection, ZONES, NOW) == 0
    assert connection.execute("SELECT count(*) FROM document_dirty").fetchone() == (1,)


def test_an_appointment_that_left_staging_loses_its_document(connection: duckdb.DuckDBPyConnection) -> None:
    put_appointment(connection)
    refresh_documents(connection, ZONES, NOW)
    connection.execute("DELETE FROM appointment")
    connection.execute("INSERT INTO document_dirty VALUES (?, '50012')", [DEALER])
    refresh_documents(connection, ZONES, NOW)
    assert connection.execute("SELECT count(*) FROM document").fetchone() == (0,)
