"""``autoflex-pipeline status``: how it stands for each dealer."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from autoflex_pipeline.cli.output import Config, Json, console, installation, print_json, table_of
from autoflex_pipeline.errors import ConfigurationError, PipelineError

SHOWN = ("pending", "waiting", "held", "rejected", "failed", "quarantined")


def status(
    config: Config = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew again and again; Ctrl-C ends it.")] = False,
    interval: Annotated[
        float, typer.Option("--interval", help="Seconds between two looks of --watch.", min=0.5, metavar="SECONDS")
    ] = 5.0,
    rules: Annotated[
        bool, typer.Option("--rules", help="Also how many records each rule keeps in quarantine.")
    ] = False,
    json: Json = False,
) -> None:
    """Per dealer: state, last success, what is pending, waiting, held, rejected, failed, quarantined, what is wrong.

    \b
    Examples:
      autoflex-pipeline status
      autoflex-pipeline status --watch --interval 10
      autoflex-pipeline status --json
    """
    if watch and json:
        raise ConfigurationError("--watch is for people, --json for programs: give one of them")
    with installation(config) as opened:
        if json:
            print_json({"dealers": _look(opened)})
        elif watch:
            _watch(opened, interval, rules=rules)
        else:
            for part in _shown(opened, rules=rules):
                console().print(part)


def _look(opened: Any) -> dict[str, dict[str, Any]]:
    from autoflex_pipeline.runs.status import dealer_status

    found: dict[str, dict[str, Any]] = dealer_status(
        opened.settings, opened.warehouse, opened.state, now=opened.clock()
    )
    return found


def _watch(opened: Any, interval: float, *, rules: bool) -> None:
    """Show it until somebody presses Ctrl-C; a store that is busy is looked at again the next time."""
    with suppress(KeyboardInterrupt), _screen() as show:
        while True:
            try:
                show(_shown(opened, rules=rules))
            except PipelineError as error:
                show([Text(f"not looked at: {error}")])
            wait(interval)


def wait(seconds: float) -> None:
    """Until the next look."""
    time.sleep(seconds)


@contextmanager
def _screen() -> Iterator[Any]:
    """Where the looks are shown: each in place of the one before on a terminal, one below the other elsewhere."""
    from rich.console import Group

    target = console()
    if not sys.stdout.isatty():
        yield lambda parts: target.print(Group(*parts))
        return
    with Live(console=target, auto_refresh=False) as live:
        yield lambda parts: live.update(Group(*parts), refresh=True)


def _shown(opened: Any, *, rules: bool) -> Sequence[RenderableType]:
    from autoflex_pipeline.runs.status import ago, what_is_wrong

    dealers = _look(opened)
    zones = {dealer.id: dealer.zone for dealer in opened.settings.dealers}

    def next_try(dealer_id: str, row: dict[str, Any]) -> str:
        moment = row["next_try_at"]
        return f"{moment.astimezone(zones[dealer_id]):%H:%M}" if moment else ""

    rows: list[list[Any]] = [
        [
            dealer_id,
            row["state"].replace("_", " "),
            ago(row["lag_seconds"]),
            *(row[name] for name in SHOWN),
            next_try(dealer_id, row),
            what_is_wrong(row),
        ]
        for dealer_id, row in dealers.items()
    ]
    moment = opened.clock().astimezone(opened.settings.dealers[0].zone)
    columns = ["dealer", "state", "last success", *SHOWN, "next try", "what is wrong"]
    parts = [table_of(f"Status at {moment:%H:%M:%S}", columns, rows)]
    if rules:
        by_rule = [
            [dealer_id, rule, records]
            for dealer_id, row in dealers.items()
            for rule, records in row["quarantined_by_rule"].items()
        ]
        parts.append(table_of("Quarantine by rule", ["dealer", "rule", "records"], by_rule))
    return parts
