"""``autoflex-pipeline doctor``: is everything there, and does what is assumed of the vendors hold?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from autoflex_pipeline.cli.output import EXIT_FAILED, Config, Dealers, Json, console, print_json
from autoflex_pipeline.plain_text import shown
from autoflex_pipeline.settings import load_settings

MARKS = {True: "ok     ", False: "WRONG  ", None: "unknown"}


def doctor(
    config: Config = None,
    dealer: Dealers = None,
    openapi: Annotated[
        Path | None,
        typer.Option("--openapi", help="The vendor's OpenAPI file (JSON) to compare names with.", metavar="FILE"),
    ] = None,
    json: Json = False,
) -> None:
    """Check configuration, logins, every assumed name of the vendors, write access and clock; one line each.

    Nothing is changed at the vendors, and nothing is made here; stores of an older version get this one's tables and
    columns. Exit 1 when something is wrong.

    \b
    Example:
      autoflex-pipeline doctor --dealer garage-jansen
    """
    from autoflex_pipeline.runs.doctor import examine

    settings = load_settings(config)
    found = []
    for check in examine(settings, settings.select(dealer or []), openapi=openapi):
        found.append(check)
        if not json:
            console().print(Text(shown(f"{MARKS[check.ok]}  {check.subject}: {check.name}: {check.detail}")))
    wrong = sum(check.ok is False for check in found)
    if json:
        print_json({"ok": wrong == 0, "checks": [asdict(check) for check in found]})
    else:
        unknown = sum(check.ok is None for check in found)
        console().print(f"{len(found)} checks: {wrong} wrong, {unknown} that could not be judged")
    if wrong:
        raise typer.Exit(EXIT_FAILED)
