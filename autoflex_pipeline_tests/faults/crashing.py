"""A run in a process of its own that dies, or whose disk fails, at its N-th durable step.

The steps are the moments between which a crash makes a difference: each has a name in ``STEPS``.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import httpx

from autoflex_pipeline.orchestration.resources import Installation
from autoflex_pipeline.runs.context import RunOptions
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.warehouse import Warehouse
from autoflex_pipeline_tests.domain import new_run_id, run_domain

STEPS = {
    "warehouse: written": "everything of a transaction is written, nothing is committed",
    "warehouse: committed": "the transaction is durable and the file closed",
    "state: written": "everything of a transaction is written, nothing is committed",
    "state: committed": "the transaction is durable",
    "request: sending": "a question to Autoflex or a document to Claire is about to go",
    "request: answered": "the answer has come, nothing of it is written down",
    "file: replacing": "a finished file is about to get its name (a new warehouse, the analysts' copy)",
    "file: replaced": "it has its name",
}
ON_DISK = frozenset({"warehouse: written", "state: written", "file: replacing"})
"""Steps that fail when the disk is full or broken."""

Kind = Literal["kill", "full disk", "I/O error"]
ERRORS = {"full disk": errno.ENOSPC, "I/O error": errno.EIO}


@dataclass(frozen=True)
class Crash:
    """At which step (counted from 1; 0: never) what happens; a failing disk counts the steps ``ON_DISK`` only."""

    at: int
    kind: Kind = "kill"


class _Counter:
    def __init__(self, crash: Crash) -> None:
        self.names: list[str] = []
        self._crash = crash
        self._lock = Lock()

    def reached(self, name: str) -> None:
        assert name in STEPS, name
        if self._crash.kind != "kill" and name not in ON_DISK:
            return
        with self._lock:
            self.names.append(name)
            if len(self.names) != self._crash.at:
                return
            if self._crash.kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
        number = ERRORS[self._crash.kind]
        raise OSError(number, os.strerror(number))


def run_to_crash(config: Path, now: datetime, crash: Crash) -> tuple[int, list[str]]:
    """One run over ``config`` in a new process; gives its exit code, and the steps it passed when it lived to tell."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(str(config), dict(os.environ), now, crash, theirs))
    process.start()
    theirs.close()
    process.join(120)
    assert process.exitcode is not None, f"the run with {crash} did not end within two minutes"
    with ours:
        try:
            names: list[str] = ours.recv()
        except EOFError:  # it was killed
            names = []
    return process.exitcode, names


def _run(config: str, environment: dict[str, str], now: datetime, crash: Crash, pipe: Connection) -> None:
    os.environ.update(environment)
    counter = _Counter(crash)
    with _watched(counter.reached):
        installation = Installation(Path(config), clock=lambda: now)
        try:
            run_domain(installation.run_context(new_run_id(), RunOptions(reread=True)))
        finally:
            pipe.send(counter.names)
            pipe.close()


@contextmanager
def _watched(reached: Callable[[str], None]) -> Iterator[None]:
    """Tell of every durable step that this process makes."""
    send, replace = httpx.HTTPTransport.handle_request, os.replace

    def handle_request(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        reached("request: sending")
        response = send(transport, request)
        reached("request: answered")
        return response

    def replaced(source: Any, target: Any, **more: Any) -> None:
        reached("file: replacing")
        replace(source, target, **more)
        reached("file: replaced")

    originals = [(Warehouse, "open", Warehouse.open), (StateStore, "begin", StateStore.begin)]
    setattr(httpx.HTTPTransport, "handle_request", handle_request)  # noqa: B010 - mypy allows no other way
    setattr(os, "replace", replaced)  # noqa: B010
    setattr(Warehouse, "open", _transaction("warehouse", Warehouse.open, reached))  # noqa: B010
    setattr(StateStore, "begin", _transaction("state", StateStore.begin, reached))  # noqa: B010
    try:
        yield
    finally:
        setattr(httpx.HTTPTransport, "handle_request", send)  # noqa: B010
        setattr(os, "replace", replace)  # noqa: B010
        for owner, name, original in originals:
            setattr(owner, name, original)


def _transaction(store: str, begin: Callable[..., Any], reached: Callable[[str], None]) -> Callable[..., Any]:
    @contextmanager
    def watched(owner: Any) -> Iterator[Any]:
        with begin(owner) as connection:
            yield connection
            reached(f"{store}: written")
        reached(f"{store}: committed")

    return watched
