"""Each call that DuckDB and SQLite make to the disk fails, or is the last before a kill: what was committed stays.

The smallest use of the stores: they are made, and a few transactions write two rows each, one of them a large text.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing import reduction
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from autoflex_pipeline.errors import PipelineError
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.state.marks import mark, set_mark
from autoflex_pipeline.warehouse import Warehouse
from autoflex_pipeline_tests.faults.system_calls import KILL, Call, Judge, can_watch, install

EVERY = {"names": 3, "all": 1}.get(os.environ.get("CRASH", "few"), 9)
"""Each so many-th call is tried."""
MOST = 0.9
"""The share of the calls meant that must come about: a process need not make as many as the one before."""
TRANSACTIONS = 4
LARGE = "regel " * 2_000

pytestmark = pytest.mark.skipif(can_watch() is not None, reason=f"NOT RUN: {can_watch()}")


def write_warehouse(folder: Path, told: Callable[[int], None]) -> None:
    warehouse = Warehouse(folder / "warehouse.duckdb")
    for number in range(TRANSACTIONS):
        with warehouse.open() as connection:
            row = {"number": str(number), "text": LARGE}
            connection.execute("INSERT INTO restage VALUES ('een', $number, $text), ('twee', $number, $text)", row)
            if number == 2:
                connection.commit()
                connection.execute("CHECKPOINT")
                connection.begin()
        told(number)


def read_warehouse(folder: Path) -> list[int]:
    with Warehouse(folder / "warehouse.duckdb").open() as connection:
        return _whole(set(connection.execute("SELECT dealer_id, entity FROM restage").fetchall()))


def write_state(folder: Path, told: Callable[[int], None]) -> None:
    state = StateStore(folder / "state.sqlite")
    for number in range(TRANSACTIONS):
        with state.begin() as connection:
            for name in ("een", "twee"):
                set_mark(connection, f"{name} {number}", LARGE)
        told(number)
    state.close()


def read_state(folder: Path) -> list[int]:
    state = StateStore(folder / "state.sqlite")
    with state.begin() as connection:
        found = {
            (name, str(number))
            for name in ("een", "twee")
            for number in range(TRANSACTIONS)
            if mark(connection, f"{name} {number}")
        }
    state.close()
    return _whole(found)


def _whole(found: set[tuple[str, str]]) -> list[int]:
    """The transactions that are there; each has both its rows or none."""
    numbers = {name: {int(number) for each, number in found if each == name} for name in ("een", "twee")}
    assert numbers["een"] == numbers["twee"]
    return sorted(numbers["een"])


STORES = {"warehouse": (write_warehouse, read_warehouse), "state": (write_state, read_state)}


def _child(name: str, folder: Path, pipe: Connection) -> None:
    listener = install()
    reduction.send_handle(pipe, listener, os.getpid())
    os.close(listener)
    try:
        STORES[name][0](folder, pipe.send)
    except PipelineError as error:
        pipe.send(str(error))
    except Exception as error:
        pipe.send(f"no clear line: {type(error).__name__}: {error}")


def crash(name: str, folder: Path, at: int, verdict: int) -> tuple[list[int], list[str], list[Call]]:
    """A process that writes to the store, with its N-th call judged so; from a full disk on, all later ones too.

    Gives the transactions that it was told are committed, what else it was told, and the calls it made.
    """
    calls: list[Call] = []

    def decide(call: Call) -> int:
        calls.append(call)
        is_it = len(calls) >= at if verdict == errno.ENOSPC else len(calls) == at
        takes_room = call.name not in ("unlink", "unlinkat", "ftruncate", "fsync", "fdatasync")
        return verdict if at and is_it and (verdict != errno.ENOSPC or takes_room) else 0

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ours, theirs = context.Pipe(duplex=True)
    process = context.Process(target=_child, args=(name, folder, theirs))
    process.start()
    theirs.close()
    judge = Judge(reduction.recv_handle(ours), process.pid or 0, str(folder), decide)
    judge.start()
    committed, told = [], []
    with ours:
        try:
            while ours.poll(60):
                word = ours.recv()
                (committed if isinstance(word, int) else told).append(word)
        except (EOFError, ConnectionResetError):
            pass
    process.join(60)
    judge.join(60)
    return committed, told, calls


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("verdict", [KILL, errno.ENOSPC, errno.EIO], ids=["kill", "full disk", "I/O error"])
@pytest.mark.parametrize("name", STORES)
def test_whichever_call_to_the_disk_fails_what_was_committed_stays(tmp_path: Path, name: str, verdict: int) -> None:
    _, read = STORES[name]
    committed, told, calls = crash(name, tmp_path / "0", 0, verdict)
    assert (committed, told) == (list(range(TRANSACTIONS)), [])
    tried, met = range(1, len(calls) + 1, EVERY), 0
    wrong: list[str] = []
    for at in tried:
        folder = tmp_path / str(at)
        committed, told, made = crash(name, folder, at, verdict)
        last = made[at - 1] if len(made) >= at else None
        met += last is not None
        wrong += [f"call {at}, {last}: {line}" for line in told if line.startswith("no clear line") or "\n" in line]
        try:
            there = read(folder)
        except PipelineError as error:
            wrong.append(f"call {at}, {last}: what it left is not read: {error}")
            continue
        assert set(there) >= set(committed), (at, last, told)
        assert len(there) <= len(committed) + 1, (at, last, told)  # the one that was under way may be there
    print(f"TRIED {name}: {met} of {len(calls)} calls, each {EVERY}.", flush=True)
    assert met >= MOST * len(tried), f"of {len(tried)} calls meant, the process made {met}"
    assert not wrong, "\n".join(wrong)
