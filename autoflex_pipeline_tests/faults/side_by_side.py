"""Several processes at once over one installation, as on a machine where a person and the schedule meet."""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import duckdb

from autoflex_pipeline.orchestration.resources import Installation
from autoflex_pipeline.runs.backup import back_up
from autoflex_pipeline.runs.context import RunOptions
from autoflex_pipeline.runs.outlook import outlooks
from autoflex_pipeline.warehouse.publishing import publish
from autoflex_pipeline_tests.domain import new_run_id, options_of_months, run_domain

SECONDS = 240
"""A process that takes longer hangs: on a quiet machine all of them are done in a few."""

Months = Mapping[str, Sequence[tuple[date, date]]]


@dataclass(frozen=True)
class Job:
    """What one process does, ``times`` times."""

    what: str
    times: int = 1
    months: Months | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def side_by_side(config: Path, now: datetime, jobs: Sequence[Job]) -> list[list[Any]]:
    """Run each job in a process of its own, all starting at the same moment; gives what each time of each gave.

    AssertionError with the traceback of a process that failed, or when one does not end.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    start = context.Barrier(len(jobs))
    running = []
    for job in jobs:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_do, args=(str(config), dict(os.environ), now, job, start, theirs))
        process.start()
        theirs.close()
        running.append((job, process, ours))
    results = []
    try:
        for job, _, ours in running:
            assert ours.poll(SECONDS), f"{job.what} did not end within {SECONDS} s"
            ended_well, given = ours.recv()
            assert ended_well, f"{job.what}:\n{given}"
            results.append(given)
    finally:
        for _, process, ours in running:
            ours.close()
            process.kill()
            process.join(30)
    return results


def _do(config: str, environment: dict[str, str], now: datetime, job: Job, start: Any, pipe: Connection) -> None:
    os.environ.clear()
    os.environ.update(environment)
    installation = Installation(Path(config), clock=lambda: now)
    try:
        do = DOING[job.what]
        start.wait(SECONDS)
        pipe.send((True, [do(installation, job) for _ in range(job.times)]))
    except BaseException:
        pipe.send((False, traceback.format_exc()))
    finally:
        installation.close()


def _run(installation: Installation, job: Job) -> dict[str, Any]:
    options = RunOptions(**job.options) if job.months is None else options_of_months(job.months, **job.options)
    try:
        return run_domain(installation.run_context(new_run_id(), options), months=job.months)
    finally:
        installation.end_run()


def _publish(installation: Installation, _: Job) -> dict[str, int]:
    """Publish, and look at what came of it as an analyst does."""
    made = publish(installation.settings, installation.warehouse, run_id=new_run_id(), now=installation.clock())
    with duckdb.connect(str(made.path), read_only=True) as copy:
        rows = copy.execute(
            "SELECT (SELECT count(*) FROM appointment), "
            "(SELECT count(*) FROM (SELECT dealer_id, dms_number FROM appointment GROUP BY ALL HAVING count(*) > 1))"
        ).fetchall()
    return {"appointments": rows[0][0], "twice": rows[0][1]}


def _look(installation: Installation, _: Job) -> list[str]:
    seen = outlooks(installation.settings, installation.state, installation.apis, now=installation.clock())
    return [outlook.reason for outlook in seen]


def _back_up(installation: Installation, _: Job) -> str:
    return back_up(installation.settings, installation.warehouse, installation.state, now=installation.clock()).name


DOING: Mapping[str, Callable[[Installation, Job], Any]] = {
    "run": _run,
    "publish": _publish,
    "look": _look,
    "back up": _back_up,
}
