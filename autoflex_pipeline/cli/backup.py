"""``autoflex-pipeline backup``: a verified copy of the warehouse and the state store, now."""

from __future__ import annotations

from typing import Any

from autoflex_pipeline.cli.output import Config, Json, console, installation, print_json


def backup(config: Config = None, json: Json = False) -> None:
    """Copy the warehouse and the state store as they are at one moment, verify the copy, and keep the newest ones.

    The nightly job does the same. Exit 1 when the copy is not good, or there is no room for it.

    \b
    Example:
      autoflex-pipeline backup
    """
    from autoflex_pipeline.runs.backup import back_up, rotate

    with installation(config) as opened:
        opened.check_before_run()
        made = back_up(opened.settings, opened.warehouse, opened.state, now=opened.clock())
        # With backups_kept = 0 the night makes none; one that a person asked for stays until a person removes it.
        removed = rotate(opened.settings, made) if opened.settings.warehouse.backups_kept else []
    if json:
        print_json(told(made) | {"removed": removed})
        return
    console().print(f"Made and verified: {made.path} ({size(made.bytes)}, {made.rows:,} rows)", soft_wrap=True)
    if removed:
        console().print(
            f"Removed, older than the newest {opened.settings.warehouse.backups_kept}: {', '.join(removed)}"
        )


def told(backup: Any) -> dict[str, Any]:
    """A backup as the commands give it to programs."""
    return {
        "name": backup.name,
        "path": str(backup.path),
        "made_at": backup.made_at,
        "bytes": backup.bytes,
        "rows": backup.rows,
        "versions": backup.versions,
    }


def size(bytes_: int) -> str:
    """A size for people."""
    return f"{bytes_ / 1_000_000:,.1f} MB"
