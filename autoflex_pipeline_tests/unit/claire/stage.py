"""Staging rows for tests, written straight into a warehouse."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb

from autoflex_pipeline.claire.documents import refresh_documents
from autoflex_pipeline.warehouse import Warehouse

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
DEALER = "jansen"
ZONES = {DEALER: "Europe/Amsterdam"}

APPOINTMENT = {
    "wo_number": "2026-00417",
    "appointment_date": date(2026, 11, 24),
    "created_at": datetime(2026, 11, 18, 13, 5, tzinfo=UTC),
    "scheduled_in_at": datetime(2026, 11, 24, 7, 30, tzinfo=UTC),
    "scheduled_out_at": datetime(2026, 11, 24, 16, 0, tzinfo=UTC),
    "is_billed": False,
    "dms_notes": 'Klant wacht\n"buiten" é €',
    "car_in_shop": True,
    "is_internal": False,
    "dms_mileage": 123456,
    "is_canceled": False,
    "car_dms_number": "7001",
    "contractor_dms_number": "3090",
}
CAR = {
    "make": "Volkswagen",
    "model": "Golf",
    "registration_number": "GH-123-J",
    "vin": "WVWZZZ1KZAW000001",
    "engine_number": "CAX123456",
    "driver_dms_number": "3001",
}
DRIVER = {"title": "Mevr.", "last_name": "van den Berg", "street": "Dorpsstraat", "house_number": "12 bis"}


def put(connection: duckdb.DuckDBPyConnection, table: str, **values: Any) -> None:
    """Write one row, in place of the one with the same key."""
    if "dms_number" in values:
        connection.execute(
            f"DELETE FROM {table} WHERE dealer_id = ? AND dms_number = ?",
            [values.get("dealer_id", DEALER), values["dms_number"]],
        )
    row = {"dealer_id": DEALER, "raw_seq": 1, "run_id": "r", "observed_at": NOW} | values
    if table in ("line_list", "sighting", "quarantine", "nonexistent", "absence"):
        for name in ("raw_seq", "run_id", "observed_at"):
            row.pop(name) if name not in values else None
    connection.execute(
        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values())
    )


def put_lines(connection: duckdb.DuckDBPyConnection, order: str, lines: list[tuple[str, int, str, str | None]]) -> None:
    """The lines of an order, in the order given: number, position, title, price."""
    connection.execute("DELETE FROM line_list WHERE order_key = ?", [order])
    put(connection, "line_list", order_key=order, line_keys=[line[0] for line in lines])
    for number, position, title, price in lines:
        put(
            connection,
            "intervention",
            dms_number=number,
            appointment_dms_number=order,
            position=position,
            title=title,
            price=None if price is None else Decimal(price),
        )


def put_appointment(connection: duckdb.DuckDBPyConnection, number: str = "50012", **values: Any) -> None:
    put(connection, "appointment", dms_number=number, **(APPOINTMENT | values))
    connection.execute("INSERT INTO document_dirty VALUES (?, ?)", [values.get("dealer_id", DEALER), number])


def put_whole(connection: duckdb.DuckDBPyConnection, number: str = "50012", **values: Any) -> None:
    """An appointment with lines, car, driver and contractor."""
    put(connection, "car", dms_number="7001", **CAR)
    put(connection, "party", dms_number="3001", **DRIVER)
    put(connection, "party", dms_number="3090", company="Lease BV")
    put_lines(connection, number, [(f"{number}1", 1, "Grote beurt", "389.00"), (f"{number}2", 2, "APK", "49.50")])
    put_appointment(connection, number, **values)


def refresh(warehouse: Warehouse, now: datetime = NOW) -> int:
    with warehouse.open() as connection:
        return refresh_documents(connection, ZONES, now)
