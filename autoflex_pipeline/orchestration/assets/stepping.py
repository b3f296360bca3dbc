"""What every asset's body begins with: the run as the steps know it, and what all assets have in common."""

# Dagster reads annotations of configuration and resources as objects: no `from __future__ import annotations` here.

from dataclasses import replace
from datetime import date
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias

import dagster as dg

from autoflex_pipeline.errors import PipelineError
from autoflex_pipeline.orchestration.partitions import PARTITION, RANGE_END, RANGE_START, months_by_dealer
from autoflex_pipeline.orchestration.resources import Installation, RunOptionsResource, failure
from autoflex_pipeline.runs.context import RunContext
from autoflex_pipeline.sources.window import month_bounds, months_between

ONE_RUN = dg.BackfillPolicy.single_run()
"""Any number of months is one run: of every asset of the job, or Dagster starts a run for each month."""

Context = dg.AssetExecutionContext
if TYPE_CHECKING:
    Materialized: TypeAlias = dg.MaterializeResult[Any]
else:
    Materialized = dg.MaterializeResult  # Dagster knows the bare class only


def run_context(context: Context, installation: Installation, options: RunOptionsResource) -> RunContext:
    """The run as the steps know it; a window when the run was asked for months."""
    name = context.op_execution_context.op_handle.name
    if installation.on_step:
        installation.on_step(name)
    try:
        chosen = options.options(_window(context))
        if chosen.window and not chosen.dealers:
            chosen = replace(chosen, dealers=_dealers_of_months(context, installation))
        return installation.run_context(context.run.run_id, chosen)
    except PipelineError as error:
        raise failure(error) from None


def asked_months(context: Context, installation: Installation) -> dict[str, list[tuple[date, date]]]:
    """Of each dealer the months (first and last days) that the run was asked for.

    Not from ``context.partition_keys``: of a backfill that was launched on its job's page Dagster gives only the very
    first of all cells there, also to the runs of other dealers (1.13). The tags of the range are right.
    """
    months = sorted(key.partition("|")[2] for key in _asked_keys(context))
    spans = [month_bounds(month) for month in months_between(months[0], months[-1])]
    return dict.fromkeys(_dealers_of_months(context, installation), spans)


def _dealers_of_months(context: Context, installation: Installation) -> tuple[str, ...]:
    """The dealers whose months the run was asked for: no other dealer is touched by it."""
    ids = installation.settings.dealer_ids
    places = [ids.index(dealer_id) for dealer_id in months_by_dealer(_asked_keys(context))]
    return ids[min(places) : max(places) + 1]


def _asked_keys(context: Context) -> list[str]:
    """The partition keys in the run's tags: one, or the first and the last of a range."""
    tags = context.run.tags
    return [tags[tag] for tag in (RANGE_START, RANGE_END, PARTITION) if tag in tags]


def _window(context: Context) -> tuple[date, date] | None:
    """First and last day of the months that the run was asked for; None for a tick."""
    spans = [span for months in months_by_dealer(_asked_keys(context)).values() for span in months]
    return (min(span[0] for span in spans), max(span[1] for span in spans)) if spans else None


def seconds_since(started: float) -> dict[str, float]:
    """How long a step took so far, as metadata; ``started`` is of ``time.monotonic``."""
    return {"seconds": round(monotonic() - started, 2)}
