"""A run in a process of its own that dies, or whose disk fails, at its N-th durable step.

A step is a moment at a named place (``durable_steps.py``), such as ``runs.steps.stage: committed``. Python tells of
those; what DuckDB and SQLite do beneath one is caught at the kernel (``system_calls.py``).
"""

from __future__ import annotations

import errno
import functools
import io
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing import reduction
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock
from types import FrameType
from typing import Any, Literal

import httpx

from autoflex_pipeline import cli
from autoflex_pipeline.errors import PipelineError
from autoflex_pipeline.orchestration import resources
from autoflex_pipeline.orchestration.resources import Installation
from autoflex_pipeline.runs import backup
from autoflex_pipeline.runs.backup import back_up, backups
from autoflex_pipeline.runs.context import RunOptions
from autoflex_pipeline.runs.restore import restore
from autoflex_pipeline.runs.retrying import retry_quarantined
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.warehouse import Warehouse, connection, publishing
from autoflex_pipeline_tests.domain import Months, new_run_id, options_of_months, run_domain
from autoflex_pipeline_tests.faults import full_disk
from autoflex_pipeline_tests.faults.system_calls import KILL, Call, Judge, install

Kind = Literal["kill", "full disk", "I/O error"]
BEFORE_A_WRITE = frozenset({
    "written", "migrated", "attached", "checkpoint", "copy", "create", "rename", "link", "symlink", "remove", "mkdir",
    "chmod", "sync",
})  # fmt: skip
"""Moments after which something is written: a failing disk makes a difference there."""

AUDITED = {
    "open": "create", "os.rename": "rename", "os.link": "link", "os.symlink": "symlink", "os.remove": "remove",
    "os.mkdir": "mkdir", "os.chmod": "chmod",
}  # fmt: skip
"""What Python tells its audit hooks before it changes a file, and the name of that moment here."""

ATTACH, OPEN = "warehouse.connection.Warehouse._attach", "warehouse.connection.Warehouse.open"
CHECKPOINT, COPY_STATE = "warehouse.connection.Warehouse._checkpoint", "runs.backup._copy_state"
REMOVE = "runs.backup._remove"
PREPARE, SEAL = "warehouse.publishing._prepare", "warehouse.publishing._seal"
"""Places where DuckDB alone is at work: Python tells of nothing in them."""

SECONDS = 300


@dataclass(frozen=True)
class Crash:
    """At which step (counted from 1; 0: never) what happens; a failing disk counts moments ``BEFORE_A_WRITE`` only.

    ``at_step`` names one instead: the first such step is meant.
    ``after_seconds`` and ``at_call`` kill at a moment that has no name: then, or before the N-th call that changes a
    file.
    """

    at: int = 0
    kind: Kind = "kill"
    at_step: str | None = None
    after_seconds: float | None = None
    at_call: int | None = None

    @property
    def needs_judge(self) -> bool:
        """Whether system calls must be watched."""
        return self.kind == "I/O error" or self.at_call is not None


@dataclass(frozen=True)
class Run:
    """What is run: a tick with these options, months of a backfill, validating the quarantine again, a backup as each
    night makes it, putting the newest backup back, or a whole command with Dagster in it."""

    options: dict[str, Any] = field(default_factory=dict)
    months: Months | None = None
    retry_quarantine: bool = False
    back_up: bool = False
    restore: bool = False
    command: tuple[str, ...] = ()

    def go(self, installation: Installation) -> dict[str, Any]:
        """Do it; gives the summaries."""
        if self.command:
            return _command(installation, self.command)
        if self.back_up:
            made = back_up(installation.settings, installation.warehouse, installation.state, now=installation.clock())
            backup.rotate(installation.settings, made)
            return {}
        if self.restore:
            restore(installation.settings, backups(installation.settings)[0], now=installation.clock())
            return {}
        options = RunOptions(**self.options) if self.months is None else options_of_months(self.months, **self.options)
        context = installation.run_context(new_run_id(), options)
        if self.retry_quarantine:
            retry_quarantined(context)
            return {}
        return run_domain(context, months=self.months)


def _command(installation: Installation, arguments: tuple[str, ...]) -> dict[str, Any]:
    """The command as a person types it, with the clock of the tests; gives its exit code and what it printed."""
    resources.Installation = functools.partial(Installation, clock=installation.clock)  # type: ignore[assignment,misc]
    sys.argv = ["autoflex-pipeline", *arguments, "--config", str(installation.config)]
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        try:
            cli.main()
        except SystemExit as ended:
            return {"code": ended.code, "printed": printed.getvalue()}
    return {"code": 0, "printed": printed.getvalue()}


@dataclass
class Ended:
    """How a run ended: exit code, the steps that it told of, its error if it had one (whether it is meant for a
    person, and its text), the calls that were watched, what a command printed, whether it had done all that it had to
    do, and the seconds that it took with the beginning and the end of its process."""

    code: int
    steps: list[str] = field(default_factory=list)
    error: tuple[bool, str] | None = None
    calls: list[Call] = field(default_factory=list)
    printed: str = ""
    is_done: bool = False
    seconds: float = 0

    @property
    def crashed_at(self) -> str:
        """The step at which it was made to crash; empty when it never came to that."""
        return next((step.removeprefix("! ") for step in self.steps if step.startswith("! ")), "")

    @property
    def was_killed_at_work(self) -> bool:
        """Whether it died by a kill, after its first step and before it had done all."""
        return self.code == -signal.SIGKILL and bool(self.steps) and not self.is_done


def run_to_crash(config: Path, now: datetime, run: Run, crash: Crash) -> Ended:
    """One run over ``config`` in a new process, crashed as ``crash`` says."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ours, theirs = context.Pipe(duplex=True)
    broken = context.Value("b", 0)
    data = config.parent / "data"
    process = context.Process(target=_run, args=(str(config), dict(os.environ), now, run, crash, theirs, broken))
    started = time.monotonic()
    process.start()
    theirs.close()
    ended = Ended(0)
    judge = None
    if crash.needs_judge:
        decide = functools.partial(_judged, ended.calls, crash, broken)
        judge = Judge(reduction.recv_handle(ours), process.pid or 0, str(data.resolve()), decide)
        judge.start()
    if crash.after_seconds is not None:
        process.join(crash.after_seconds)
        process.kill()
    with ours:
        try:
            while ours.poll(SECONDS):
                what, told = ours.recv()
                if what == "error":
                    ended.error = told
                elif what == "printed":
                    ended.printed = told
                elif what == "done":
                    ended.is_done = True
                else:
                    ended.steps.append(told)
        except (EOFError, ConnectionResetError):
            pass
    process.join(SECONDS)
    assert process.exitcode is not None, f"the run with {crash} did not end within {SECONDS} s"
    if judge is not None:
        judge.join(SECONDS)
    ended.code, ended.seconds = process.exitcode, time.monotonic() - started
    return ended


def _judged(calls: list[Call], crash: Crash, broken: Any, call: Call) -> int:
    calls.append(call)
    if crash.at_call is not None:
        return KILL if len(calls) == crash.at_call else 0
    if broken.value:
        broken.value = 0
        return errno.EIO
    return 0


def _run(
    config: str, environment: dict[str, str], now: datetime, run: Run, crash: Crash, pipe: Connection, broken: Any
) -> None:
    os.environ.update(environment)
    data = Path(config).parent / "data"
    if crash.needs_judge:
        listener = install()
        reduction.send_handle(pipe, listener, os.getpid())
        os.close(listener)
    step = _Steps(crash, pipe, data, broken)
    with watched(step.reached, data):
        installation = Installation(Path(config), clock=lambda: now)
        try:
            done = run.go(installation)
            step.is_over = True
            if run.command:
                pipe.send(("printed", done["printed"]))
            pipe.send(("done", None))
        except Exception as error:
            step.is_over = True
            told = f"{type(error).__name__}: {error}"
            pipe.send(("error", (isinstance(error, PipelineError), told)))
            sys.exit(1)
        finally:
            step.is_over = True
            installation.close()


class _Steps:
    """Counts the steps of a run, tells of them, and makes one the last."""

    def __init__(self, crash: Crash, pipe: Connection, data: Path, broken: Any) -> None:
        self.is_over = False
        self._crash, self._pipe, self._data, self._broken = crash, pipe, data, broken
        self._count = 0
        self._has_crashed = False
        self._lock = Lock()

    def reached(self, place: str, moment: str) -> None:
        if self.is_over or (self._crash.kind != "kill" and moment not in BEFORE_A_WRITE):
            return
        with self._lock:
            self._count += 1
            step = f"{place}: {moment}"
            is_it = not self._has_crashed and (self._count == self._crash.at or step == self._crash.at_step)
            self._has_crashed |= is_it
            self._pipe.send(("step", f"! {step}" if is_it else step))
            if not is_it:
                return
            if self._crash.kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            elif self._crash.kind == "full disk":
                full_disk.fill(self._data)
            else:
                self._broken.value = 1


Reached = Callable[[str, str], None]


@contextmanager
def watched(reached: Reached, data: Path) -> Iterator[None]:
    """Tell of every durable step that this process makes; only what happens to files below ``data`` counts."""
    changes = [
        (Warehouse, "open", _transaction(Warehouse.open, reached)),
        (StateStore, "begin", _transaction(StateStore.begin, reached)),
        (Warehouse, "_attach", _told_after(Warehouse._attach, reached, ATTACH, "opened")),
        (Warehouse, "_checkpoint", _told_around(Warehouse._checkpoint, reached, CHECKPOINT, "checkpoint", "settled")),
        (backup, "_copy_state", _told_around(backup._copy_state, reached, COPY_STATE, "copy", "copied")),
        (backup, "_remove", _told_around(backup._remove, reached, REMOVE, "remove", "removed")),
        (connection, "ensure_schema", _told_after(connection.ensure_schema, reached, OPEN, "migrated")),
        (publishing, "_prepare", _told_after(publishing._prepare, reached, PREPARE, "attached")),
        (publishing, "_seal", _told_after(publishing._seal, reached, SEAL, "written through")),
        (httpx.HTTPTransport, "handle_request", _request(reached)),
        (os, "fsync", _told_before(os.fsync, reached, "sync")),
    ]
    originals = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    for owner, name, change in changes:
        setattr(owner, name, change)
    _audit(reached, data)
    try:
        yield
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)


def place() -> str | None:
    """The place in the program that is at work in this thread; None when it is not the program's doing."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("autoflex_pipeline."):
            function = frame.f_code.co_qualname.partition(".<locals>")[0].partition(".<")[0]
            return f"{module.removeprefix('autoflex_pipeline.')}.{function}"
        frame = frame.f_back
    return None


def _tell(reached: Reached, moment: str) -> None:
    here = place()
    if here is not None:
        reached(here, moment)


def _transaction(begin: Callable[..., Any], reached: Reached) -> Callable[..., Any]:
    @contextmanager
    def transaction(owner: Any, here: str | None) -> Iterator[Any]:
        with begin(owner) as opened:
            yield opened
            if here:
                reached(here, "written")
        if here:
            reached(here, "committed")

    return lambda owner: transaction(owner, place())


def _request(reached: Reached) -> Callable[..., Any]:
    send = httpx.HTTPTransport.handle_request

    def handle_request(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        _tell(reached, "sending")
        response = send(transport, request)
        _tell(reached, "answered")
        return response

    return handle_request


def _told_before(call: Callable[..., Any], reached: Reached, moment: str) -> Callable[..., Any]:
    def told(*arguments: Any, **more: Any) -> Any:
        _tell(reached, moment)
        return call(*arguments, **more)

    return told


def _told_after(call: Callable[..., Any], reached: Reached, here: str, moment: str) -> Callable[..., Any]:
    def told(*arguments: Any, **more: Any) -> Any:
        done = call(*arguments, **more)
        reached(here, moment)
        return done

    return told


def _told_around(call: Callable[..., Any], reached: Reached, here: str, before: str, after: str) -> Callable[..., Any]:
    def told(*arguments: Any, **more: Any) -> Any:
        reached(here, before)
        done = call(*arguments, **more)
        reached(here, after)
        return done

    return told


def _audit(reached: Reached, data: Path) -> None:
    folder = f"{data}/"

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        moment = AUDITED.get(event)
        if moment is None:
            return
        path = arguments[1] if event in ("os.rename", "os.link", "os.symlink") else arguments[0]
        if moment == "create" and not (arguments[2] or 0) & os.O_CREAT:
            return
        named = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
        if (named + "/").startswith(folder) and not named.endswith(full_disk.BALLOON):
            _tell(reached, moment)

    sys.addaudithook(hook)


def random_crash(random_number: random.Random, seconds: float, calls: int) -> Crash:
    """A kill at a moment that has no name, within a run of so many seconds that makes so many calls."""
    if random_number.random() < 0.5:
        return Crash(after_seconds=random_number.uniform(0, seconds))
    return Crash(at_call=random_number.randint(1, calls))
