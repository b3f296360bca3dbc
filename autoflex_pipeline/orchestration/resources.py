"""What assets are given: the installation (settings, stores, connections) and the options of the run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from functools import cached_property
from pathlib import Path

import dagster as dg
from pydantic import Field

from autoflex_pipeline.claire.client import ClaireConnections
from autoflex_pipeline.errors import ConfigurationError, PipelineError
from autoflex_pipeline.runs import guards
from autoflex_pipeline.runs.clock import RunClock
from autoflex_pipeline.runs.context import RunContext, RunOptions, utc_now
from autoflex_pipeline.settings import Settings, load_settings
from autoflex_pipeline.sources.connections import ApiConnections
from autoflex_pipeline.sources.months import MonthRead
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.state.locks import RunMark
from autoflex_pipeline.telemetry.traces import TraceTeller
from autoflex_pipeline.warehouse import Warehouse


class Installation:
    """One installation of the product: its configuration file, stores and connections, opened when first needed.

    ``on_step`` is told the name of each step as it begins, ``on_month`` each month of a backfill as it was read: for a
    progress bar.
    """

    def __init__(
        self,
        config: Path | None = None,
        *,
        clock: Callable[[], datetime] = utc_now,
        on_step: Callable[[str], None] | None = None,
    ) -> None:
        self.config = config
        self.clock = clock
        self.on_step = on_step
        self.on_month: Callable[[MonthRead], None] | None = None
        self.apis = ApiConnections()
        self._run: tuple[str, RunClock] | None = None
        self._mark: RunMark | None = None

    @cached_property
    def settings(self) -> Settings:
        """The configuration; ConfigurationError names the key and the file."""
        return load_settings(self.config)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The pipeline's DuckDB."""
        return Warehouse(self.settings.warehouse.path)

    @cached_property
    def state(self) -> StateStore:
        """The state store beside it."""
        return StateStore(self.settings.warehouse.state_path)

    @cached_property
    def claire(self) -> ClaireConnections:
        """The connections to Claire."""
        return ClaireConnections(self.settings)

    @cached_property
    def teller(self) -> TraceTeller | None:
        """Who is told how long the steps of a run took; None when nobody is."""
        return TraceTeller(self.settings.telemetry) if self.settings.telemetry.otlp_endpoint else None

    def check_before_run(self) -> RunClock:
        """The clock of a run that may start now; PipelineError, and nothing is touched, when it may not."""
        return guards.before_run(self.settings, self.warehouse, lambda: self.state, self.clock)

    def run_context(self, run_id: str, options: RunOptions) -> RunContext:
        """What the steps of one run are given; PipelineError when the run may not start.

        From here to ``end_run`` (or the end of the process) nothing can be restored.
        """
        if self._mark is None:
            self._mark = RunMark(self.settings.warehouse.state_path)
        if self._run is None or self._run[0] != run_id:
            try:
                self._run = run_id, self.check_before_run()
            except BaseException:
                self.end_run()
                raise
        return RunContext(
            settings=self.settings,
            warehouse=self.warehouse,
            state=self.state,
            apis=self.apis,
            claire=self.claire,
            run_id=run_id,
            options=options,
            clock=self._run[1],
            teller=self.teller,
        )

    def end_run(self) -> None:
        """The run has ended, well or not."""
        if self._mark is not None:
            self._mark.close()
            self._mark = None

    def close(self) -> None:
        """Close connections and stores."""
        self.end_run()
        self.apis.close()
        if "claire" in self.__dict__:
            self.claire.close()
        if "warehouse" in self.__dict__:
            self.warehouse.close()
        if "state" in self.__dict__:
            self.state.close()
        if (teller := self.__dict__.get("teller")) is not None:
            teller.close()


class RunOptionsResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """What a person or the schedule asks of a run. Every default is the safe choice."""

    dealers: list[str] = Field(default=[], description="Ids of the dealers to take; empty: all.")
    dry_run: bool = Field(default=False, description="Do everything but sending; the difference by field is shown.")
    allow_mass_change: bool = Field(
        default=False,
        description="Let through what the mass-change guard stopped. Look at a dry run before you switch it on.",
    )
    full: bool = Field(
        default=False,
        description="Read all open orders with their lines, cars and parties anew, and validate quarantine again.",
    )
    deliver_history: bool = Field(
        default=False, description="Backfill only: also send billed work orders to Claire that it does not have."
    )
    reread: bool = Field(
        default=False, description="Read the cars and parties of today and tomorrow even if they are fresh."
    )
    patient: bool = Field(
        default=False,
        description="Send nothing to a Claire that did not answer lately before its next try is due; the schedule's "
        "runs do so.",
    )
    day: str = Field(
        default="",
        description="YYYY-MM-DD: deliver only the appointments of that day; a later sync does the rest.",
    )
    numbers: list[str] = Field(default=[], description="With one dealer: deliver only these DMS numbers.")
    force: bool = Field(default=False, description="With numbers: send them although rejected before, or equal.")
    from_command_line: bool = Field(default=False, description="Set by the commands: publish at the end of the run.")

    def options(self, window: tuple[date, date] | None = None) -> RunOptions:
        """The options as the steps know them; ConfigurationError when they do not go together."""
        if self.numbers and len(self.dealers) != 1:
            raise ConfigurationError("options.numbers goes with exactly one dealer in options.dealers: name it")
        if self.force and not self.numbers:
            raise ConfigurationError("options.force goes with options.numbers: name the appointments")
        if self.day and (window is not None or self.numbers):
            raise ConfigurationError("options.day goes with a sync of the open orders, not with months or numbers")
        return RunOptions(
            dealers=tuple(self.dealers),
            dry_run=self.dry_run,
            allow_mass_change=self.allow_mass_change,
            full=self.full,
            deliver_history=self.deliver_history,
            reread=self.reread,
            patient=self.patient,
            window=window,
            day=day_of(self.day, "options.day") if self.day else None,
            numbers=frozenset(self.numbers) or None,
            force=self.force,
        )


def day_of(text: str, name: str) -> date:
    """The day that ``text`` (YYYY-MM-DD) names; ConfigurationError for another text, naming the option."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{name} {text!r} must be YYYY-MM-DD, such as 2026-11-27") from None


def failure(error: PipelineError) -> dg.Failure:
    """Why a run may not start, as Dagster shows it: one line, no retry."""
    return dg.Failure(description=str(error), allow_retries=False)
