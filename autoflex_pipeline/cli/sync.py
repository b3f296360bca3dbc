"""``autoflex-pipeline sync``: one whole run, headless."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from autoflex_pipeline.cli.estimate import show_estimate
from autoflex_pipeline.cli.month_range import both_ends
from autoflex_pipeline.cli.output import (
    EXIT_FAILED,
    EXIT_OK,
    Config,
    Dealers,
    Json,
    complain,
    console,
    installation,
    print_json,
    print_table,
)
from autoflex_pipeline.cli.progress import progress
from autoflex_pipeline.errors import ConfigurationError, PipelineError

Months = tuple[str, str]
"""First and last month, YYYY-MM."""


def sync(
    config: Config = None,
    dealer: Dealers = None,
    from_: Annotated[str | None, typer.Option("--from", help="First month of a backfill.", metavar="YYYY-MM")] = None,
    to: Annotated[
        str | None, typer.Option("--to", help="Last month of a backfill, inclusive.", metavar="YYYY-MM")
    ] = None,
    day: Annotated[
        str | None,
        typer.Option("--day", help="Send only the appointments of this day; all are read.", metavar="YYYY-MM-DD"),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Read everything open anew and validate quarantine again (the nightly pass).")
    ] = False,
    deliver_history: Annotated[
        bool, typer.Option("--deliver-history", help="With months: send billed work orders to Claire too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do everything but sending; show the difference field by field.")
    ] = False,
    allow_mass_change: Annotated[
        bool, typer.Option("--allow-mass-change", help="Let through what the mass-change guard stopped.")
    ] = False,
    estimate: Annotated[
        bool,
        typer.Option(
            "--estimate", help="With months: only say how many requests and how long it would take; nothing is read."
        ),
    ] = False,
    missing: Annotated[
        bool,
        typer.Option(
            "--missing",
            help="With months: of each dealer only from the first to the last that no backfill has read whole.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """One whole run over the dealers: read Autoflex, stage, deliver what differs to Claire, publish for analysts.

    Without months it is the regular tick: every open work order, and those that left the open list.

    \b
    Examples:
      autoflex-pipeline sync
      autoflex-pipeline sync --dealer garage-jansen --dry-run
      autoflex-pipeline sync --dealer garage-jansen --day 2026-11-27
      autoflex-pipeline sync --dealer garage-jansen --from 2026-07 --to 2026-09 --estimate
      autoflex-pipeline sync --dealer garage-jansen --from 2026-07 --to 2026-09
    """
    with installation(config, needs_secrets=True) as opened:
        zone = opened.settings.select(dealer or [])[0].zone
        months = _months(from_, to, datetime.now(zone))
        options = {
            "dealers": list(dealer or []),
            "dry_run": dry_run,
            "allow_mass_change": allow_mass_change,
            "full": full,
            "deliver_history": deliver_history,
            "reread": months is None,
            "day": _day(day, months) or "",
        }
        of_months = {"--deliver-history": deliver_history, "--estimate": estimate, "--missing": missing}
        if months is None and any(of_months.values()):
            option = next(name for name, is_given in of_months.items() if is_given)
            raise ConfigurationError(f"{option} goes with --from and --to: say which months")
        ranges = _missing(opened, options, months) if missing and months is not None else None
        if ranges == {}:
            complain("every month that was asked for has been read whole: nothing to do")
            if json:
                print_json({"ok": True, "errors": [], "dealers": {}})
            raise typer.Exit(EXIT_OK)
        if estimate and months is not None:
            asked = dict.fromkeys((each.id for each in opened.settings.select(dealer or [])), months)
            raise typer.Exit(show_estimate(opened, ranges or asked, deliver_history=deliver_history, json=json))
        if ranges is not None:
            options["dealers"] = list(ranges)
        summary, changes = run_and_summarise(opened, options, months=months, ranges=ranges, quiet=json)
    if json:
        print_json(summary | {"changes": changes} if dry_run else summary)
    else:
        show_summary(summary, title="What sync would do" if dry_run else "Sync")
        if dry_run:
            show_changes(changes)
    raise typer.Exit(EXIT_OK if summary["ok"] else EXIT_FAILED)


def _day(day: str | None, months: Months | None) -> str | None:
    """The day as it was given, when it is one and goes with the other options."""
    from autoflex_pipeline.orchestration.resources import day_of

    if day is not None:
        day_of(day, "--day")
        if months is not None:
            raise ConfigurationError("--day goes without --from and --to: it is a sync of the open work orders")
    return day


def _months(first: str | None, last: str | None, now: datetime) -> tuple[str, str] | None:
    """First and last month; only one given: the other is the current month, where the (first) dealer is."""
    from autoflex_pipeline.orchestration.partitions import check_months

    if first is None and last is None:
        return None
    months = both_ends(first, last, current=f"{now:%Y-%m}")
    try:
        check_months(*months, today=now.date())
    except ValueError as error:
        raise ConfigurationError(f"--from/--to: {error}") from None
    return months


def run_and_summarise(
    opened: Any,
    options: dict[str, Any],
    *,
    months: Months | None = None,
    ranges: dict[str, Months] | None = None,
    quiet: bool = False,
) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """Run the job; gives the summary as the contract page has it, and per dealer what was sent (or would be)."""
    from autoflex_pipeline.orchestration.running import run_headless
    from autoflex_pipeline.runs.summary import refused_summary, summary_of

    dealer_ids = [dealer.id for dealer in opened.settings.select(options["dealers"])]
    try:
        opened.check_before_run()
    except ConfigurationError:
        raise
    except PipelineError as error:
        return refused_summary(str(error), dealer_ids), {}
    try:
        with progress(opened, months=_cells(dealer_ids, months, ranges), quiet=quiet):
            outcome = run_headless(opened, options, months=months, ranges=ranges)
    finally:
        opened.end_run()
    return summary_of(opened.state, outcome.run_ids, dealer_ids, outcome.errors)


def _missing(opened: Any, options: dict[str, Any], months: Months) -> dict[str, Months]:
    """Per dealer the first and the last of the months that no backfill has read whole; none for one without any.

    Those between that are whole are read with them: one run reads the DMS's list once for all its months.
    """
    from autoflex_pipeline.sources.months import COMPLETE, months_grid
    from autoflex_pipeline.sources.window import months_between

    ranges: dict[str, Months] = {}
    with opened.warehouse.open() as connection:
        for dealer in opened.settings.select(options["dealers"]):
            grid = months_grid(connection, dealer.id, months_between(*months))
            lacking = [row["month"] for row in grid if row["state"] != COMPLETE]
            if lacking:
                ranges[dealer.id] = (lacking[0], lacking[-1])
    return ranges


def _cells(dealer_ids: Sequence[str], months: Months | None, ranges: dict[str, Months] | None) -> int:
    """How many cells of the grid dealer × month a run is asked for."""
    from autoflex_pipeline.sources.window import months_between

    if months is None:
        return 0
    return sum(len(months_between(*(ranges or {}).get(dealer_id, months))) for dealer_id in dealer_ids)


def show_summary(summary: dict[str, Any], *, title: str = "Sync") -> None:
    """The summary for people: a table, and what went wrong; one line for a run that did not start."""
    rows = []
    parts = summary["dealers"].values()
    if all([part["error"]] == summary["errors"] for part in parts):
        complain(summary["errors"][0])
        return
    shown = [name for name in DELIVERY_COLUMNS if name in ALWAYS_SHOWN or any(part["delivery"][name] for part in parts)]
    for dealer_id, part in summary["dealers"].items():
        staged = part["staged"]
        delivery = part["delivery"]
        rows.append(
            [
                dealer_id,
                "ok" if part["ok"] else "FAILED",
                part["extracted"]["order"],
                sum(counts["accepted"] for counts in staged.values()),
                sum(counts["quarantined"] for counts in staged.values()),
                *(delivery[name] for name in shown),
            ]
        )
    print_table(title, ["dealer", "result", "orders", "accepted", "quarantined", *shown], rows)
    for dealer_id, part in summary["dealers"].items():
        if part["error"]:
            complain(f"{dealer_id}: {part['error']}")
    for error in summary["errors"]:
        complain(error)
    if any(counts["quarantined"] for part in summary["dealers"].values() for counts in part["staged"].values()):
        console().print("What was rejected, and why: autoflex-pipeline quarantine list")


ALWAYS_SHOWN = ("created", "updated", "unchanged")
DELIVERY_COLUMNS = ["created", "updated", "unchanged", "pending", "waiting", "held", "rejected", "failed"]


def show_changes(changes: dict[str, list[dict[str, Any]]]) -> None:
    """The difference field by field, for people; the appointment stands on its first line."""
    from autoflex_pipeline.claire.preview import what_would_be

    for dealer_id, documents in changes.items():
        rows = [
            [
                *((document["dms_number"], what_would_be(document)) if first else ("", "")),
                change["field"],
                "(empty)" if change["old"] is None else change["old"],
                "(empty)" if change["new"] is None else change["new"],
            ]
            for document in documents
            for first, change in _with_first(document["fields_changed"])
        ]
        print_table(f"{dealer_id}: what would be sent", ["DMS number", "would", "field", "now", "then"], rows)


def _with_first(changes: list[dict[str, Any]]) -> list[tuple[bool, dict[str, Any]]]:
    return [(place == 0, change) for place, change in enumerate(changes)]
