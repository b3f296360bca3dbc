"""``autoflex-pipeline status``: how it stands for each dealer."""

from __future__ import annotations

from typing import Any

from autoflex_pipeline.cli.output import Config, Json, installation, print_json, print_table

COLUMNS = ("last_success_at", "pending", "waiting", "held", "rejected", "failed", "quarantined")


def status(config: Config = None, json: Json = False) -> None:
    """Per dealer: last successful run, lag, and what is pending, waiting, held, rejected, failed, quarantined.

    \b
    Example:
      autoflex-pipeline status --json
    """
    from autoflex_pipeline.runs.status import dealer_status

    with installation(config) as opened:
        dealers = dealer_status(opened.settings, opened.warehouse, opened.state, now=opened.clock())
    if json:
        print_json({"dealers": dealers})
        return
    shown = COLUMNS[1:]
    rows: list[list[Any]] = [
        [dealer_id, _ago(row["lag_seconds"]), *(row[name] for name in shown), row["error"] or row["hold"]]
        for dealer_id, row in dealers.items()
    ]
    print_table("Status", ["dealer", "last success", *shown, "what is wrong"], rows)


def _ago(seconds: float | None) -> str:
    if seconds is None:
        return "never"
    if seconds < 120:
        return f"{seconds:.0f} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 7200 else f"{seconds / 3600:.0f} h ago"
