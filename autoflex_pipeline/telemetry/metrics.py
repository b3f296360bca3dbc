"""Prometheus metrics of the installation, read from its stores when they are asked for."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from autoflex_pipeline.errors import StoreBusyError
from autoflex_pipeline.model import MODELS
from autoflex_pipeline.runs.status import COUNTS, dealer_status
from autoflex_pipeline.settings import Settings
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.state.alerts import alerts, count_unsent
from autoflex_pipeline.state.totals import totals
from autoflex_pipeline.warehouse import Warehouse

WAIT_SECONDS = 5.0
"""So long the warehouse is waited for; then what it said last is told once more."""

READ_EVERY = 15.0
"""Seconds: however often one asks, runs are kept from the warehouse no more often than this."""

PUBLIC_MODE = 0o644
"""Others read the text file, and nothing in it is personal."""

Family = GaugeMetricFamily | CounterMetricFamily


@dataclass(slots=True)
class Reading:
    """What was read: per dealer its status, records by entity and deliveries by result; ``at`` as the clock had it."""

    at: datetime
    status: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    records: Mapping[tuple[str, str], int] = field(default_factory=dict)
    deliveries: Mapping[tuple[str, str], int] = field(default_factory=dict)


class StoreCollector(Collector):
    """Reads the stores for each collection, the warehouse at most every ``READ_EVERY`` seconds."""

    def __init__(self, settings: Settings, state: StateStore, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._state = state
        self._clock = clock
        self._warehouse = Warehouse(settings.warehouse.path, wait_seconds=WAIT_SECONDS)
        self._reading: Reading | None = None
        self._read_at = 0.0

    def describe(self) -> list[Family]:
        """Nothing: the names are known once the stores have been read."""
        return []

    def collect(self) -> Iterator[Family]:
        """Every metric as it now stands."""
        reading = self._read()
        yield from _dealers(reading)
        yield from self._totals()
        yield from self._alerts()

    def _read(self) -> Reading:
        if self._reading is None or time.monotonic() - self._read_at >= READ_EVERY:
            try:
                self._reading = _reading(self._settings, self._warehouse, self._state, self._clock())
                self._read_at = time.monotonic()
            except StoreBusyError:
                if self._reading is None:
                    raise
        return self._reading

    def _totals(self) -> Iterator[Family]:
        with self._state.begin() as connection:
            known = totals(connection)
        known = {dealer_id: known[dealer_id] for dealer_id in self._settings.dealer_ids if dealer_id in known}
        requests = _counter("autoflex_requests", "Requests to the dealer's DMS.", "dealer")
        runs = _counter("autoflex_runs", "Runs that ended for the dealer, by result.", "dealer", "result")
        seconds = _counter("autoflex_run_seconds", "Seconds that these runs took.", "dealer")
        last = _gauge("autoflex_last_run_duration_seconds", "Seconds that the dealer's last run took.", "dealer")
        for dealer_id, row in known.items():
            requests.add_metric([dealer_id], row["requests"])
            runs.add_metric([dealer_id, "ok"], row["runs_ok"])
            runs.add_metric([dealer_id, "failed"], row["runs_failed"])
            seconds.add_metric([dealer_id], row["run_seconds"])
            last.add_metric([dealer_id], row["last_run_seconds"])
        yield from (requests, runs, seconds, last)

    def _alerts(self) -> Iterator[Family]:
        with self._state.begin() as connection:
            known = alerts(connection)
            unsent = count_unsent(connection)
        opened = _gauge(
            "autoflex_alert_open", "1 for each alert that is open.", "dealer", "kind", "subject", "severity"
        )
        for key, row in known.items():
            if row["closed_at"] is None:
                opened.add_metric([*key, row["severity"]], 1)
        left = _gauge("autoflex_alert_messages_unsent", "Messages of alerts that are still to go.")
        left.add_metric([], unsent)
        yield from (opened, left)


def registry_of(settings: Settings, state: StateStore, clock: Callable[[], datetime]) -> CollectorRegistry:
    """A registry that holds nothing but the metrics of this installation."""
    registry = CollectorRegistry()
    registry.register(StoreCollector(settings, state, clock))
    return registry


def write_textfile(path: Path, registry: CollectorRegistry) -> None:
    """Write the metrics for node_exporter's textfile collector, as a whole or not at all."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        new.write_bytes(generate_latest(registry))
        new.chmod(PUBLIC_MODE)
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def _reading(settings: Settings, warehouse: Warehouse, state: StateStore, now: datetime) -> Reading:
    status = dealer_status(settings, warehouse, state, now=now)
    known = set(settings.dealer_ids)
    with warehouse.open() as connection:
        counted = connection.execute(
            " UNION ALL ".join(
                f"SELECT dealer_id, '{entity}', count(*) FROM {entity} GROUP BY dealer_id" for entity in MODELS
            )
        ).fetchall()
        delivered = connection.execute("SELECT dealer_id, result, count(*) FROM delivery GROUP BY ALL").fetchall()
    return Reading(
        at=now,
        status=status,
        records={(dealer, entity): count for dealer, entity, count in counted if dealer in known},
        deliveries={(dealer, result): count for dealer, result, count in delivered if dealer in known},
    )


def _dealers(reading: Reading) -> Iterator[Family]:
    ok = _gauge(
        "autoflex_dealer_ok", "1 when the dealer's last run found nothing wrong and no hold is on it.", "dealer"
    )
    success = _gauge("autoflex_last_success_timestamp_seconds", "When a run last ended well for the dealer.", "dealer")
    lag = _gauge("autoflex_lag_seconds", "Seconds since a run last ended well for the dealer.", "dealer")
    held = _gauge("autoflex_appointments", "Appointments whose document has not gone, by state.", "dealer", "state")
    quarantined = _gauge("autoflex_quarantined_records", "Records in quarantine.", "dealer")
    for dealer_id, row in reading.status.items():
        ok.add_metric([dealer_id], float(row["error"] is None and row["hold"] is None))
        if row["last_success_at"] is not None:
            success.add_metric([dealer_id], row["last_success_at"].timestamp())
            lag.add_metric([dealer_id], row["lag_seconds"])
        for state in COUNTS:
            held.add_metric([dealer_id, state], row[state])
        quarantined.add_metric([dealer_id], row["quarantined"])
    records = _gauge("autoflex_records", "Records in staging, newest versions, by entity.", "dealer", "entity")
    for key, count in reading.records.items():
        records.add_metric(key, count)
    deliveries = _counter(
        "autoflex_deliveries", "Requests to Claire to take a document, by result.", "dealer", "result"
    )
    for key, count in reading.deliveries.items():
        deliveries.add_metric(key, count)
    read_at = _gauge("autoflex_read_timestamp_seconds", "When the warehouse was read for these metrics.")
    read_at.add_metric([], reading.at.timestamp())
    yield from (ok, success, lag, held, quarantined, records, deliveries, read_at)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(name, text, labels=labels)
