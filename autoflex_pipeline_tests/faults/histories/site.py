"""Where a history happens: both vendors' stand-ins, one installation of the product, a clock; all in this process."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import tenacity

from autoflex_pipeline.claire import client as claire_client
from autoflex_pipeline.claire import gate as claire_gate
from autoflex_pipeline.runs import context as run_context
from autoflex_pipeline.runs.context import RunOptions
from autoflex_pipeline.sandbox.autoflex import api as autoflex_api
from autoflex_pipeline.sandbox.autoflex.app import autoflex_app
from autoflex_pipeline.sandbox.autoflex.service import AutoflexService
from autoflex_pipeline.sandbox.claire.app import claire_app
from autoflex_pipeline.sandbox.claire.service import ClaireKey, ClaireService
from autoflex_pipeline.sandbox.wire import telling_time
from autoflex_pipeline.settings import load_settings
from autoflex_pipeline.sources.autoflex_api import client as autoflex_client
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.warehouse import Warehouse
from autoflex_pipeline_tests.domain import Months, new_run_id, options_of_months, run_domain
from autoflex_pipeline_tests.faults.histories.edits import LOCATIONS
from autoflex_pipeline_tests.faults.histories.in_process import Wire
from autoflex_pipeline_tests.faults.histories.process import Killed, Process
from autoflex_pipeline_tests.world import CLAIRE_KEY, PSEUDONYM_KEY, sandbox_dealer, variable

AUTOFLEX, CLAIRE = "autoflex.localhost", "claire.localhost"
ROWS_PER_PAGE = 3
"""So few that a small dealer has several pages, between which rows can move."""

STARTS = (datetime(2026, 10, 20, 7, 0, tzinfo=UTC), datetime(2027, 3, 24, 7, 0, tzinfo=UTC))
"""Some days before the clock is put back in Europe, and before it is put forward."""


class Stopwatch:
    """Stands for the module ``time`` where waiting is counted: waiting moves it and costs nothing."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Wait."""
        self.now += max(0.0, seconds)


class Site:
    """Several dealers."""

    def __init__(self, folder: Path, wire: Wire, watch: Stopwatch) -> None:
        self.folder, self.wire, self.watch = folder, wire, watch
        self.now = STARTS[0]
        """The time on the clock of the machine that the product runs on."""
        self.ahead = timedelta(0)
        """By how much that clock has jumped ahead of the time."""
        self._meanwhile: tuple[int, Callable[[], object]] | None = None
        dealers = [sandbox_dealer(dealer_id) for dealer_id in LOCATIONS]
        self.autoflex = AutoflexService(folder / "autoflex", dealers, clock=lambda: self.time)
        keys = [ClaireKey("tests", CLAIRE_KEY, tuple(LOCATIONS.values()))]
        self.claire = ClaireService(folder / "claire", keys, clock=lambda: self.time)
        autoflex = telling_time(autoflex_app(self.autoflex), lambda: self.time)
        wire.apps = {AUTOFLEX: autoflex, CLAIRE: claire_app(self.claire)}
        self.settings = load_settings(folder / "autoflex.toml")
        self.process = self._new_process()

    def close(self) -> None:
        """End everything."""
        self.process.end()
        self.autoflex.close()
        self.claire.close()

    def run(self, *, kill_at: int | None = None, months: Months | None = None, **options: Any) -> dict[str, Any] | None:
        """One run; gives its summary, None when it was killed at the moment ``kill_at``, and starts a new process."""
        chosen = RunOptions(**options) if months is None else options_of_months(months, **options)
        life = self.process.life
        life.ends_after(kill_at)
        try:
            return run_domain(self.process.context(new_run_id(), chosen), months=months, publish=False)
        except Killed:
            self.restart()
            return None
        finally:
            life.ends_after(None)

    def restart(self) -> None:
        """A new process on the same files."""
        self.process.end()
        self.process = self._new_process()

    def configure(self, dealer_id: str, **values: Any) -> None:
        """Change settings of a dealer, as after a restart with another configuration file."""
        dealers = tuple(
            dealer.model_copy(update=values) if dealer.id == dealer_id else dealer for dealer in self.settings.dealers
        )
        self.settings = self.settings.model_copy(update={"dealers": dealers})
        self.restart()

    @property
    def time(self) -> datetime:
        """What time it is, as the vendors know it."""
        return self.now - self.ahead

    def pass_time(self, **span: float) -> None:
        """The clock moves forward, as time does."""
        self.now += timedelta(**span)

    def jump(self, span: timedelta) -> None:
        """The clock jumps ahead, and no time passes."""
        self.now += span
        self.ahead += span

    def after_requests(self, count: int | None, do: Callable[[], object] = lambda: None) -> None:
        """Do something once, as soon as so many requests more were answered; None: nothing."""
        self._meanwhile = None if count is None else (count, do)

    def _answered(self) -> None:
        if self._meanwhile is None:
            return
        left, do = self._meanwhile
        self._meanwhile = (left - 1, do) if left > 1 else None
        if left <= 1:
            do()

    def _after(self, process: Process) -> None:
        self._answered()
        process.life.moment()

    def _new_process(self) -> Process:
        process = Process(self.settings, clock=lambda: self.now, sleep=self.watch.advance)
        self.wire.before = lambda host: process.life.moment()
        self.wire.after = lambda host: self._after(process)
        return process


def prepare(folder: Path) -> Path:
    """Empty stores and a configuration, to be copied for each history: making them takes longer than a history."""
    data = folder / "data"
    lines = [
        "[warehouse]", 'path = "data/warehouse.duckdb"', 'analytics_path = "data/analytics.duckdb"',
        "[claire]", f'base_url = "https://{CLAIRE}/api"', "max_requests_per_second = 0", "max_concurrency = 1",
    ]  # fmt: skip
    for dealer_id, location in LOCATIONS.items():
        lines += [
            "[[dealers]]", f'id = "{dealer_id}"', f'name = "{dealer_id}"', f'claire_location_id = "{location}"',
            "[dealers.api]", f'login_url = "https://{AUTOFLEX}/v2"', "max_requests_per_second = 0",
            "max_concurrency = 1",
            *(f'{name.lower()}_env = "{variable(dealer_id, name)}"' for name in ("API_KEY", "USERNAME", "PASSWORD")),
        ]  # fmt: skip
    data.mkdir(parents=True)
    (folder / "autoflex.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with Warehouse(data / "warehouse.duckdb").open():
        pass
    StateStore(data / "warehouse.state.sqlite").close()
    return folder


@contextmanager
def history_ground() -> Iterator[tuple[Wire, Stopwatch]]:
    """What all histories of a test share: secrets in the environment, the wire, time that is only counted."""
    secrets: dict[str, str] = {"CLAIRE_API_KEY": CLAIRE_KEY, "AUTOFLEX_PSEUDONYM_KEY": PSEUDONYM_KEY}
    for dealer_id in LOCATIONS:
        dealer = sandbox_dealer(dealer_id)
        secrets[variable(dealer_id, "API_KEY")] = dealer.api_key
        secrets[variable(dealer_id, "USERNAME")] = dealer.username
        secrets[variable(dealer_id, "PASSWORD")] = dealer.password
    wire, watch = Wire(), Stopwatch()

    def wait(gate: claire_gate.Gate, seconds: float) -> None:
        watch.advance(seconds)

    def handle(_transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        return wire.handle_request(request)

    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, secrets))
        for module in (claire_client, claire_gate, autoflex_client, tenacity):
            stack.enter_context(patch.object(module, "time", watch))
        stack.enter_context(patch.object(claire_gate.Gate, "sleep", wait))
        stack.enter_context(patch.object(claire_gate, "Condition", lambda: _Condition(watch)))
        stack.enter_context(patch.object(httpx.HTTPTransport, "handle_request", handle))
        stack.enter_context(patch.object(autoflex_api, "ROWS_PER_PAGE", ROWS_PER_PAGE))
        stack.enter_context(patch.object(run_context, "DEALERS_AT_ONCE", 1))
        stack.callback(wire.close)
        gc.freeze()  # what was imported is not searched for garbage again and again: that took a tenth of the time
        stack.callback(gc.unfreeze)
        yield wire, watch


class _Condition:
    """A condition on which only one thread at a time waits: waiting moves the stopwatch."""

    def __init__(self, watch: Stopwatch) -> None:
        self._watch = watch

    def __enter__(self) -> _Condition:
        return self

    def __exit__(self, *_error: object) -> None:
        return

    def wait(self, seconds: float) -> None:
        self._watch.advance(seconds)

    def notify_all(self) -> None:
        return


@contextmanager
def open_site(template: Path, folder: Path, ground: tuple[Wire, Stopwatch]) -> Iterator[Site]:
    """A site on a copy of the prepared stores; the folder is removed in the end."""
    shutil.copytree(template, folder)
    try:
        site = Site(folder, *ground)
        try:
            yield site
        finally:
            site.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
