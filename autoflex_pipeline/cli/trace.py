"""``autoflex-pipeline trace``: where is this work order?"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from autoflex_pipeline.cli.output import EXIT_FAILED, Config, Json, complain, console, print_json
from autoflex_pipeline.errors import ConfigurationError
from autoflex_pipeline.settings import load_settings


def trace(
    query: Annotated[
        str | None, typer.Argument(help="WO number, DMS number or plate, however it is typed.", metavar="QUERY")
    ] = None,
    dealer: Annotated[
        str | None, typer.Option("--dealer", help="Id of the dealer; with --raw it may be left out.", metavar="ID")
    ] = None,
    raw: Annotated[
        str | None,
        typer.Option("--raw", help="Forward from a raw record: its raw_hash, or how it begins.", metavar="HASH"),
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Where is this work order: its raw records, repairs, findings, versions, deliveries, and what Claire holds.

    Says in one sentence why it is not in Claire when it is not. With --raw: every version that a raw record made, every
    appointment that it reached and every attempt to deliver them. Changes nothing; works while a run is going.
    Exit 1 when nothing is found.

    \b
    Examples:
      autoflex-pipeline trace --dealer garage-jansen 2026-00417
      autoflex-pipeline trace --dealer garage-jansen "12 ab 3c" --json
      autoflex-pipeline trace --raw 3f9a5c1e
    """
    settings = load_settings(config)
    if (query is None) == (raw is None):
        raise ConfigurationError("give either QUERY (a WO number, a DMS number or a plate) or --raw HASH")
    if query is not None and dealer is None:
        raise ConfigurationError(f"--dealer is missing; known are: {', '.join(settings.dealer_ids)}")
    with _without_pandas():
        if raw is not None:
            _forward(settings, raw, dealer, json)
        else:
            _backward(settings, str(dealer), str(query), json)


def _backward(settings: Any, dealer_id: str, query: str, json: bool) -> None:
    from autoflex_pipeline.lineage.trace import trace_orders

    found = trace_orders(settings, dealer_id, query)
    if json:
        print_json(found.orders[0] if len(found.orders) == 1 else found.orders)
    else:
        from autoflex_pipeline.cli.tree import order_tree

        for order in found.orders:
            console().print(order_tree(order, settings.dealer(dealer_id).zone))
    if found.nothing is not None:
        near = ", ".join(f"{value} ({kind})" for kind, value in found.near)
        complain(found.nothing + (f"; near: {near}" if near else ""))
        raise typer.Exit(EXIT_FAILED)


def _forward(settings: Any, raw_hash: str, dealer_id: str | None, json: bool) -> None:
    from autoflex_pipeline.lineage.forward import trace_raw

    found = trace_raw(settings, raw_hash, dealer_id)
    if json:
        print_json(found[0] if len(found) == 1 else found)
    else:
        from autoflex_pipeline.cli.tree import raw_tree
        from autoflex_pipeline.staging.context import DEFAULT_ZONE

        # What is stored of a dealer stays when it is taken out of the configuration.
        zones = {dealer.id: dealer.zone for dealer in settings.dealers}
        for record in found:
            console().print(raw_tree(record, zones.get(record["raw"]["dealer_id"], ZoneInfo(DEFAULT_ZONE))))
    if not found:
        where = f"dealer {dealer_id}" if dealer_id else f"any of {len(settings.dealers)} dealers"
        complain(f"no raw record of {where} has a raw_hash that begins with {raw_hash!r}; `trace --json` shows them")
        raise typer.Exit(EXIT_FAILED)


@contextmanager
def _without_pandas() -> Iterator[None]:
    """Keep DuckDB from importing pandas with the first bound value: it does when it can, and takes 1.6 s for it.

    Seen with DuckDB 1.5.5 (2026-11); nothing that runs in the block makes a frame.
    """
    if "pandas" in sys.modules:
        yield
        return
    sys.modules["pandas"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["pandas"]
