"""``autoflex-pipeline months``: the grid of dealer × month, as backfills have left it."""

from __future__ import annotations

from datetime import datetime
from itertools import groupby
from typing import Annotated, Any

import typer

from autoflex_pipeline.cli.month_range import both_ends
from autoflex_pipeline.cli.output import Config, Dealers, Json, complain, console, installation, print_json, print_table
from autoflex_pipeline.errors import ConfigurationError

MONTHS_SHOWN = 12
NAMES = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def months(
    config: Config = None,
    dealer: Dealers = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", help="First month; else eleven months before the last one.", metavar="YYYY-MM"),
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", help="Last month, inclusive; else the current one.", metavar="YYYY-MM")
    ] = None,
    json: Json = False,
) -> None:
    """Which months of which dealer were backfilled whole, which failed and why, and which never were. Reads only.

    A number is a month that was read whole, with its work orders; FAILED was tried and never read whole; a number with
    ! was read whole once, and its last try failed; a dot was never asked for.

    \b
    Examples:
      autoflex-pipeline months
      autoflex-pipeline months --dealer garage-jansen --from 2022-01 --json
    """
    from autoflex_pipeline.lineage.stores import empty_copy
    from autoflex_pipeline.sources.months import months_grid

    with installation(config) as opened:
        chosen = opened.settings.select(dealer or [])
        wanted = _wanted(from_, to, opened.clock().astimezone(chosen[0].zone))
        # Before the first run there is nothing to read, and nothing is made for it.
        with opened.warehouse.open() if opened.warehouse.is_there else empty_copy() as connection:
            grids = {each.id: months_grid(connection, each.id, wanted) for each in chosen}
    if json:
        print_json({"dealers": grids})
        return
    rows = [
        [dealer_id, year, *_cells(list(of_year))]
        for dealer_id, grid in grids.items()
        for year, of_year in groupby(grid, key=lambda row: row["month"][:4])
    ]
    print_table("Backfilled months", ["dealer", "year", *NAMES], rows)
    for dealer_id, grid in grids.items():
        for row in grid:
            if row["error"]:
                complain(f"{dealer_id} {row['month']}: {row['error']}")
    failed = [row for grid in grids.values() for row in grid if row["error"]]
    if failed:
        console().print(f"{len(failed)} months are not whole: autoflex-pipeline sync --from … --to … reads them again")


def _wanted(first: str | None, last: str | None, now: datetime) -> list[str]:
    """The months to show."""
    from autoflex_pipeline.sources.window import month_bounds, months_between

    current = f"{now:%Y-%m}"
    try:
        if first is not None:
            return months_between(*both_ends(first, last, current=current))
        last = last or current
        end = month_bounds(last)[0]
        year, month = divmod(end.year * 12 + end.month - MONTHS_SHOWN, 12)
        return months_between(f"{year:04d}-{month + 1:02d}", last)
    except ValueError as error:
        raise ConfigurationError(f"--from/--to: {error}") from None


def _cells(of_year: list[dict[str, Any]]) -> list[str]:
    """A cell for each month of a year; empty for one that was not asked for here."""
    by_month = {int(row["month"][5:]): row for row in of_year}
    return [_cell(by_month[number]) if number in by_month else "" for number in range(1, 13)]


def _cell(row: dict[str, Any]) -> str:
    if row["state"] == "never":
        return "·"
    if row["state"] == "failed":
        return "FAILED"
    return f"{row['orders']}" if row["state"] == "complete" else f"{row['orders']}!"
