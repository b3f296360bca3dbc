"""(f) The whole command ``sync``, a first one of 500 open orders and a quiet one: under 30 s and under 10 s.

The sandbox's Autoflex and Claire run in a process of their own; the rate limits are off. Python's start, and that of
Dagster, count.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from autoflex_pipeline.sandbox.autoflex.dealers import SandboxDealer
from autoflex_pipeline.sandbox.claire.service import ClaireKey, Location
from autoflex_pipeline.sandbox.generator import generate_dealer
from autoflex_pipeline.sandbox.server import running_autoflex, running_claire

OPEN_ORDERS = 500
LIMITS = {"first": 30.0, "quiet": 10.0}
DEALER = SandboxDealer("bench", "Bench", "key", "user", "pass")
CONFIG = """
[warehouse]
path = "{folder}/warehouse.duckdb"
analytics_path = "{folder}/analytics.duckdb"
[claire]
base_url = "{claire}/api"
max_requests_per_second = 0
[[dealers]]
id = "bench"
name = "Bench"
claire_location_id = "1"
[dealers.api]
login_url = "{autoflex}/v2"
max_requests_per_second = 0
api_key_env = "BENCH_KEY"
username_env = "BENCH_USER"
password_env = "BENCH_PASS"
"""
SECRETS = {
    "BENCH_KEY": "key", "BENCH_USER": "user", "BENCH_PASS": "pass", "CLAIRE_API_KEY": "claire",
    "AUTOFLEX_PSEUDONYM_KEY": "a key of the benchmarks",
}  # fmt: skip


def serve(folder: str, pipe: Connection) -> None:
    """Both vendors, with a dealer's orders, until told to end."""
    places = [Location("1", "bench")]
    with (
        running_autoflex(Path(folder) / "autoflex", [DEALER]) as autoflex,
        running_claire(Path(folder) / "claire", [ClaireKey("bench", "claire", ("1",))], locations=places) as claire,
    ):
        data = generate_dealer(11, "bench", date(2026, 11, 24), 1, open_orders=OPEN_ORDERS, dirty=0.02)
        for name, key in (("order", "order_id"), ("order_line", "order_line_id"), ("vehicle", "vehicle_id"),
                          ("relation", "relation_id")):  # fmt: skip
            rows = ((str(row[key]), row) for row in data.rows(name) if row[key] is not None)
            autoflex.service.store.load("bench", name, rows)
        pipe.send((autoflex.url, claire.url))
        pipe.recv()


def sync(config: Path) -> tuple[float, dict[str, Any]]:
    """One command: its seconds and the dealer's part of its summary."""
    command = [sys.executable, "-m", "autoflex_pipeline", "sync", "--json", "--config", str(config)]
    began = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **SECRETS})
    return time.perf_counter() - began, dict(json.loads(done.stdout)["dealers"]["bench"]["delivery"])


def measured(folder: Path) -> dict[str, float]:
    """Seconds of a first command in a new folder, and of one that finds nothing new."""
    folder.mkdir()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(str(folder), theirs))
    server.start()
    try:
        autoflex, claire = ours.recv()
        config = folder / "autoflex.toml"
        config.write_text(CONFIG.format(folder=folder, autoflex=autoflex, claire=claire), encoding="utf-8")
        first, counts = sync(config)
        assert counts["created"] > 0.9 * OPEN_ORDERS, counts
        quiet, counts = sync(config)
        assert counts["created"] == counts["updated"] == 0, counts
    finally:
        ours.send("stop")
        server.join()
    return {"first": first, "quiet": quiet}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3, help="how often; the median counts")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = [measured(Path(folder) / str(number)) for number in range(arguments.repeat)]
    well = True
    for name, limit in LIMITS.items():
        seconds = statistics.median(each[name] for each in found)
        well = well and seconds < limit
        verdict = "ok" if seconds < limit else "MISSED"
        print(f"{name} sync of {OPEN_ORDERS} open orders: {seconds:.1f} s (under {limit:.0f} s): {verdict}")
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
