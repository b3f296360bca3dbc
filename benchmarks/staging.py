"""Benchmark of staging, against DuckDB's own CREATE TABLE AS of the same typed rows into a file.

(a) a first load: 200,000 orders, 600,000 lines, 100,000 cars and 100,000 parties already in raw, 2 % of them dirty, to
typed, repaired and validated rows with their documents; (b) on top of that an empty batch, and one of 200 orders.
Each is a ratio of two timings in one sitting, alternating, in processes of their own (which gives the peak memory).

    python -m benchmarks.staging [--scale 0.05] [--repeat 3]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from autoflex_pipeline.claire.documents import refresh_documents
from autoflex_pipeline.model import MODELS
from autoflex_pipeline.staging import StagingContext, stage_entities
from autoflex_pipeline.warehouse import Warehouse

DEALERS = {f"garage-{number}": "Europe/Amsterdam" for number in range(4)}
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ORDERS = 200_000
CHANGED = 200
LIMITS = {"first load": 8.0, "empty batch": 0.25, "200 changed": 0.25}
MEMORY_LIMIT_MIB = 1536
SQL = Path(__file__).with_name("staging.sql")


def context(run_id: str) -> StagingContext:
    """What staging is told; fixed, so that every sitting does the same."""
    return StagingContext(DEALERS, dict.fromkeys(DEALERS, 24.0), NOW, run_id)


def statements(name: str) -> str:
    """A named part of staging.sql."""
    return SQL.read_text("utf-8").split(f"-- name: {name}\n")[1].split("-- name: ")[0]


def make_raw(path: Path, orders: int) -> None:
    """A warehouse with raw records only."""
    with Warehouse(path).open() as connection:
        connection.execute(f"SET VARIABLE orders = {orders}")
        connection.execute(statements("raw"))


def change_orders(path: Path) -> None:
    """Put CHANGED orders into raw again, with other content."""
    with Warehouse(path).open() as connection:
        connection.execute(f"SET VARIABLE changed = {CHANGED}")
        connection.execute(statements("changed"))


def copy_warehouse(source: Path, target: Path) -> None:
    """The file with its log: what was last committed may stand only there."""
    shutil.copy(source, target)
    log = source.with_name(source.name + ".wal")
    if log.exists():
        shutil.copy(log, target.with_name(target.name + ".wal"))


def create_tables(source: Path, target: Path) -> None:
    """The base: the typed rows of ``source`` into a new file."""
    connection = duckdb.connect(str(target))
    connection.execute(f"ATTACH '{source}' AS source (READ_ONLY)")
    connection.begin()
    for entity in MODELS:
        connection.execute(f"CREATE TABLE {entity} AS SELECT * FROM source.{entity}")
    connection.commit()
    connection.close()


def stage(warehouse: Warehouse, run_id: str) -> dict[str, float]:
    """Stage everything and compare the documents in one transaction, as a run does; seconds by part."""
    began = time.perf_counter()
    with warehouse.open() as connection:
        opened = time.perf_counter()
        stage_entities(connection, context(run_id))
        staged = time.perf_counter()
        refresh_documents(connection, DEALERS, NOW)
        compared = time.perf_counter()
    took = {"open": opened - began, "staging": staged - opened, "documents": compared - staged}
    return took | {"commit": time.perf_counter() - compared}


def warm_up() -> None:
    """Stage a few records elsewhere: pandera takes most of a second for the first frame of a process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "few.duckdb"
        make_raw(path, 40)
        stage(Warehouse(path), "warm up")


def worker(task: str, source: Path, target: Path) -> None:
    """Run one task in this process and print its seconds and its peak memory as JSON."""
    warm_up()
    warehouse = Warehouse(target)
    if task != "base":
        # A run has opened it before, to store what it read: DuckDB is up and the log has been read.
        with warehouse.open():
            pass
    began = time.perf_counter()
    steps: dict[str, float] = {}
    if task == "base":
        create_tables(source, target)
    else:
        steps = stage(warehouse, task)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "peak_mib": peak / 1024, "steps": steps}))


def measured(task: str, source: Path, target: Path) -> dict[str, object]:
    """Run ``worker`` in a new process."""
    command = [sys.executable, "-m", "benchmarks.staging", "--task", task, str(source), str(target)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def bench(scale: float, repeat: int) -> bool:
    """Print each ratio with its limit; False when one is missed."""
    with tempfile.TemporaryDirectory() as folder:
        raw, staged, changed = (Path(folder) / f"{name}.duckdb" for name in ("raw", "staged", "changed"))
        # Not in this process: the peak memory of a child begins with its parent's.
        maker = multiprocessing.get_context("spawn").Process(target=make_raw, args=(raw, round(ORDERS * scale)))
        maker.start()
        maker.join()
        copy_warehouse(raw, staged)
        measured("first load", raw, staged)
        copy_warehouse(staged, changed)
        change_orders(changed)
        starts = {"first load": raw, "empty batch": staged, "200 changed": changed}
        results: dict[str, list[dict[str, object]]] = {"base": [], **{task: [] for task in starts}}
        for _ in range(repeat):
            for task in results:
                target = Path(folder) / "target.duckdb"
                if task in starts:
                    copy_warehouse(starts[task], target)
                results[task].append(measured(task, staged, target))
                for leftover in Path(folder).glob("target.*"):
                    leftover.unlink() if leftover.is_file() else shutil.rmtree(leftover)
    return report(results)


def report(results: dict[str, list[dict[str, object]]]) -> bool:
    """Print the medians; False when a limit is missed."""
    base = statistics.median(float(str(result["seconds"])) for result in results["base"])
    print(f"create table as: {base:.2f} s")
    well = True
    for task, limit in LIMITS.items():
        seconds = statistics.median(float(str(result["seconds"])) for result in results[task])
        peak = max(float(str(result["peak_mib"])) for result in results[task])
        fits = seconds / base <= limit and peak < MEMORY_LIMIT_MIB
        well = well and fits
        steps = results[task][-1]["steps"]
        assert isinstance(steps, dict)
        shown = ", ".join(f"{name} {seconds:.2f}" for name, seconds in steps.items())
        verdict = "ok" if fits else "MISSED"
        print(f"{task}: {seconds:.2f} s, {seconds / base:.2f} x (at most {limit} x), peak {peak:.0f} MiB: {verdict}")
        print(f"    {shown}")
    return well


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="1 is 200,000 orders")
    parser.add_argument("--repeat", type=int, default=3, help="how often each is timed; the median counts")
    parser.add_argument("--task", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        task, source, target = arguments.task
        worker(task, Path(source), Path(target))
    elif not bench(arguments.scale, arguments.repeat) and arguments.scale >= 1:
        sys.exit(1)


if __name__ == "__main__":
    main()
