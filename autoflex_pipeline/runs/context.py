"""What every step of a run is given: options, stores, connections, clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TypeVar

from autoflex_pipeline.claire.client import ClaireConnections
from autoflex_pipeline.errors import ConfigurationError, LoginRefusedError, PipelineError, unexpected
from autoflex_pipeline.runs.spans import Span, Teller, measured
from autoflex_pipeline.settings import DealerSettings, Settings
from autoflex_pipeline.sources.connections import ApiConnections, login_fingerprint
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.state.holds import HoldKind, place_hold
from autoflex_pipeline.state.runs import ProblemKind, note_problem, problems
from autoflex_pipeline.warehouse import Warehouse

T = TypeVar("T")

DEALERS_AT_ONCE = 16


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a person or the schedule asks of a run; every default is the safe choice.

    ``dealers`` empty means all; ``numbers`` (with one dealer) delivers only these appointments, ``force`` also when
    they were rejected or equal; ``reread`` reads the cars and parties of today and tomorrow even if they are fresh;
    ``patient`` sends nothing to a Claire that did not answer lately before its next try is due; ``day`` reads and
    stages as a tick does, and delivers only the appointments of that day.
    """

    dealers: tuple[str, ...] = ()
    dry_run: bool = False
    allow_mass_change: bool = False
    full: bool = False
    deliver_history: bool = False
    reread: bool = False
    patient: bool = False
    window: tuple[date, date] | None = None
    day: date | None = None
    numbers: frozenset[str] | None = None
    force: bool = False

    @property
    def delivers_all(self) -> bool:
        """Whether the whole dealer is delivered: only then it is known how the dealer stands."""
        return self.window is None and self.day is None and self.numbers is None


@dataclass(slots=True)
class RunContext:
    """One run: its settings, stores and connections. ``clock`` gives the present moment in UTC.

    ``teller`` is told how long each step took; ``step`` is the one under way, ``dealer_spans`` its dealers so far.
    """

    settings: Settings
    warehouse: Warehouse
    state: StateStore
    apis: ApiConnections
    claire: ClaireConnections
    run_id: str
    options: RunOptions = field(default_factory=RunOptions)
    clock: Callable[[], datetime] = utc_now
    teller: Teller | None = None
    step: Span | None = None
    dealer_spans: list[Span] = field(default_factory=list)

    @property
    def dealers(self) -> tuple[DealerSettings, ...]:
        """The dealers that the run takes."""
        return self.settings.select(self.options.dealers)

    def today(self, dealer: DealerSettings) -> date:
        """Today, where the dealer is."""
        return self.clock().astimezone(dealer.zone).date()

    def readable_dealers(self) -> tuple[DealerSettings, ...]:
        """The run's dealers with an API that could be reached and logged in to in this run."""
        with self.state.begin() as connection:
            known = problems(connection, self.run_id)
        out = {
            dealer_id
            for dealer_id, noted in known.items()
            if any(problem["kind"] in ("login", "configuration", "transport") for problem in noted)
        }
        return tuple(dealer for dealer in self.dealers if dealer.api and dealer.id not in out)

    def note(self, dealer_id: str, kind: ProblemKind, message: str) -> None:
        """Note what went wrong for the dealer in this run."""
        with self.state.begin() as connection:
            note_problem(connection, self.run_id, dealer_id, kind, message, self.clock())

    def note_error(self, dealer: DealerSettings, error: PipelineError) -> None:
        """Note an error of the dealer's DMS; a refused or missing login is not tried every minute."""
        kind: ProblemKind = "source"
        if isinstance(error, ConfigurationError):
            held: HoldKind = "login" if isinstance(error, LoginRefusedError) else "configuration"
            kind = held
            self.hold(dealer, held, str(error))
        self.note(dealer.id, kind, str(error))

    def hold(self, dealer: DealerSettings, kind: HoldKind, message: str) -> None:
        """Hold the dealer for what its DMS refuses, until its settings or secrets change."""
        with self.state.begin() as connection:
            place_hold(connection, dealer.id, kind, login_fingerprint(dealer), message, self.clock())

    def for_each(
        self,
        dealers: Iterable[DealerSettings],
        ask: Callable[[DealerSettings], T],
        *,
        counts: Callable[[T], Mapping[str, int]] | None = None,
    ) -> list[tuple[DealerSettings, T]]:
        """Ask all dealers at once; a dealer whose asking fails is noted and left out of the answer.

        ``counts`` gives what of an answer is told of the dealer's part in the step.
        """
        chosen: Sequence[DealerSettings] = tuple(dealers)
        answers: list[tuple[DealerSettings, T]] = []
        if not chosen:
            return answers
        with ThreadPoolExecutor(max_workers=min(DEALERS_AT_ONCE, len(chosen)), thread_name_prefix="dealer") as pool:
            futures = [(dealer, pool.submit(self._ask, ask, dealer, counts)) for dealer in chosen]
            for dealer, future in futures:
                try:
                    answers.append((dealer, future.result()))
                except PipelineError as error:
                    self.note_error(dealer, error)
                except Exception as error:  # one dealer's oddity must not cost the others their run
                    self.note(dealer.id, "source", unexpected(error))
        return answers

    def _ask(
        self,
        ask: Callable[[DealerSettings], T],
        dealer: DealerSettings,
        counts: Callable[[T], Mapping[str, int]] | None,
    ) -> T:
        if self.step is None:
            return ask(dealer)
        span = Span(self.run_id, f"{self.step.name} dealer", parent=self.step.span_id, dealer_id=dealer.id)
        with measured(self.dealer_spans, span):
            answer = ask(dealer)
            span.counts = counts(answer) if counts else {}
            return answer
