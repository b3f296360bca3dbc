"""What a person sees while a run goes on: the step, the months of a backfill as they are read, the requests so far."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed
from rich.text import Text

from autoflex_pipeline.plain_text import shown

STEPS_OF_A_RUN = 9


class Requests(ProgressColumn):
    """How many requests the DMSs have been sent: it moves while a long list is read."""

    def __init__(self, opened: Any) -> None:
        super().__init__()
        self._opened = opened

    def render(self, task: Task) -> Text:
        """The number now."""
        return Text(f"{self._opened.apis.requests} requests")


@contextmanager
def progress(opened: Any, *, months: int, quiet: bool) -> Iterator[None]:
    """A progress bar on a terminal, with one of the ``months`` (of all dealers) of a backfill; nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Elapsed())
    with Progress(*columns, Requests(opened), console=Console(stderr=True), transient=True) as bars:
        steps = bars.add_task("starting", total=STEPS_OF_A_RUN)
        grid = bars.add_task("months read", total=months) if months else None

        def on_step(name: str) -> None:
            if bars.tasks[steps].finished:  # months of several dealers may take a run each
                bars.reset(steps)
            bars.update(steps, description=name.replace("_", " "), advance=1)

        def on_month(read: Any) -> None:
            bars.console.print(Text(shown(read.told)))
            if grid is not None:
                bars.update(grid, advance=1)

        opened.on_step, opened.on_month = on_step, on_month
        try:
            yield
        finally:
            opened.on_step = opened.on_month = None
