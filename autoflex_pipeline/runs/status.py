"""How it stands for each dealer."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import duckdb

from autoflex_pipeline.settings import Settings
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.state.dealers import dealer_row
from autoflex_pipeline.state.holds import current_hold
from autoflex_pipeline.state.outbox import dispositions
from autoflex_pipeline.warehouse import Warehouse

COUNTS = ("pending", "waiting", "held", "rejected", "failed")


def dealer_status(
    settings: Settings, warehouse: Warehouse, state: StateStore, *, now: datetime
) -> dict[str, dict[str, Any]]:
    """Per dealer: last success, lag in seconds, deliveries by state, records in quarantine, error and hold if any.

    ``state`` is ok, failing (the last run failed, or left deliveries behind), on_hold (the schedule leaves it alone
    until ``next_try_at``) or never (no run has ended well yet).
    """
    with warehouse.open() as connection:
        quarantined, by_rule = _quarantined(connection)
    dealers: dict[str, dict[str, Any]] = {}
    with state.begin() as connection:
        for dealer in settings.dealers:
            row = dealer_row(connection, dealer.id)
            held = current_hold(connection, dealer.id)
            success = row["last_success_at"]
            counts = Counter(kept["state"] for kept in dispositions(connection, dealer.id).values())
            dealers[dealer.id] = {
                "state": _state(row, held, counts),
                "last_success_at": success,
                "lag_seconds": round((now - success).total_seconds(), 1) if success else None,
                **{name: counts[name] for name in COUNTS},
                "quarantined": quarantined.get(dealer.id, 0),
                "quarantined_by_rule": by_rule.get(dealer.id, {}),
                "error": row["error"],
                "hold": held["message"] if held else None,
                "hold_kind": held["kind"] if held else None,
                "next_try_at": held["next_try_at"] if held else None,
                "last_attempt_at": row["last_attempt_at"],
                "due_at": row["due_at"],
                "due_reason": row["due_reason"],
            }
    return dealers


def _state(row: dict[str, Any], held: dict[str, Any] | None, counts: Counter[str]) -> str:
    if held is not None:
        return "on_hold"
    if row["error"] is not None or counts["pending"] or counts["failed"]:
        return "failing"
    return "ok" if row["last_success_at"] else "never"


def _quarantined(connection: duckdb.DuckDBPyConnection) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """Per dealer the records in quarantine, and how many each rule rejects, most first."""
    rows = connection.execute(
        """
        SELECT dealer_id, rule, count(DISTINCT entity || chr(0) || coalesce(dms_number, raw_seq::VARCHAR)) AS records
        FROM quarantine WHERE state = 'open'
        GROUP BY GROUPING SETS ((dealer_id), (dealer_id, rule))
        ORDER BY records DESC, rule
        """
    ).fetchall()
    by_rule: dict[str, dict[str, int]] = {}
    for dealer_id, rule, records in rows:
        if rule is not None:
            by_rule.setdefault(dealer_id, {})[rule] = records
    return {dealer_id: records for dealer_id, rule, records in rows if rule is None}, by_rule


def what_is_wrong(row: dict[str, Any]) -> str:
    """The dealer's trouble in one line; empty when there is none."""
    if row["hold"] is not None:
        return f"on hold ({row['hold_kind']}): {row['hold']}"
    return row["error"] or ""


def ago(seconds: float | None) -> str:
    """How long ago something was, in words."""
    if seconds is None:
        return "never"
    if seconds < 120:
        return f"{seconds:.0f} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 7200 else f"{seconds / 3600:.0f} h ago"
