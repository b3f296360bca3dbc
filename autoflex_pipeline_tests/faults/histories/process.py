"""One process of the product as far as a run needs it, and the ways in which it can die in the middle of one.

Death is an exception that no handler of the product takes for an error; from then on every store and every request of
the dead process refuses, so that nothing it would still do reaches the files or the vendors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Lock

import duckdb
from sqlalchemy import Connection

from autoflex_pipeline.claire.client import ClaireConnections
from autoflex_pipeline.runs.context import RunContext, RunOptions
from autoflex_pipeline.settings import DealerSettings, Settings, api_credentials
from autoflex_pipeline.sources.autoflex_api import AutoflexApi
from autoflex_pipeline.sources.connections import ApiConnections
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.warehouse import Warehouse


class Killed(BaseException):
    """The process died here."""


class Life:
    """Counts the moments at which the process can die, and ends it at the one chosen."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._left: int | None = None
        self.moments = 0
        self.is_over = False

    def ends_after(self, moments: int | None) -> None:
        """Die at the moment with this number (from 1) counted from now; None: live on."""
        self._left = moments

    def moment(self) -> None:
        """The process could die here."""
        with self._lock:
            self.moments += 1
            if self._left is not None:
                self._left -= 1
                self.is_over = self.is_over or self._left <= 0
            if self.is_over:
                raise Killed


class MortalWarehouse(Warehouse):
    """A warehouse whose user can die before a transaction, before its commit, and after it.

    The file is held open all the time: a history opens it a hundred times.
    """

    def __init__(self, path: Path, life: Life) -> None:
        super().__init__(path)
        self._life = life
        self._is_attached = False

    @contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """As the warehouse opens."""
        self._life.moment()
        with super().open() as connection:
            yield connection
            self._life.moment()
        self._life.moment()

    def _started(self, is_small: bool) -> duckdb.DuckDBPyConnection:
        engine = super()._started(is_small)
        engine.execute("SET wal_autocheckpoint = '1GB'")
        return engine

    def _attach(self, engine: duckdb.DuckDBPyConnection) -> None:
        if not self._is_attached:
            super()._attach(engine)
            self._is_attached = True

    def _detach(self) -> None:
        return

    def shorten_log(self) -> None:
        """Leave it: with the file held open nobody reads the log, and writing it into the file costs time."""

    def let_go(self) -> None:
        """Close the file."""
        super()._detach()
        self.close()


class MortalStore(StateStore):
    """A state store whose user can die in the same places."""

    def __init__(self, path: Path, life: Life) -> None:
        self._life: Life | None = None
        super().__init__(path)
        self._life = life

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """As the store begins."""
        if self._life is None:
            with super().begin() as connection:
                yield connection
            return
        self._life.moment()
        with super().begin() as connection:
            yield connection
            self._life.moment()
        self._life.moment()


class PatientApis(ApiConnections):
    """Connections to Autoflex that go by the world's clock and never really wait."""

    def __init__(self, clock: Callable[[], datetime], sleep: Callable[[float], object]) -> None:
        super().__init__()
        self._clock, self._sleep = clock, sleep
        self._made: dict[str, AutoflexApi] = {}

    def get(self, dealer: DealerSettings) -> AutoflexApi:
        """The dealer's connection."""
        if dealer.id not in self._made:
            self._made[dealer.id] = AutoflexApi(dealer, api_credentials(dealer), clock=self._clock, sleep=self._sleep)
        return self._made[dealer.id]

    def close(self) -> None:
        """Close all of them."""
        for api in self._made.values():
            api.close()
        self._made.clear()


class Process:
    """Stores and connections of one process; ``settings`` may change between runs."""

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime], sleep: Callable[[float], object]) -> None:
        self.life = Life()
        self.settings = settings
        self.warehouse = MortalWarehouse(settings.warehouse.path, self.life)
        self.state = MortalStore(settings.warehouse.state_path, self.life)
        self.apis = PatientApis(clock, sleep)
        self.claire = ClaireConnections(settings)
        self._clock = clock

    def context(self, run_id: str, options: RunOptions) -> RunContext:
        """What the steps of one run are given."""
        return RunContext(
            settings=self.settings, warehouse=self.warehouse, state=self.state, apis=self.apis, claire=self.claire,
            run_id=run_id, options=options, clock=self._clock,
        )  # fmt: skip

    def end(self) -> None:
        """Give back what the operating system would take; whether the end was good or not is decided before."""
        self.apis.close()
        self.claire.close()
        self.state.close()
        self.warehouse.let_go()
