"""What a run can be plotted by: numbers of its steps, by dealer and in all. Counts, seconds and shares only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from autoflex_pipeline.claire.delivery import DealerDelivery
from autoflex_pipeline.model import MODELS, RAW_ENTITIES
from autoflex_pipeline.quality.latency import run_latency
from autoflex_pipeline.runs.context import RunContext
from autoflex_pipeline.runs.steps import Staged
from autoflex_pipeline.staging import StageCounts
from autoflex_pipeline.staging.accounting import DealerAccount, account_run
from autoflex_pipeline.state.dealers import dealer_row

ByDealer = dict[str, dict[str, int]]


def staged_numbers(context: RunContext, staged: Staged) -> dict[str, ByDealer]:
    """By entity and dealer of the run: rows_in, accepted, unchanged, repaired, warned, quarantined.

    ``accepted``, ``repaired``, ``warned`` and ``quarantined`` are of what this staging took; rows that came as they
    were known are ``unchanged``.
    """
    with context.warehouse.open() as connection:
        accounts = account_run(connection, context.run_id)
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


def delivered_numbers(context: RunContext, deliveries: Mapping[str, DealerDelivery]) -> dict[str, Any]:
    """Over all dealers of the run: retries, the longest time since a dealer's last success, latency to Claire."""
    now = context.clock()
    with context.state.begin() as state:
        successes = [dealer_row(state, dealer.id)["last_success_at"] for dealer in context.dealers]
    lags = [(now - success).total_seconds() for success in successes if success is not None]
    with context.warehouse.open() as connection:
        latency = run_latency(connection, context.run_id, now)
    return {
        "retries": sum(delivery.retries for delivery in deliveries.values()),
        "dealers_never_succeeded": len(successes) - len(lags),
        "lag_seconds": round(max(lags, default=0), 1),
        **latency,
    }
