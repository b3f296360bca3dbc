"""``autoflex-pipeline sync --estimate``: what a backfill would cost, before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from autoflex_pipeline.cli.output import EXIT_FAILED, EXIT_OK, complain, console, print_json, print_table


def show_estimate(opened: Any, months: Mapping[str, tuple[str, str]], *, deliver_history: bool, json: bool) -> int:
    """Print what the months of each dealer would cost; gives the exit code, 1 when a dealer could not be looked at."""
    from autoflex_pipeline.runs.estimate import estimate_backfill
    from autoflex_pipeline.sources.window import month_bounds

    found = estimate_backfill(
        opened.settings,
        opened.apis,
        opened.warehouse,
        {dealer_id: (month_bounds(first)[0], month_bounds(last)[1]) for dealer_id, (first, last) in months.items()},
        deliver_history=deliver_history,
    )
    if json:
        print_json(asdict(found))
        return EXIT_OK if found.is_whole else EXIT_FAILED
    rows = [
        [
            dealer_id,
            " to ".join(months[dealer_id]),
            each.orders_in_months,
            each.orders,
            sum(each.requests.values()),
            span(each.seconds),
            each.documents,
        ]
        for dealer_id, each in found.dealers.items()
        if each.error is None
    ]
    columns = ["dealer", "months", "orders in them", "orders in all", "requests", "time", "to Claire"]
    print_table("What a backfill would cost, at most", columns, rows)
    for dealer_id, each in found.dealers.items():
        if each.error is not None:
            complain(f"{dealer_id}: {each.error}")
    console().print(f"In all about {found.requests} requests and {span(found.seconds)}: {_sent(found.documents)}.")
    return EXIT_OK if found.is_whole else EXIT_FAILED


def span(seconds: float) -> str:
    """A time in words."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _sent(documents: int) -> str:
    if documents:
        return f"up to {documents} work orders would be sent to Claire"
    return "no history is sent to Claire; --deliver-history would"
