"""Child processes that a command starts and ends, each by its process id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from autoflex_pipeline.errors import PipelineError

STOP_SECONDS = 15


class ChildFailedError(PipelineError):
    """A child process ended, or did not answer in time."""


class Children:
    """Children in process groups of their own: a Ctrl-C reaches only the command, which then ends them in order."""

    def __init__(self, log_folder: Path) -> None:
        self._log_folder = log_folder
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a child; what it prints goes to ``NAME.log``."""
        with (self._log_folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  (our own command line, no shell)
                list(command),
                env=dict(environment),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._running.append((name, process))

    def check(self) -> None:
        """ChildFailedError when one has ended by itself."""
        for name, process in self._running:
            if process.poll() is not None:
                raise ChildFailedError(
                    f"{name} ended by itself (exit code {process.returncode}); see {self._log_folder / name}.log"
                )

    def wait_for(self, name: str, url: str, seconds: float) -> None:
        """Wait until ``url`` answers; ChildFailedError when it does not within ``seconds``."""
        import httpx  # here: every other command starts without it

        deadline = time.monotonic() + seconds
        with httpx.Client(timeout=5) as client:
            while time.monotonic() < deadline:
                self.check()
                try:
                    if client.get(url).status_code < 500:
                        return
                except httpx.TransportError:
                    time.sleep(0.2)
        log = self._log_folder / f"{name}.log"
        raise ChildFailedError(f"{name} did not answer at {url} within {seconds:g} s; see {log}")

    def stop(self) -> None:
        """End all children, last started first: asked, then told, then killed, each with its whole process group."""
        for wanted in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            left = [process for _, process in reversed(self._running) if _group_is_alive(process)]
            for process in left:
                _signal_group(process, wanted)
            deadline = time.monotonic() + STOP_SECONDS
            while time.monotonic() < deadline and any(_group_is_alive(process) for process in left):
                time.sleep(0.05)
        self._running.clear()


def _group_is_alive(process: subprocess.Popen[bytes]) -> bool:
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _signal_group(process: subprocess.Popen[bytes], wanted: signal.Signals) -> None:
    try:
        os.killpg(process.pid, wanted)
    except ProcessLookupError:
        return


def free_port() -> int:
    """A port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def python_module(*arguments: str) -> list[str]:
    """A command line that runs a module with this Python."""
    return [sys.executable, "-m", *arguments]
