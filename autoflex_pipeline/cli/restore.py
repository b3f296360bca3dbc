"""``autoflex-pipeline restore``: put a backup back in the place of damaged stores."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from autoflex_pipeline.cli.backup import size, told
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
from autoflex_pipeline.errors import PipelineError


def restore(
    backup: Annotated[
        str | None, typer.Argument(help="Name of the backup; without it, the newest one that can be put back.")
    ] = None,
    config: Config = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Show the backups, read each whole, and change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Put a backup back, after a look at what it replaces; what is replaced is kept aside.

    The next run then reads what Claire holds before it sends anything, so that nothing is sent with an old number or
    over something newer. Exit 1 while a run is going, when no backup can be put back, or when the answer is no.

    \b
    Examples:
      autoflex-pipeline restore --list
      autoflex-pipeline restore
      autoflex-pipeline restore 20261127T023012Z --yes
    """
    with installation(config) as opened:
        if list_:
            _show(opened, json)
            return
        _check_no_run(opened.settings)
        chosen, passed_over = _chosen(opened, backup)
        preview = _preview(opened, chosen, passed_over)
        if not json:
            for line in preview:
                console().print(line, markup=False, soft_wrap=True)
        if not yes and not typer.confirm("Replace them?", default=False, err=True):
            complain("nothing was replaced")
            raise typer.Exit(EXIT_FAILED)
        from autoflex_pipeline.runs.restore import restore as put_back

        aside = put_back(opened.settings, chosen, now=opened.clock())
    if json:
        print_json({"restored": told(chosen), "replaced": str(aside), "passed_over": passed_over})
        return
    console().print(f"Restored {chosen.name}. What it replaced is in {aside}", markup=False, soft_wrap=True)
    console().print("Now: autoflex-pipeline sync, and backfill anew the months that were backfilled since.")


def _backups(opened: Any) -> list[Any]:
    """The backups, newest first; those that are dated in the future last."""
    from autoflex_pipeline.runs.backup import backups

    return backups(opened.settings, now=opened.clock())


def _ahead(opened: Any, backup: Any) -> str | None:
    """What is to be said of a backup that is dated in the future; None of another."""
    from autoflex_pipeline.runs.backup import is_ahead

    now = opened.clock()
    if not is_ahead(backup, now):
        return None
    return (
        f"{backup.name} is dated later than this machine's clock ({_local(now)}): "
        "the clock was wrong when it was made, or is now"
    )


def _check_no_run(settings: Any) -> None:
    """At once, not only after the answer."""
    from autoflex_pipeline.state.locks import no_run

    with no_run(settings.warehouse.state_path):
        return


def _trouble(backup: Any) -> str | None:
    """Why a backup, read whole, cannot be put back; None when it is verified."""
    from autoflex_pipeline.runs.backup import check_restorable

    try:
        check_restorable(backup)
    except PipelineError as error:
        return str(error)
    return None


def _show(opened: Any, json: bool) -> None:
    found = [(each, _trouble(each), _ahead(opened, each)) for each in _backups(opened)]
    if json:
        print_json(
            [
                told(each) | {"verified": trouble is None, "trouble": trouble, "ahead_of_clock": ahead is not None}
                for each, trouble, ahead in found
            ]
        )
        return
    rows = [
        [
            each.name,
            _local(each.made_at),
            size(each.bytes),
            each.versions["autoflex_pipeline"],
            trouble or ("verified, but dated in the future" if ahead else "verified"),
        ]
        for each, trouble, ahead in found
    ]
    folder = opened.settings.warehouse.backup_folder
    print_table(f"Backups in {folder}", ["name", "made", "size", "version", "state"], rows)


def _chosen(opened: Any, name: str | None) -> tuple[Any, list[str]]:
    """The backup asked for, or the newest that can be put back, and why newer ones were passed over.

    PipelineError when there is none.
    """
    found = [each for each in _backups(opened) if name in (None, each.name)]
    troubles: list[str] = []
    for place, each in enumerate(found):
        trouble = _trouble(each)
        if trouble is None:
            return each, troubles + [said for later in found[place + 1 :] if (said := _ahead(opened, later))]
        troubles.append(trouble)
    what = f"backup {name!r}" if name else "whole backup"
    why = "; ".join([f"there is no {what} in {opened.settings.warehouse.backup_folder}", *troubles])
    raise PipelineError(f"{why}; see `autoflex-pipeline restore --list`")


def _preview(opened: Any, chosen: Any, passed_over: list[str]) -> list[str]:
    """What is there now, what takes its place, and what that means."""
    from autoflex_pipeline.runs.backup import STATE
    from autoflex_pipeline.runs.restore import situation

    now = situation(opened.settings)
    lines = [
        *(f"Passed over: {why}." for why in passed_over),
        f"Backup {chosen.name}, made {_local(chosen.made_at)}, {size(chosen.bytes)}, verified, takes the place of:",
        f"  {now.warehouse.path}: {_store(now.warehouse)}",
        f"  {now.state.path}: {_store(now.state)}",
    ]
    if ahead := _ahead(opened, chosen):
        lines.append(f"  {ahead}.")
    if now.newest is not None:
        lines.append(f"  What is there now knows of {_local(now.newest)}; whatever came after the backup is read anew.")
    if now.attempts is not None:
        since = now.attempts - chosen.files[STATE].rows.get("ledger", 0)
        lines.append(f"  Attempts to deliver since the backup, kept in the replaced files only: {max(since, 0)}.")
    lines.append("The replaced files are kept beside them. Before anything is sent, Claire's own list is read.")
    return lines


def _store(store: Any) -> str:
    if store.bytes is None:
        return "is not there"
    return f"{size(store.bytes)}, {store.trouble or 'can be read'}"


def _local(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
