"""A whole run without Dagster: the same steps in the same order, in a fraction of the time.

What it does is what ``orchestration/assets/`` does; ``pipeline/test_domain.py`` proves that both leave the same.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from autoflex_pipeline.runs import steps
from autoflex_pipeline.runs.closing import close_run
from autoflex_pipeline.runs.context import RunContext, RunOptions
from autoflex_pipeline.runs.orders import read_months, read_open_orders
from autoflex_pipeline.runs.parts import read_lines, read_relations, read_vehicles
from autoflex_pipeline.runs.publishing import publish_when_due

Months = Mapping[str, Sequence[tuple[date, date]]]


def new_run_id() -> str:
    """As unlike any other as Dagster's."""
    return str(uuid.uuid4())


def run_domain(context: RunContext, *, months: Months | None = None, publish: bool = True) -> dict[str, dict[str, Any]]:
    """Run the steps to the end; gives the summary of each dealer. ``months``: dealer id to its months, each as first
    and last day."""
    read_orders: Callable[[], object] = (
        (lambda: read_open_orders(context)) if months is None else (lambda: read_months(context, months))
    )
    read_orders()
    read_lines(context)
    read_vehicles(context)
    read_relations(context)
    steps.stage(context)
    unbalanced = steps.account(context).unbalanced
    assert not unbalanced, f"extracted = accepted + unchanged + quarantined + skipped does not hold for {unbalanced}"
    summaries = close_run(context, steps.deliver(context))
    if publish:
        publish_when_due(context, from_command_line=True)
    return summaries


def options_of_months(months: Months, **options: Any) -> RunOptions:
    """The options of a backfill of these months."""
    spans = [span for dealer_months in months.values() for span in dealer_months]
    window = (min(span[0] for span in spans), max(span[1] for span in spans))
    return RunOptions(window=window, **options)
