"""A warehouse, a state store and a real Claire to deliver to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from autoflex_pipeline.claire.client import ClaireConnections
from autoflex_pipeline.claire.delivery import deliver_dealer
from autoflex_pipeline.claire.options import DealerDelivery, DeliveryOptions
from autoflex_pipeline.sandbox.claire.faulty import ClaireFault
from autoflex_pipeline.sandbox.claire.service import ClaireKey
from autoflex_pipeline.sandbox.server import RunningClaire, running_claire
from autoflex_pipeline.settings import ClaireSettings, DealerSettings, Settings
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.warehouse import Warehouse
from autoflex_pipeline_tests.unit.claire.stage import DEALER, NOW, ZONES, put, put_whole, refresh

LOCATION = "101"
KEY = "claire-key-PLANTED"
KEY_VARIABLE = "TEST_CLAIRE_KEY"

COPIED = {
    "appointment": ("dms_number", "n::VARCHAR AS dms_number"),
    "intervention": (
        "appointment_dms_number",
        "n::VARCHAR AS appointment_dms_number, n::VARCHAR || '-' || dms_number AS dms_number",
    ),
    "line_list": (
        "order_key",
        "n::VARCHAR AS order_key, list_transform(line_keys, lambda key: n::VARCHAR || '-' || key) AS line_keys",
    ),
}
"""By table the column that names the appointment, and what is another in each copy of it."""


@dataclass
class Bench:
    """Everything that delivery needs; ``now`` can be moved."""

    folder: Path
    claire: RunningClaire
    warehouse: Warehouse
    state: StateStore
    deadline_seconds: float = 6.0
    max_concurrency: int = 8
    dealer_changes: dict[str, Any] = field(default_factory=dict)
    location: str = LOCATION
    now: datetime = NOW
    runs: int = 0

    @property
    def dealer(self) -> DealerSettings:
        return DealerSettings(id=DEALER, name="Jansen", claire_location_id=self.location, **self.dealer_changes)

    @property
    def settings(self) -> Settings:
        claire = ClaireSettings(
            base_url=self.claire.claire_base_url,
            api_key_env=KEY_VARIABLE,
            max_requests_per_second=0,
            max_concurrency=self.max_concurrency,
            deadline_seconds=self.deadline_seconds,
        )
        return Settings(claire=claire, dealers=(self.dealer,))

    def put(self, *numbers: str, **values: Any) -> None:
        with self.warehouse.open() as connection:
            for number in numbers:
                put_whole(connection, number, **values)
        refresh(self.warehouse, self.now)

    def gone(self, number: str) -> None:
        """It is gone from the DMS, and that is confirmed."""
        with self.warehouse.open() as connection:
            put(connection, "absence", dms_number=number, confirmed_at=self.now)
        self.put(number, is_canceled=True)

    def missing(self, number: str) -> None:
        """The DMS, asked once, did not have it."""
        with self.warehouse.open() as connection:
            put(connection, "absence", dms_number=number)

    def back(self, number: str) -> None:
        """The DMS has it again."""
        with self.warehouse.open() as connection:
            connection.execute("DELETE FROM absence WHERE dms_number = ?", [number])
        self.put(number)

    def put_many(self, count: int, first: int = 1_000) -> list[str]:
        """So many appointments with lines, from number ``first`` on, in a few statements."""
        with self.warehouse.open() as connection:
            put_whole(connection, "1")
            for table, (key, changes) in COPIED.items():
                connection.execute(
                    f"INSERT INTO {table} SELECT row.* REPLACE ({changes}) FROM {table} row, range(?, ?) numbers(n) "
                    f"WHERE row.{key} = '1'",
                    [first, first + count],
                )
                connection.execute(f"DELETE FROM {table} WHERE {key} = '1'")
            connection.execute("DELETE FROM document_dirty")
            connection.execute("INSERT INTO document_dirty SELECT dealer_id, dms_number FROM appointment")
        refresh(self.warehouse, self.now)
        return [str(number) for number in range(first, first + count)]

    def deliver(self, **options: Any) -> DealerDelivery:
        self.runs += 1
        with ClaireConnections(self.settings) as connections:
            return deliver_dealer(
                self.dealer,
                self.settings,
                self.warehouse,
                self.state,
                connections,
                DeliveryOptions(**options),
                run_id=f"run-{self.runs}",
                clock=lambda: self.now,
                wait_seconds=0.3,
            )

    def faults(self, *faults: dict[str, Any]) -> None:
        self.claire.service.faults.clear()
        for fault in faults:
            self.claire.service.faults.add(ClaireFault.model_validate(fault))

    def held(self, number: str) -> dict[str, Any]:
        found = self.claire.service.store.find(LOCATION, number)
        assert found is not None, f"Claire has no {number}"
        held: dict[str, Any] = found.as_json()
        return held

    def numbers(self) -> list[str]:
        rows = self.claire.service.store.list_page([LOCATION], None, None, None, -1, 0)
        return sorted(row.as_json()["dms_nr"] for row in rows)

    def effects(self, number: str | None = None) -> list[dict[str, Any]]:
        every: list[dict[str, Any]] = self.claire.service.store.effects("import", None, 0, 100_000)
        return [effect for effect in every if number in (None, effect["dms_nr"])]

    def requests(self) -> int:
        return len(self.claire.service.store.request_log(0, 100_000))

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)


@contextmanager
def bench(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    state = StateStore(folder / "w.state.sqlite")
    with running_claire(folder / "claire", [ClaireKey("test", KEY, (LOCATION, "102", "103"))]) as claire:
        yield Bench(folder, claire, Warehouse(folder / "w.duckdb"), state)
    state.close()


__all__ = ["DEALER", "KEY", "LOCATION", "ZONES", "Bench", "bench"]
