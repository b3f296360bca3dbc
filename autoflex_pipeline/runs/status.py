"""How it stands for each dealer."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

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
    """Per dealer: last success, lag in seconds, deliveries by state, records in quarantine, error and hold if any."""
    with warehouse.open() as connection:
        quarantined = dict(
            connection.execute(
                """
                SELECT dealer_id, count(DISTINCT entity || chr(0) || coalesce(dms_number, raw_seq::VARCHAR))
                FROM quarantine WHERE state = 'open' GROUP BY dealer_id
                """
            ).fetchall()
        )
    dealers: dict[str, dict[str, Any]] = {}
    with state.begin() as connection:
        for dealer in settings.dealers:
            row = dealer_row(connection, dealer.id)
            held = current_hold(connection, dealer.id)
            success = row["last_success_at"]
            counts = Counter(kept["state"] for kept in dispositions(connection, dealer.id).values())
            dealers[dealer.id] = {
                "last_success_at": success,
                "lag_seconds": round((now - success).total_seconds(), 1) if success else None,
                **{name: counts[name] for name in COUNTS},
                "quarantined": quarantined.get(dealer.id, 0),
                "error": row["error"],
                "hold": held["message"] if held else None,
            }
    return dealers
