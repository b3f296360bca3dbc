"""``autoflex-pipeline resend``: send rejected (or any) documents again."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from autoflex_pipeline.cli.output import EXIT_FAILED, EXIT_OK, Config, Json, complain, installation, print_json
from autoflex_pipeline.cli.sync import run_and_summarise, show_summary


def resend(
    dms_numbers: Annotated[list[str], typer.Argument(help="DMS numbers of the appointments.")],
    dealer: Annotated[str, typer.Option("--dealer", help="Id of the dealer.", metavar="ID")],
    config: Config = None,
    json: Json = False,
) -> None:
    """Send the documents of these appointments again, also when Claire rejected them or they have not changed.

    The DMS is not read. Exit 1 when one of them is not known, or was not delivered.

    \b
    Example:
      autoflex-pipeline resend --dealer garage-jansen 50012 50013
    """
    with installation(config, needs_secrets=True) as opened:
        opened.settings.dealer(dealer)
        known = _staged(opened, dealer, dms_numbers)
        unknown = [number for number in dms_numbers if number not in known]
        for number in unknown:
            complain(f"{dealer}: appointment {number!r} is not in staging; `quarantine show {number}` may tell why")
        if not known:
            raise typer.Exit(EXIT_FAILED)
        options = {"dealers": [dealer], "numbers": sorted(known), "force": True}
        summary, _ = run_and_summarise(opened, options, quiet=json)
    if json:
        print_json(summary)
    else:
        show_summary(summary)
    raise typer.Exit(EXIT_OK if summary["ok"] and not unknown else EXIT_FAILED)


def _staged(opened: Any, dealer: str, dms_numbers: list[str]) -> set[str]:
    query = "SELECT dms_number FROM appointment WHERE dealer_id = ? AND dms_number IN (SELECT unnest(?::VARCHAR[]))"
    with opened.warehouse.open() as connection:
        return {row[0] for row in connection.execute(query, [dealer, dms_numbers]).fetchall()}
