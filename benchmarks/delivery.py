"""(c) Delivery of 2,000 documents to the sandbox's Claire, with ledger, against a bare loop of the same requests.

Claire runs in a process of its own, 20 ms late, 16 requests at once. The figure is the ratio of the rates: at least
0.8. What is measured of ours is a whole delivery: plan, intents, sending, ledger, copies in the warehouse.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import httpx

from autoflex_pipeline.claire.client import ClaireConnections
from autoflex_pipeline.claire.delivery import deliver_dealer
from autoflex_pipeline.claire.difference import document_to_send
from autoflex_pipeline.claire.documents import projections, refresh_documents
from autoflex_pipeline.sandbox.claire.service import ClaireKey
from autoflex_pipeline.sandbox.server import running_claire
from autoflex_pipeline.settings import Settings
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.warehouse import Warehouse
from benchmarks.measure import Ratio, ratio, report, seconds_of

DEALER, LOCATION, KEY, KEY_VARIABLE = "bench", "101", "bench-key", "BENCH_CLAIRE_KEY"
DOCUMENTS, AT_ONCE, LATENCY_MS = 2_000, 16, 20
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)

STAGE = """
INSERT INTO appointment BY NAME SELECT
    'bench' AS dealer_id, (50000 + i)::VARCHAR AS dms_number, '2026-' || i AS wo_number,
    DATE '2026-11-24' AS appointment_date, TIMESTAMPTZ '2026-11-18 14:05:00+01' AS created_at,
    TIMESTAMPTZ '2026-11-24 08:30:00+01' AS scheduled_in_at, TIMESTAMPTZ '2026-11-24 17:00:00+01' AS scheduled_out_at,
    false AS is_billed, 'Klant wacht ' || i AS dms_notes, true AS car_in_shop, false AS is_internal,
    100000 + i AS dms_mileage, false AS is_canceled, (7000 + i)::VARCHAR AS car_dms_number,
    (3000 + i)::VARCHAR AS contractor_dms_number, now() AS observed_at
FROM range($documents) t(i);
INSERT INTO intervention BY NAME SELECT
    'bench' AS dealer_id, (900000 + i)::VARCHAR AS dms_number, (50000 + i // 3)::VARCHAR AS appointment_dms_number,
    i % 3 + 1 AS "position", 'Grote beurt ' || i AS title, 389.00 AS price
FROM range(3 * $documents) t(i);
INSERT INTO line_list BY NAME SELECT
    'bench' AS dealer_id, (50000 + i)::VARCHAR AS order_key,
    [(900000 + 3 * i)::VARCHAR, (900001 + 3 * i)::VARCHAR, (900002 + 3 * i)::VARCHAR] AS line_keys
FROM range($documents) t(i);
INSERT INTO car BY NAME SELECT
    'bench' AS dealer_id, (7000 + i)::VARCHAR AS dms_number, 'Volkswagen' AS make, 'Golf' AS model,
    'GH-123-J' AS registration_number, 'WVWZZZ1KZAW000001' AS vin, (3000 + i)::VARCHAR AS driver_dms_number
FROM range($documents) t(i);
INSERT INTO party BY NAME SELECT
    'bench' AS dealer_id, (3000 + i)::VARCHAR AS dms_number, 'Mevr.' AS title, 'van den Berg ' || i AS last_name,
    'Dorpsstraat' AS street, '12 bis' AS house_number, '1234 AB' AS postcode, 'Utrecht' AS place
FROM range($documents) t(i);
INSERT INTO document_dirty SELECT dealer_id, dms_number FROM appointment;
"""


def _serve(folder: str, pipe: Connection) -> None:
    with running_claire(Path(folder), [ClaireKey("bench", KEY, (LOCATION,))], latency_ms=LATENCY_MS) as server:
        pipe.send(server.url)
        pipe.recv()


def _settings(url: str) -> Settings:
    os.environ[KEY_VARIABLE] = KEY
    claire = {"base_url": f"{url}/api", "api_key_env": KEY_VARIABLE}
    claire |= {"max_concurrency": AT_ONCE, "max_requests_per_second": 0}
    dealer = {"id": DEALER, "name": "Bench", "claire_location_id": LOCATION}
    return Settings.model_validate({"claire": claire, "dealers": [dealer]})


def _staged(folder: Path) -> tuple[Warehouse, list[bytes]]:
    """A warehouse with the documents staged, and the bodies that will be sent of them."""
    warehouse = Warehouse(folder / "warehouse.duckdb")
    zones = {DEALER: "Europe/Amsterdam"}
    with warehouse.open() as connection:
        for statement in STAGE.replace("$documents", str(DOCUMENTS)).split(";\n"):
            connection.execute(statement)
        refresh_documents(connection, zones, NOW)
        keys = [(DEALER, str(50000 + number)) for number in range(DOCUMENTS)]
        found = projections(connection, keys, zones).values()
    documents = [{"location_id": LOCATION, **document_to_send(each, [])} for each in found]
    return warehouse, [json.dumps(document, ensure_ascii=False).encode() for document in documents]


def _bare(url: str, bodies: list[bytes]) -> float:
    """One client, 16 threads, nothing but the requests."""
    httpx.post(f"{url}/control/reset").raise_for_status()
    with httpx.Client(headers={"Authorization": KEY}) as client, ThreadPoolExecutor(AT_ONCE) as pool:

        def post(body: bytes) -> None:
            headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
            client.post(f"{url}/api/v1/appointments/import", content=body, headers=headers).raise_for_status()

        return seconds_of(lambda: list(pool.map(post, bodies)))


def _ours(url: str, settings: Settings, warehouse: Warehouse, folder: Path) -> float:
    """A first delivery of all of them: Claire and the state store are new, the copies in the warehouse empty."""
    httpx.post(f"{url}/control/reset").raise_for_status()
    with warehouse.open() as connection:
        connection.execute("DELETE FROM acknowledged; DELETE FROM delivery")
    state = StateStore(folder / f"{uuid.uuid4().hex}.sqlite")
    with ClaireConnections(settings) as connections:

        def deliver() -> None:
            delivery = deliver_dealer(
                settings.dealers[0], settings, warehouse, state, connections, run_id="bench", clock=lambda: NOW
            )
            assert delivery.counts["created"] == DOCUMENTS, delivery

        seconds = seconds_of(deliver)
    state.close()
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, theirs = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(target=_serve, args=(str(folder / "claire"), theirs))
        server.start()
        try:
            url = ours.recv()
            warehouse, bodies = _staged(folder)
            settings = _settings(url)
            found = ratio(lambda: _ours(url, settings, warehouse, folder), lambda: _bare(url, bodies), rounds=rounds)
        finally:
            ours.send("stop")
            server.join()
    rates = Ratio(1 / found.median, 1 / found.largest, 1 / found.smallest, found.ours_seconds, found.base_seconds)
    report(f"rate of delivering {DOCUMENTS} documents / bare requests", rates, "at least 0.8")


if __name__ == "__main__":
    main()
