"""Ask the dealers' DMSs, all at once, with the warehouse closed; what came is handed over as extracts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import duckdb

from autoflex_pipeline.runs.accounts import note_lost
from autoflex_pipeline.runs.context import RunContext
from autoflex_pipeline.settings import DealerSettings
from autoflex_pipeline.sources.autoflex_api import AutoflexApi, Reading, Record
from autoflex_pipeline.sources.connections import DMS_CAUSE
from autoflex_pipeline.sources.extract import Extract
from autoflex_pipeline.sources.months import MonthRead
from autoflex_pipeline.sources.storing import store_extracts
from autoflex_pipeline.state.holds import current_hold, lift_hold
from autoflex_pipeline.state.runs import ProblemKind
from autoflex_pipeline.state.totals import count_requests


@dataclass(slots=True)
class ReadReport:
    """What a step read: records, requests and partial extracts, per dealer id; orders now known to be gone.

    ``months``: how each month that a backfill was asked for went.
    """

    records: dict[str, int] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)
    partial: dict[str, str] = field(default_factory=dict)
    gone: dict[str, list[str]] = field(default_factory=dict)
    months: list[MonthRead] = field(default_factory=list)

    def add(self, extract: Extract) -> None:
        """Count an extract."""
        dealer = extract.dealer_id
        self.records[dealer] = self.records.get(dealer, 0) + len(extract.records)
        self.requests[dealer] = self.requests.get(dealer, 0) + extract.requests
        if not extract.is_complete:
            self.partial[dealer] = extract.error or "broke off"


def ask_dealers(
    context: RunContext,
    dealers: Iterable[DealerSettings],
    source: str,
    question: Callable[[AutoflexApi, DealerSettings], Reading],
    *,
    in_scope: Callable[[DealerSettings, Record], bool] | None = None,
    window: Callable[[DealerSettings], tuple[date, date]] | None = None,
    first: bool = False,
) -> dict[str, Extract]:
    """Ask the dealers at once; gives the extract of each dealer id that answered.

    A reading that broke off is noted as the dealer's failure; what it brought is handed over all the same. When the
    ``first`` question brings nothing, the DMS counts as out of reach: it is asked nothing more in this run, so that
    waiting for it does not hold up the other dealers.
    """

    def ask(dealer: DealerSettings) -> Extract:
        started = context.clock()
        reading = question(context.apis.get(dealer), dealer)
        records = reading.records
        if in_scope is not None:
            records = tuple(record for record in records if in_scope(dealer, record))
        return Extract.of(
            reading,
            dealer_id=dealer.id,
            source=source,
            started_at=started,
            finished_at=context.clock(),
            records=records,
            window=window(dealer) if window else None,
        )

    answers = {dealer.id: extract for dealer, extract in context.for_each(dealers, ask, counts=_counts)}
    for dealer_id, extract in answers.items():
        _take_in(context, extract)
        if not extract.is_complete:
            what = extract.error or "the answer broke off"
            context.note(
                dealer_id,
                _kind_of_failure(extract) if first else "source",
                f"{source} was read only in part: {what}; it is read again when the dealer is next asked",
            )
    return answers


def store(
    context: RunContext, connection: duckdb.DuckDBPyConnection, extracts: Sequence[Extract]
) -> dict[str, frozenset[str]]:
    """Store the extracts; gives what is to be read again, because another run came to know it otherwise meanwhile."""
    stored = store_extracts(connection, extracts, run_id=context.run_id)
    note_lost(context, stored.lost)
    return stored.outdated


def read_again(
    context: RunContext,
    outdated: Mapping[str, frozenset[str]],
    source: str,
    question: Callable[[AutoflexApi, frozenset[str]], Reading],
) -> list[Extract]:
    """Ask anew for what another run came to know while this run read it, and store it; gives what came.

    This reading begins after the other one has ended, so that it is the newer one.
    """
    if not outdated:
        return []
    dealers = [context.settings.dealer(dealer_id) for dealer_id in outdated]
    read = ask_dealers(context, dealers, source, lambda api, dealer: question(api, outdated[dealer.id]))
    with context.warehouse.open() as connection:
        still = store(context, connection, list(read.values()))
    for dealer_id, numbers in still.items():
        context.note(
            dealer_id,
            "source",
            f"{source}: another run read {len(numbers)} of the same records meanwhile, twice, and they differ; what "
            "it stored stays; they are read again when the dealer is next asked",
        )
    return [_without(extract, still.get(dealer_id, frozenset())) for dealer_id, extract in read.items()]


def _without(extract: Extract, numbers: frozenset[str]) -> Extract:
    """The extract as if these had not been asked for."""
    return replace(extract, read_ids=extract.read_ids - numbers, not_found=extract.not_found - numbers)


def _kind_of_failure(extract: Extract) -> ProblemKind:
    """What it says of the DMS that a first question was not answered whole."""
    if extract.records:
        return "source"
    return "configuration" if extract.is_refused else "transport"


def _counts(extract: Extract) -> dict[str, int]:
    return {"requests": extract.requests, "records": len(extract.records), "complete": int(extract.is_complete)}


def _take_in(context: RunContext, extract: Extract) -> None:
    """The DMS answered: requests are counted, and when it did as a whole, a hold on the dealer's login has ended."""
    with context.state.begin() as connection:
        count_requests(connection, extract.dealer_id, extract.requests)
        held = current_hold(connection, extract.dealer_id)
        if extract.is_complete and held and held["cause"].startswith(DMS_CAUSE):
            lift_hold(connection, extract.dealer_id)


def report_of(context: RunContext, extracts: Sequence[Extract]) -> ReadReport:
    """What the extracts brought, with a zero for dealers that brought none."""
    report = ReadReport()
    for dealer in context.dealers:
        report.records.setdefault(dealer.id, 0)
    for extract in extracts:
        report.add(extract)
    return report
