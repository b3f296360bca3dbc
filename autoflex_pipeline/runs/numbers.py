"""What a run can be plotted by: numbers of its steps, by dealer and in all. Counts, seconds and shares only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import duckdb

from autoflex_pipeline.claire.delivery import DealerDelivery
from autoflex_pipeline.model import MODELS, RAW_ENTITIES
from autoflex_pipeline.quality.latency import run_latency
from autoflex_pipeline.quality.preview import masked_rows
from autoflex_pipeline.quality.trends import ByDay, arrivals_by_day, latency_by_day
from autoflex_pipeline.runs.context import RunContext
from autoflex_pipeline.runs.steps import Staged
from autoflex_pipeline.staging import StageCounts
from autoflex_pipeline.staging.accounting import DealerAccount, account_run
from autoflex_pipeline.state.dealers import dealer_row

ByDealer = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class StagedView:
    """What staging left, to look at.

    ``counts`` by entity and dealer of the run: rows_in, accepted, unchanged, repaired, warned, quarantined. The last
    three and accepted are of what this staging took; rows that came as they were known are unchanged. ``rows`` are
    those of the whole table, ``previews`` its newest with what is personal struck out.
    """

    counts: dict[str, ByDealer]
    rows: dict[str, int]
    previews: dict[str, list[dict[str, Any]]]
    arrivals: ByDay


@dataclass(frozen=True, slots=True)
class DeliveredView:
    """What delivery left, to look at: ``numbers`` of the run over its dealers, latency over the last two weeks."""

    numbers: dict[str, Any]
    latency: ByDay


def staged_view(context: RunContext, staged: Staged) -> StagedView:
    """Look at what staging left."""
    with context.warehouse.open() as connection:
        accounts = account_run(connection, context.run_id)
        rows = {entity: _rows(connection, entity) for entity in MODELS}
        previews = {entity: masked_rows(connection, entity) for entity in MODELS}
        arrivals = arrivals_by_day(connection, context.clock())
    return StagedView(_counts(context, staged, accounts), rows, previews, arrivals)


def _rows(connection: duckdb.DuckDBPyConnection, entity: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {entity}").fetchall()[0][0])


def _counts(context: RunContext, staged: Staged, accounts: Mapping[str, DealerAccount]) -> dict[str, ByDealer]:
    dealer_ids = {dealer.id for dealer in context.dealers} | {
        dealer_id for counts in staged.counts.values() for dealer_id in counts
    }
    return {
        entity: {
            dealer_id: _staged(
                entity, staged.counts[entity].get(dealer_id, StageCounts()), accounts.get(dealer_id, DealerAccount())
            )
            for dealer_id in sorted(dealer_ids)
        }
        for entity in MODELS
    }


def _staged(entity: str, counts: StageCounts, account: DealerAccount) -> dict[str, int]:
    return {
        "rows_in": account.extracted.get(RAW_ENTITIES[entity], 0),
        "unchanged": account.staged[entity]["unchanged"],
        **asdict(counts),
    }


def delivered_view(context: RunContext, deliveries: Mapping[str, DealerDelivery]) -> DeliveredView:
    """Look at what delivery left: retries, the longest time since a dealer's last success, latency to Claire."""
    now = context.clock()
    with context.state.begin() as state:
        successes = [dealer_row(state, dealer.id)["last_success_at"] for dealer in context.dealers]
    lags = [(now - success).total_seconds() for success in successes if success is not None]
    with context.warehouse.open() as connection:
        of_run = run_latency(connection, context.run_id, now)
        by_day = latency_by_day(connection, now)
    numbers = {
        "retries": sum(delivery.retries for delivery in deliveries.values()),
        "dealers_never_succeeded": len(successes) - len(lags),
        "lag_seconds": round(max(lags, default=0), 1),
        **of_run,
    }
    return DeliveredView(numbers, by_day)
