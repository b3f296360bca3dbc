from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, inspect, text

from autoflex_pipeline.errors import DiskError, StoreBusyError
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.state.dealers import dealer_row, remember
from autoflex_pipeline.state.store import SCHEMA_VERSION, StateDamagedError, StateVersionError, metadata


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "warehouse.state.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[StateStore]:
    store = StateStore(path, wait_seconds=5)
    yield store
    store.close()


class SilentlyFailing:
    """SQLite over a disk that fails at the first page: it says so only by not taking the mode."""

    def __init__(self, path: Path) -> None:
        assert path.exists()

    def execute(self, statement: str) -> SilentlyFailing:
        assert statement == "PRAGMA journal_mode=WAL"
        return self

    def fetchone(self) -> tuple[str]:
        return ("delete",)

    def close(self) -> None:
        pass


def test_a_first_start_on_a_failing_disk_leaves_no_store(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by the crashes: it left an empty one, which every later start called damaged."""
    with monkeypatch.context() as failing:
        failing.setattr(sqlite3, "connect", SilentlyFailing)
        with pytest.raises(DiskError, match="the disk fails"):
            StateStore(path)
    assert list(path.parent.iterdir()) == []
    StateStore(path).close()


def run_of(store: StateStore, dealer_id: str = "d") -> str | None:
    with store.begin() as connection:
        run: str | None = dealer_row(connection, dealer_id)["last_run_id"]
        return run


def remember_and_fail(store: StateStore, error: BaseException) -> None:
    with store.begin() as connection:
        remember(connection, "d", last_run_id="undone")
        raise error


def test_what_was_committed_is_there_for_another_process(store: StateStore, path: Path) -> None:
    with store.begin() as connection:
        remember(connection, "d", last_run_id="run-1")
    program = (
        "import sys; from pathlib import Path; from autoflex_pipeline.state import StateStore\n"
        "from autoflex_pipeline.state.dealers import dealer_row\n"
        "store = StateStore(Path(sys.argv[1]))\n"
        "with store.begin() as connection: print(dealer_row(connection, 'd')['last_run_id'])\n"
        "store.close()"
    )
    answer = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert answer.stdout == "run-1\n"


@pytest.mark.parametrize("error", [ValueError("stop"), KeyboardInterrupt()])
def test_an_exception_undoes_everything_and_frees_the_store(store: StateStore, error: BaseException) -> None:
    with pytest.raises(type(error)):
        remember_and_fail(store, error)
    assert run_of(store) is None


def test_a_commit_survives_the_kill_that_follows_it_and_an_open_transaction_does_not(path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from autoflex_pipeline.state import StateStore\n"
        "from autoflex_pipeline.state.dealers import remember\n"
        "store = StateStore(Path(sys.argv[1]))\n"
        "with store.begin() as connection: remember(connection, 'committed', last_run_id='run-1')\n"
        "with store.begin() as connection:\n"
        "    remember(connection, 'open', last_run_id='run-2')\n"
        "    os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == 9
    store = StateStore(path, wait_seconds=1)
    assert (run_of(store, "committed"), run_of(store, "open")) == ("run-1", None)
    store.close()


def test_commits_are_durable_and_readers_do_not_block_writers(store: StateStore) -> None:
    with store.begin() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2, "FULL"


def test_threads_take_turns_and_lose_no_update(store: StateStore) -> None:
    def count_up(connection: Connection) -> None:
        known = dealer_row(connection, "d")["counts"] or {"n": 0}
        remember(connection, "d", counts={"n": known["n"] + 1})

    def work() -> None:
        for _ in range(5):
            with store.begin() as connection:
                count_up(connection)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with store.begin() as connection:
        assert dealer_row(connection, "d")["counts"] == {"n": 20}


def test_waiting_for_another_writer_is_bounded_and_says_so(store: StateStore, path: Path) -> None:
    impatient = StateStore(path, wait_seconds=0.1)
    with store.begin(), pytest.raises(StoreBusyError, match=r"warehouse\.state\.sqlite"):
        run_of(impatient)
    assert run_of(impatient) is None
    impatient.close()


def test_however_many_wait_at_once_each_waits_for_the_store_alone(store: StateStore, path: Path) -> None:
    """Regression: of more than 15 that waited the others got an error of the pool's, after half of their time."""
    many = 24
    patient = StateStore(path, wait_seconds=60)
    waiting = threading.Barrier(many + 1)
    runs: list[str | None] = []

    def all_have_one(*_: object) -> None:
        waiting.wait(30)

    event.listen(patient.engine, "checkout", all_have_one)
    threads = [threading.Thread(target=lambda: runs.append(run_of(patient))) for _ in range(many)]
    with store.begin() as connection:
        remember(connection, "d", last_run_id="run-1")
        for thread in threads:
            thread.start()
        waiting.wait(30)
    for thread in threads:
        thread.join(60)
    patient.close()
    assert runs == ["run-1"] * many, "each had a connection while the store was held"


def test_a_store_of_a_newer_version_is_refused(store: StateStore, path: Path) -> None:
    with store.begin() as connection:
        connection.execute(
            text("INSERT INTO schema_version (version, applied_at) VALUES (:version, 'later')"),
            {"version": SCHEMA_VERSION + 1},
        )
    message = f"has schema version {SCHEMA_VERSION + 1}, this program knows {SCHEMA_VERSION}.*upgrade this program"
    with pytest.raises(StateVersionError, match=message):
        StateStore(path)


def test_opening_again_changes_nothing(store: StateStore, path: Path) -> None:
    with store.begin() as connection:
        remember(connection, "d", last_run_id="run-1")
    again = StateStore(path)
    assert run_of(again) == "run-1"
    with again.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM schema_version")).scalar_one() == SCHEMA_VERSION
    again.close()


def test_every_table_and_column_is_there_and_explained(store: StateStore) -> None:
    assert set(inspect(store.engine).get_table_names()) == set(metadata.tables)
    columns = [column for table in metadata.tables.values() for column in table.columns]
    assert [table.name for table in metadata.tables.values() if not table.comment] == []
    assert [str(column) for column in columns if not column.comment] == []


def test_nobody_else_can_read_the_store_or_its_log(path: Path) -> None:
    before = os.umask(0o022)
    try:
        store = StateStore(path)
        with store.begin() as connection:
            remember(connection, "d", last_run_id="run-1")
            modes = {file.name: oct(stat.S_IMODE(file.stat().st_mode)) for file in path.parent.iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert f"{path.name}-wal" in modes
    assert set(modes.values()) == {"0o600"}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_moments_come_back_as_the_same_moment_in_utc(store: StateStore) -> None:
    moment = datetime(2026, 10, 25, 2, 30, tzinfo=timezone(timedelta(hours=2)))
    with store.begin() as connection:
        remember(connection, "d", last_success_at=moment)
        back = dealer_row(connection, "d")["last_success_at"]
    assert back == moment
    assert back.tzinfo is UTC


def test_what_is_not_named_is_kept_and_other_dealers_are_not_touched(store: StateStore) -> None:
    with store.begin() as connection:
        remember(connection, "d", last_run_id="run-1", error="broke")
        remember(connection, "e", last_run_id="run-2")
        remember(connection, "d", error=None)
        assert dealer_row(connection, "d")["last_run_id"] == "run-1"
        assert dealer_row(connection, "d")["error"] is None
        assert dealer_row(connection, "e")["last_run_id"] == "run-2"


def test_a_dealer_never_seen_has_nothing_remembered(store: StateStore) -> None:
    with store.begin() as connection:
        row = dealer_row(connection, "new")
    assert row.pop("dealer_id") == "new"
    assert set(row.values()) == {None}


def overwritten(path: Path, start: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\x5a" * length)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "emptied": lambda path: os.truncate(path, 0),
    "cut off": lambda path: os.truncate(path, path.stat().st_size // 2),
    "header overwritten": lambda path: overwritten(path, 0, 100),
    "first table overwritten": lambda path: overwritten(path, 100, 3996),
    "another file": lambda path: path.write_bytes(b"no database" * 5000),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_is_said_to_be_damaged_in_one_line(store: StateStore, path: Path, damage: str) -> None:
    store.close()
    DAMAGES[damage](path)
    with pytest.raises(StateDamagedError) as caught:
        run_of(StateStore(path))
    assert str(caught.value).startswith(f"the state store {path} is damaged (")
    assert str(caught.value).endswith("put the last good copy back with `autoflex-pipeline restore`")
    assert "\n" not in str(caught.value)


def test_a_process_follows_the_file_when_a_restored_one_takes_its_place(store: StateStore, path: Path) -> None:
    other = StateStore(path.with_name("other.sqlite"))
    with other.begin() as connection:
        remember(connection, "d", last_run_id="restored")
    other.close()
    assert run_of(store) is None
    for log in ("-wal", "-shm"):
        path.with_name(path.name + log).rename(path.with_name("damaged" + log))
    path.with_name("other.sqlite").replace(path)
    assert run_of(store) == "restored"


def test_an_error_tells_nothing_of_what_was_to_be_written(store: StateStore) -> None:
    with pytest.raises(Exception, match="no such table") as caught, store.begin() as connection:
        connection.execute(text("INSERT INTO nowhere VALUES (:document)"), {"document": "mevrouw van den Berg"})
    assert "Berg" not in str(caught.value)
