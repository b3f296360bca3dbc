"""(d) A quiet look at 20 dealers against the bare requests: at most 1.5 times their time.

The sandbox's Autoflex runs in a process of its own. Both sides are logged in already, as a warm code server is.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import urlencode

import httpx

from autoflex_pipeline.runs.outlook import outlooks
from autoflex_pipeline.sandbox.autoflex.dealers import SandboxDealer
from autoflex_pipeline.sandbox.server import running_autoflex
from autoflex_pipeline.settings import Settings
from autoflex_pipeline.sources.autoflex_api import names
from autoflex_pipeline.sources.autoflex_api.look import look
from autoflex_pipeline.sources.connections import ApiConnections
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.state.dealers import remember
from benchmarks.measure import ratio, report, seconds_of

DEALERS = 20
OPEN_ORDERS = 300


def _order(number: int) -> dict[str, object]:
    return {
        "order_id": number, "order_number": f"2026-{number}", "order_type": 1, "order_date": "20261118T140500",
        "plan_date_from": "20261125T083000", "plan_date_to": "20261125T170000", "is_invoiced": 0,
        "notes": "Klant wacht", "is_present": 0, "is_internal": 0, "milometer": 100000 + number, "is_canceled": 0,
        "vehicle_id": 7000 + number, "relation_id": 3000 + number,
    }  # fmt: skip


def _serve(folder: str, pipe: Connection) -> None:
    dealers = [
        SandboxDealer(f"dealer-{n}", f"Dealer {n}", f"key-{n}", f"user-{n}", f"pass-{n}") for n in range(DEALERS)
    ]
    with running_autoflex(Path(folder), dealers) as server:
        for dealer in dealers:
            server.service.store.load(
                dealer.dealer_id, "order", ((str(n), _order(n)) for n in range(50001, 50001 + OPEN_ORDERS))
            )
        pipe.send(server.url)
        pipe.recv()


def _settings(url: str) -> Settings:
    for n in range(DEALERS):
        os.environ |= {f"BENCH_KEY_{n}": f"key-{n}", f"BENCH_USER_{n}": f"user-{n}", f"BENCH_PASS_{n}": f"pass-{n}"}
    dealers = [
        {
            "id": f"dealer-{n}", "name": f"Dealer {n}", "claire_location_id": str(n),
            "api": {
                "login_url": f"{url}/v2", "api_key_env": f"BENCH_KEY_{n}", "username_env": f"BENCH_USER_{n}",
                "password_env": f"BENCH_PASS_{n}", "max_requests_per_second": 0,
            },
        }
        for n in range(DEALERS)
    ]  # fmt: skip
    return Settings.model_validate({"claire": {"base_url": "http://127.0.0.1:1"}, "dealers": dealers})


def _bare(url: str) -> tuple[ThreadPoolExecutor, list[tuple[httpx.Client, str]]]:
    """One kept-alive client per dealer, logged in; and the query of the look."""
    clients = []
    fields = ",".join(names.requested_fields("order"))
    for n in range(DEALERS):
        client = httpx.Client()
        login = client.get(
            f"{url}/v2/authenticate", params={"api_key": f"key-{n}", "username": f"user-{n}", "password": f"pass-{n}"}
        ).json()
        client.headers["token"] = login["token"]
        query = urlencode({"fields": fields, "filter": "is_invoiced[eq]:0"})
        clients.append((client, f"{login['api_url']}/order?{query}"))
    return ThreadPoolExecutor(DEALERS), clients


def _read_all(client: httpx.Client, address: str) -> None:
    page, more = 1, True
    while more:
        more = client.get(f"{address}&page={page}").json()["nextpage"]
        page += 1


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    # Many: a look takes half a second, of which 20 threads and a server's share of two cores make a fifth more or less.
    parser.add_argument("--rounds", type=int, default=25)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(target=_serve, args=(folder, theirs))
        server.start()
        try:
            url = ours.recv()
            _measure(url, Path(folder), arguments.rounds)
        finally:
            ours.send("stop")
            server.join()


def _measure(url: str, folder: Path, rounds: int) -> None:
    settings = _settings(url)
    state = StateStore(folder / "state.sqlite")
    apis = ApiConnections()
    now = datetime.now(UTC)
    with state.begin() as connection:
        for dealer in settings.dealers:
            digest = look(apis.get(dealer)).digest
            remember(connection, dealer.id, look_digest=digest, due_at=now + timedelta(hours=1))
    pool, clients = _bare(url)

    def bare() -> None:
        list(pool.map(lambda each: _read_all(*each), clients))

    def quiet() -> None:
        seen = outlooks(settings, state, apis, now=now)
        assert not any(outlook.has_work for outlook in seen), seen

    bare()
    quiet()
    found = ratio(lambda: seconds_of(quiet), lambda: seconds_of(bare), rounds=rounds)
    report(f"quiet look at {DEALERS} dealers / bare requests", found, "at most 1.5")
    apis.close()
    state.close()
    pool.shutdown()


if __name__ == "__main__":
    main()
