"""Rows of the ledger, as tests of the ledger and of its copy write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def attempt(dms_number: str, result: str = "created", **values: Any) -> dict[str, Any]:
    """An attempt to deliver the appointment; ``values`` replace what is usual."""
    return {
        "dealer_id": "jansen",
        "location_id": "101",
        "dms_number": dms_number,
        "intent_number": 1,
        "attempted_at": NOW,
        "result": result,
        "http_status": 201,
        "message": None,
        "fields_changed": "[]",
        "run_id": "run-1",
    } | values
