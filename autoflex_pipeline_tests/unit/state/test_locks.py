from __future__ import annotations

import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autoflex_pipeline.errors import DiskError, StoreBusyError
from autoflex_pipeline.state.locks import RunMark, dealer_lock, no_run

HOLDER = """
import sys
from pathlib import Path
from autoflex_pipeline.state.locks import dealer_lock

with dealer_lock(Path(sys.argv[1]), "garage-jansen"):
    print("locked", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def state_path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.state.sqlite"


@contextmanager
def delivering_elsewhere(state_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER, str(state_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        try:
            yield process
        finally:
            process.kill()


def take(state_path: Path, dealer_id: str = "garage-jansen", wait_seconds: float = 0) -> bool:
    with dealer_lock(state_path, dealer_id, wait_seconds=wait_seconds):
        return True


def test_a_second_process_waits_a_bounded_time_and_says_for_whom(state_path: Path) -> None:
    with delivering_elsewhere(state_path):
        began = time.monotonic()
        with pytest.raises(
            StoreBusyError, match=r"'garage-jansen': another run has been delivering for more than 0\.2 s"
        ):
            take(state_path, wait_seconds=0.2)
        assert time.monotonic() - began < 10


def test_it_waits_for_the_other_run_to_end(state_path: Path) -> None:
    with delivering_elsewhere(state_path) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert take(state_path, wait_seconds=30)


def test_a_killed_run_never_delays_the_next(state_path: Path) -> None:
    with delivering_elsewhere(state_path) as process:
        process.kill()
        process.wait(30)
        assert take(state_path)


def test_another_dealer_is_not_held_up(state_path: Path) -> None:
    with delivering_elsewhere(state_path):
        assert take(state_path, dealer_id="garage-pietersen")


def test_the_lock_is_free_again_after_an_exception(state_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), dealer_lock(state_path, "garage-jansen"):
        raise ValueError("stop")
    assert take(state_path)


def test_lock_files_are_private(state_path: Path) -> None:
    take(state_path)
    [file] = (state_path.parent / "warehouse.state.sqlite.locks").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_lock_that_the_disk_does_not_let_be_made_is_told_in_one_line(
    state_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was raised as the system's own error: the crash matrix found it."""

    def failing(*_arguments: object, **_more: object) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("os.open", failing)
        with pytest.raises(DiskError, match=r"the lock .* cannot be read or written: the disk fails"):
            RunMark(state_path)
        with pytest.raises(DiskError, match="the lock "), no_run(state_path):
            pass
        with pytest.raises(DiskError, match="the lock "), dealer_lock(state_path, "garage-jansen"):
            pass
