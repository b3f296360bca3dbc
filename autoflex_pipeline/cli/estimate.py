"""``autoflex-pipeline sync --estimate``: what a backfill would cost, before it starts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from autoflex_pipeline.cli.output import EXIT_FAILED, EXIT_OK, complain, console, print_json, print_table


def show_estimate(opened: Any, options: dict[str, Any], months: tuple[str, str], *, json: bool) -> int:
    """Print the estimate; gives the exit code, 1 when a dealer could not be looked at."""
    from autoflex_pipeline.runs.estimate import estimate_backfill
    from autoflex_pipeline.sources.window import month_bounds

    found = estimate_backfill(
        opened.settings,
        opened.apis,
        opened.settings.select(options["dealers"]),
        month_bounds(months[0])[0],
        month_bounds(months[1])[1],
        deliver_history=options["deliver_history"],
    )
    if json:
        print_json(asdict(found))
        return EXIT_OK if found.is_whole else EXIT_FAILED
    rows = [
        [dealer_id, each.orders_in_months, each.orders, sum(each.requests.values()), span(each.seconds), each.documents]
        for dealer_id, each in found.dealers.items()
        if each.error is None
    ]
    columns = ["dealer", "orders in the months", "orders in all", "requests", "time", "to Claire"]
    print_table(f"What a backfill of {months[0]} to {months[1]} would cost, at most", columns, rows)
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
