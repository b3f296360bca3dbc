"""``autoflex-pipeline quarantine``: what was rejected, why, and validating it anew."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

import typer

from autoflex_pipeline.cli.output import (
    EXIT_FAILED,
    Config,
    Json,
    complain,
    console,
    installation,
    print_json,
    print_table,
)
from autoflex_pipeline.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="What was rejected, with rule, field, value and hint; trying it again.")

COLUMNS = (
    "dealer_id", "entity", "dms_number", "rule", "field", "value", "hint", "first_seen_at", "last_seen_at", "state",
    "source", "raw_hash",
)  # fmt: skip
SHOWN = ("dealer_id", "entity", "dms_number", "rule", "field", "value", "hint")
HASH_SHOWN = 8
"""Digits of a raw_hash that `trace --raw` is content with."""

Dealer = Annotated[str | None, typer.Option("--dealer", help="Only this dealer.", metavar="ID")]
Entity = Annotated[
    str | None, typer.Option("--entity", help="Only appointment, intervention, car or party.", metavar="NAME")
]


def _entries(opened: Any, dealer: str | None, entity: str | None, state: str | None) -> list[dict[str, Any]]:
    from autoflex_pipeline.model import RAW_ENTITIES
    from autoflex_pipeline.staging import quarantine

    if dealer:
        opened.settings.dealer(dealer)
    if entity is not None and entity not in RAW_ENTITIES:
        raise ConfigurationError(f"--entity {entity!r}: must be one of {', '.join(RAW_ENTITIES)}")
    with opened.warehouse.open() as connection:
        found = quarantine.entries(connection, dealer_id=dealer, entity=entity, state=state)
    return [{name: entry[name] for name in COLUMNS} for entry in found]


@app.command("list")
def list_(
    config: Config = None,
    dealer: Dealer = None,
    entity: Entity = None,
    all_: Annotated[bool, typer.Option("--all", help="Also what has healed, was replaced or is gone.")] = False,
    json: Json = False,
) -> None:
    """What is in quarantine now; the last column is the raw record, which `trace --raw` shows whole.

    \b
    Example:
      autoflex-pipeline quarantine list --dealer garage-jansen
    """
    with installation(config) as opened:
        found = _entries(opened, dealer, entity, None if all_ else "open")
    if json:
        print_json(found)
        return
    rows = [[*(entry[name] for name in SHOWN), (entry["raw_hash"] or "")[:HASH_SHOWN]] for entry in found]
    print_table("Quarantine", [*SHOWN, "raw"], rows)


@app.command("show")
def show(
    dms_number: Annotated[str, typer.Argument(help="DMS number of the record.")],
    config: Config = None,
    dealer: Dealer = None,
    entity: Entity = None,
    json: Json = False,
) -> None:
    """Everything that was ever rejected of one record, healed or not. Exit 1 when there is nothing.

    \b
    Example:
      autoflex-pipeline quarantine show --dealer garage-jansen 50012
    """
    with installation(config) as opened:
        found = [entry for entry in _entries(opened, dealer, entity, None) if entry["dms_number"] == dms_number]
    if json:
        print_json(found)
    else:
        for entry in found:
            print_table(
                f"{entry['entity']} {entry['dms_number']} of {entry['dealer_id']}: {entry['state']}",
                ["what", "value"],
                [[name, entry[name]] for name in COLUMNS[3:]],
            )
    if not found:
        complain(f"quarantine holds nothing of {dms_number!r}; `quarantine list --all` shows all that it ever held")
        raise typer.Exit(EXIT_FAILED)


@app.command("retry")
def retry(
    dms_numbers: Annotated[list[str] | None, typer.Argument(help="DMS numbers; none: everything.")] = None,
    config: Config = None,
    dealer: Dealer = None,
    entity: Entity = None,
    json: Json = False,
) -> None:
    """Validate what is in quarantine anew, with today's rules; the next sync delivers what is good now.

    \b
    Example:
      autoflex-pipeline quarantine retry --dealer garage-jansen
    """
    from autoflex_pipeline.runs.context import RunOptions
    from autoflex_pipeline.runs.retrying import retry_quarantined

    with installation(config) as opened:
        _entries(opened, dealer, entity, "open")
        run = opened.run_context(f"retry-{uuid.uuid4()}", RunOptions())
        retried = retry_quarantined(run, dealer_id=dealer, entity=entity, dms_numbers=dms_numbers or [])
    taken, healed = len(retried), sum(each.is_healed for each in retried)
    result = {"taken": taken, "still_rejected": taken - healed, "healed": healed}
    if json:
        print_json(result)
    else:
        console().print(f"{taken} records validated anew: {healed} are good now, {taken - healed} are still rejected")
    if dms_numbers and not taken:
        complain(f"quarantine holds nothing open of {', '.join(dms_numbers)}; `quarantine list` shows what it holds")
        raise typer.Exit(EXIT_FAILED)
