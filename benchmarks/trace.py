"""(e) ``trace`` as a whole command on 1,000,000 appointments with history: under two seconds.

Rows are made set-based, straight into the tables of the warehouse and of the state store: ten dealers, each
appointment with an earlier version, two lines, a car, parties, a finding, a document, an acknowledgement and two
attempts to deliver.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from autoflex_pipeline.settings import load_settings
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.warehouse import Warehouse

APPOINTMENTS = 1_000_000
DEALERS = 10
LIMIT_SECONDS = 2.0

CONFIG = "\n".join(
    ["[claire]", 'base_url = "http://127.0.0.1:1/api"']
    + [
        line
        for n in range(DEALERS)
        for line in ("[[dealers]]", f'id = "dealer-{n}"', f'name = "Dealer {n}"', f'claire_location_id = "{n}"')
    ]
)


def make_installation(folder: Path, count: int) -> None:
    """A configuration, a warehouse and a state store with ``count`` appointments."""
    (folder / "autoflex.toml").write_text(CONFIG, encoding="utf-8")
    settings = load_settings(folder / "autoflex.toml")
    with Warehouse(settings.warehouse.path, memory_limit="2GB").open() as connection:
        values = {"dealers": DEALERS, "cars": max(1, count // DEALERS // 3), "count": count}
        for statement in connection.extract_statements(Path(__file__).with_suffix(".sql").read_text("utf-8")):
            connection.execute(statement, {name: values[name] for name in statement.named_parameters})
        held = json.dumps([{"document": {"dms_nr": "1", "billed": False}, "references": {}}])
        rows = connection.execute("SELECT dealer_id, dms_number, document_hash, rowid FROM document").fetchall()
    StateStore(settings.warehouse.state_path).close()
    with sqlite3.connect(settings.warehouse.state_path) as state:
        state.executemany(
            "INSERT INTO acknowledged VALUES (?, ?, ?, ?, 'New entry', ?, ?, 2, 1, 0, '2026-11-24', "
            "'2026-11-24 09:00:00.000000', ?)",
            ((d, d[7:], n, f"A-{d}-{n}", held, h, place + 1) for d, n, h, place in rows),
        )
        changes = '[{"field": "billed", "old": false, "new": true}]'
        state.executemany(
            "INSERT INTO ledger (dealer_id, location_id, dms_number, intent_number, attempted_at, result, http_status, "
            "fields_changed, run_id) VALUES (?, ?, ?, ?, '2026-11-24 09:00:00.000000', 'updated', 200, ?, 'run')",
            ((d, d[7:], n, attempt, changes) for d, n, _, _ in rows for attempt in (1, 2)),
        )
        state.executemany(
            "INSERT INTO intent (dealer_id, location_id, dms_number, intent_number, idempotency_key, document_hash, "
            "fields_changed, created_at, run_id, answered_at, result) VALUES (?, ?, ?, 1, ?, ?, ?, "
            "'2026-11-24 09:00:00.000000', 'run', '2026-11-24 09:00:00.000000', 'created')",
            ((d, d[7:], n, f"key-{d}-{n}", h, changes) for d, n, h, _ in rows),
        )


def one_raw_record(folder: Path, number: str) -> tuple[str, int]:
    """The hash of an order's first raw record, and how many versions its appointment has: history, or the run stops."""
    settings = load_settings(folder / "autoflex.toml")
    with Warehouse(settings.warehouse.path).open() as connection:
        key = {"dealer": "dealer-3", "number": number}
        (raw_hash,) = connection.execute(
            "SELECT min_by(raw_hash, seq) FROM raw_record WHERE dealer_id = $dealer AND entity = 'order' "
            "AND record_key = $number",
            key,
        ).fetchall()[0]
        ((versions,),) = connection.execute(
            "SELECT (SELECT count(*) FROM appointment WHERE dealer_id = $dealer AND dms_number = $number) "
            "+ (SELECT count(*) FROM appointment_past WHERE dealer_id = $dealer AND dms_number = $number)",
            key,
        ).fetchall()
    if versions < 2:
        raise RuntimeError("the appointments of this benchmark have no history")
    return raw_hash, versions


def timed(folder: Path, *arguments: str) -> float:
    """Seconds of the whole command, from its start to its end."""
    began = time.perf_counter()
    command = [
        str(Path(sys.executable).with_name("autoflex-pipeline")),
        "trace",
        "--config",
        str(folder / "autoflex.toml"),
    ]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr)
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--appointments", type=int, default=APPOINTMENTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="keep the installation here, and use it again")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp())
    if not (folder / "autoflex.toml").exists():
        folder.mkdir(parents=True, exist_ok=True)
        make_installation(folder, arguments.appointments)
    number = str(50_000 + arguments.appointments // DEALERS // 2)
    raw_hash, versions = one_raw_record(folder, number)
    print(f"{arguments.appointments:,} appointments of {versions} versions each", flush=True)
    questions = {
        "by WO number": ("--dealer", "dealer-3", f"2026-{number}", "--json"),
        "by DMS number": ("--dealer", "dealer-3", number),
        "forward from a raw record": ("--raw", raw_hash[:12]),
        "by plate": ("--dealer", "dealer-3", f"gh {7000 + 12} j", "--json"),
        "nothing found": ("--dealer", "dealer-3", "9999-99999"),
    }
    well = True
    for name, question in questions.items():
        timed(folder, *question)
        seconds = statistics.median(timed(folder, *question) for _ in range(arguments.rounds))
        fits = seconds < LIMIT_SECONDS
        well = well and fits
        verdict = "ok" if fits else "MISSED"
        print(
            f"trace {name}, {arguments.appointments:,} appointments: {seconds:.2f} s "
            f"(under {LIMIT_SECONDS:g} s): {verdict}",
            flush=True,
        )
    if arguments.folder is None:
        shutil.rmtree(folder)
    if not well and arguments.appointments >= APPOINTMENTS:
        sys.exit(1)


if __name__ == "__main__":
    main()
