from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from autoflex_pipeline.errors import StoreBusyError
from autoflex_pipeline.warehouse import Warehouse
from autoflex_pipeline.warehouse.connection import WarehouseDamagedError

HOLDER = """
import sys
from pathlib import Path
from autoflex_pipeline.warehouse import Warehouse

with Warehouse(Path(sys.argv[1])).open() as connection:
    connection.execute("INSERT INTO restage VALUES ('d', 'order', 'from the other process')")
    print("inside", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "warehouse.duckdb"


def keys(warehouse: Warehouse) -> list[str]:
    with warehouse.open() as connection:
        return [row[0] for row in connection.execute("SELECT record_key FROM restage ORDER BY 1").fetchall()]


def add(warehouse: Warehouse, key: str) -> None:
    with warehouse.open() as connection:
        connection.execute("INSERT INTO restage VALUES ('d', 'order', ?)", [key])


def change_and_fail(warehouse: Warehouse, error: BaseException | None = None, statement: str = "SELECT 1") -> None:
    with warehouse.open() as connection:
        connection.execute("INSERT INTO restage VALUES ('d', 'order', 'undone')")
        connection.execute("DROP TABLE absence")
        connection.execute(statement)
        if error:
            raise error


def test_what_was_written_is_there_for_the_next_user(path: Path) -> None:
    add(Warehouse(path), "1")
    assert keys(Warehouse(path)) == ["1"]


def test_a_new_file_is_in_the_format_that_is_quick_to_open_and_one_in_the_older_format_stays_usable(path: Path) -> None:
    older = path.with_name("older.duckdb")
    older.parent.mkdir()
    duckdb.connect(str(older)).close()
    for file, version in ((path, "v1.2.0+"), (older, "v1.0.0+")):
        add(Warehouse(file), "1")
        with Warehouse(file).open() as connection:
            tags = connection.execute(
                "SELECT tags FROM duckdb_databases() WHERE database_name = 'warehouse'"
            ).fetchone()
            assert tags == ({"storage_version": version},)
        assert keys(Warehouse(file)) == ["1"]


@pytest.mark.parametrize("error", [ValueError("stop"), KeyboardInterrupt(), SystemExit(1)])
def test_an_exception_undoes_everything_and_frees_the_file(path: Path, error: BaseException) -> None:
    warehouse = Warehouse(path)
    add(warehouse, "before")
    with pytest.raises(type(error)):
        change_and_fail(warehouse, error)
    assert keys(Warehouse(path, wait_seconds=0)) == ["before"]
    with warehouse.open() as connection:
        assert connection.execute("SELECT count(*) FROM absence").fetchone() == (0,)


def test_a_failure_in_the_very_first_use_leaves_a_usable_file(path: Path) -> None:
    warehouse = Warehouse(path)
    with pytest.raises(ValueError, match="stop"), warehouse.open():
        raise ValueError("stop")
    assert keys(warehouse) == []


def test_a_failing_statement_undoes_what_went_before_it(path: Path) -> None:
    warehouse = Warehouse(path)
    with pytest.raises(duckdb.CatalogException):
        change_and_fail(warehouse, statement="INSERT INTO there_is_no_such_table VALUES (1)")
    assert keys(warehouse) == []
    with warehouse.open() as connection:
        assert connection.execute("SELECT count(*) FROM absence").fetchone() == (0,)


@contextmanager
def held_by_another_process(path: Path) -> Iterator[Callable[[], None]]:
    """Another process is inside ``open()``; the value lets it go on and end."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "inside\n"

        def let_go() -> None:
            assert process.stdin is not None
            process.stdin.close()

        try:
            yield let_go
        finally:
            process.kill()


def test_another_process_is_waited_for(path: Path) -> None:
    with held_by_another_process(path) as let_go:
        ours: list[list[str]] = []
        waiter = threading.Thread(target=lambda: ours.append(keys(Warehouse(path, wait_seconds=30))))
        waiter.start()
        let_go()
        waiter.join(60)
    assert ours == [["from the other process"]]


def test_waiting_is_bounded_and_the_error_names_file_and_time(path: Path) -> None:
    with held_by_another_process(path):
        began = time.monotonic()
        with pytest.raises(StoreBusyError, match=r"warehouse.duckdb was in use for more than 0\.2 s; find the process"):
            keys(Warehouse(path, wait_seconds=0.2))
        assert time.monotonic() - began < 10


def test_a_killed_process_leaves_no_lock_and_nothing_half_written(path: Path) -> None:
    with held_by_another_process(path):
        pass
    assert keys(Warehouse(path, wait_seconds=0)) == []


def test_threads_take_turns_and_lose_nothing(path: Path) -> None:
    warehouse = Warehouse(path)
    threads = [threading.Thread(target=add, args=(warehouse, str(number))) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert keys(warehouse) == [str(number) for number in range(8)]


def test_a_program_that_opens_the_file_without_the_lock_is_named_as_the_cause(path: Path) -> None:
    add(Warehouse(path), "1")
    program = "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); print('open', flush=True); input()"
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        try:
            with pytest.raises(StoreBusyError, match="is open in another program; close it there"):
                keys(Warehouse(path, wait_seconds=1))
        finally:
            process.kill()


def overwritten(path: Path, start: int, length: int = 4096) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\x5a" * length)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "emptied": lambda path: os.truncate(path, 0),
    "cut off in its header": lambda path: os.truncate(path, 100),
    "cut off in the middle": lambda path: os.truncate(path, path.stat().st_size // 2),
    "cut off at its end": lambda path: os.truncate(path, path.stat().st_size - 4096),
    "first bytes overwritten": lambda path: overwritten(path, 0),
    "both headers overwritten": lambda path: overwritten(path, 4096, 8192),
    "tables overwritten": lambda path: overwritten(path, 12288, path.stat().st_size - 12288),
    "another file": lambda path: path.write_bytes(b"this is no database" * 1000),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_said_to_be_damaged_in_one_line_and_kept(path: Path, damage: str) -> None:
    """A wrong checksum "in block at location …" was once taken for a lock that another program holds."""
    add(Warehouse(path), "1")
    with duckdb.connect(str(path)) as connection:
        connection.execute("CHECKPOINT")  # what is only in the log is not harmed by harming the file
    DAMAGES[damage](path)
    left = path.read_bytes()
    with pytest.raises(WarehouseDamagedError) as caught:
        keys(Warehouse(path))
    message = str(caught.value)
    assert message.startswith(f"warehouse {path} is damaged (")
    assert message.endswith("put the last good copy back with `autoflex-pipeline restore`")
    assert "\n" not in message
    assert path.read_bytes() == left


def test_damage_that_is_met_in_the_middle_of_a_use_is_said_too(path: Path) -> None:
    warehouse = Warehouse(path)
    with warehouse.open() as connection:
        connection.execute("INSERT INTO restage SELECT 'd', 'order', repeat(i::VARCHAR, 50) FROM range(200000) AS r(i)")
    size = path.stat().st_size
    for start in range(262144 * 2, size - 262144 * 2, 262144):
        overwritten(path, start, 100)
    with pytest.raises(WarehouseDamagedError), warehouse.open() as connection:
        connection.execute("SELECT sum(length(record_key)) FROM restage").fetchone()


def test_a_log_without_its_file_is_no_new_warehouse(path: Path) -> None:
    with held_by_another_process(path):
        pass
    path.with_name(path.name + ".wal").write_bytes(b"what was committed last")
    path.unlink()
    with pytest.raises(WarehouseDamagedError, match="is gone while its log"):
        keys(Warehouse(path))
    assert not path.exists()


def test_a_piece_of_a_file_that_a_crash_left_while_it_was_made_is_no_damage(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.with_name(path.name + ".new").write_bytes(b"")
    assert keys(Warehouse(path)) == []


def test_a_file_that_was_replaced_by_an_older_one_is_brought_up_by_a_process_that_knew_the_other(path: Path) -> None:
    warehouse = Warehouse(path)
    add(warehouse, "1")
    older = path.with_name("older.duckdb")
    add(Warehouse(older), "older")
    with duckdb.connect(str(older)) as connection:
        connection.execute("DROP TABLE absence")
    older.replace(path)
    path.with_name(path.name + ".wal").unlink()  # the log of the file that was there
    with warehouse.open() as connection:
        assert connection.execute("SELECT count(*) FROM absence").fetchone() == (0,)


def test_between_two_uses_another_process_can_open_the_file_though_duckdb_is_kept(path: Path) -> None:
    warehouse = Warehouse(path)
    add(warehouse, "1")
    with held_by_another_process(path):
        pass
    assert keys(warehouse) == ["1"]


def log_bytes(path: Path) -> int:
    log = path.with_name(path.name + ".wal")
    return log.stat().st_size if log.exists() else 0


def test_a_long_log_is_in_the_file_after_its_commit_and_a_short_one_when_that_is_asked_for(path: Path) -> None:
    warehouse = Warehouse(path)
    with warehouse.open() as connection:
        connection.execute("INSERT INTO restage SELECT 'd', 'order', repeat(i::VARCHAR, 20) FROM range(1000) t(i)")
    assert log_bytes(path) == 0
    add(warehouse, "1")
    assert log_bytes(path) > 0
    warehouse.shorten_log()
    assert log_bytes(path) == 0
    assert len(keys(Warehouse(path))) == 1001


def test_a_file_that_has_grown_large_is_worked_on_with_all_threads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = Warehouse(path)
    monkeypatch.setattr("autoflex_pipeline.warehouse.connection.SMALL_BYTES", 1)
    with duckdb.connect() as usual, warehouse.open() as connection:
        threads = "SELECT current_setting('threads')"
        assert connection.execute(threads).fetchone() == usual.execute(threads).fetchone()
    monkeypatch.undo()
    with warehouse.open() as connection:
        assert connection.execute(threads).fetchone() == (1,)


@pytest.fixture
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("usual_umask")
def test_nobody_else_can_read_the_warehouse_its_log_or_its_lock(path: Path) -> None:
    warehouse = Warehouse(path)
    modes: dict[str, int] = {}
    with warehouse.open() as connection:
        connection.execute("INSERT INTO restage VALUES ('d', 'order', '1')")
        connection.commit()
        modes |= {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        connection.begin()
    assert "warehouse.duckdb.wal" in modes
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.usefixtures("usual_umask")
def test_what_is_spilled_to_disk_cannot_be_read_by_others(path: Path) -> None:
    warehouse = Warehouse(path, memory_limit="80MB")
    modes: dict[str, int] = {}
    with warehouse.open() as connection:
        rows = "SELECT (i * 7919) % 1000003 AS k, repeat('personal', 10) || i AS v FROM range(600000) AS t(i)"
        connection.execute("SET threads = 1")
        reader = connection.execute(f"SELECT * FROM ({rows}) ORDER BY v, k")
        for file in path.parent.rglob("*"):
            modes[file.name] = stat.S_IMODE(file.stat().st_mode)
        reader.fetchone()
    assert [name for name in modes if name.startswith("duckdb_temp")], "the test must make it spill"
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


def test_the_umask_of_the_program_is_as_before(path: Path, usual_umask: None) -> None:
    add(Warehouse(path), "1")
    mask = os.umask(0o022)
    assert mask == 0o022


def test_times_are_utc_whatever_the_machine_says(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    with Warehouse(path).open() as connection:
        assert connection.execute("SELECT current_setting('TimeZone')").fetchone() == ("UTC",)


def test_nothing_is_fetched_from_the_network(path: Path) -> None:
    with Warehouse(path).open() as connection:
        for setting in ("autoinstall_known_extensions", "autoload_known_extensions"):
            assert connection.execute(f"SELECT current_setting('{setting}')").fetchone() == (False,)
