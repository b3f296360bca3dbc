"""What became of the appointments that somebody asked to send again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from autoflex_pipeline.runs.context import RunContext
from autoflex_pipeline.state import ledger, outbox

NOT_STAGED = "not in staging"


@dataclass(frozen=True, slots=True)
class Resent:
    """One appointment: what Claire answered (created, updated, unchanged, rejected, …), or why it was not sent."""

    dms_number: str
    result: str
    http_status: int | None
    message: str | None


def resent(context: RunContext, dealer_id: str, dms_numbers: Collection[str]) -> list[Resent]:
    """What the run did with each of the appointments."""
    query = "SELECT dms_number FROM appointment WHERE dealer_id = ? AND dms_number IN (SELECT unnest(?::VARCHAR[]))"
    with context.warehouse.open() as connection:
        staged = {row[0] for row in connection.execute(query, [dealer_id, sorted(dms_numbers)]).fetchall()}
    with context.state.begin() as state:
        attempts = ledger.last_attempts(state, dealer_id, context.run_id)
        left = outbox.dispositions(state, dealer_id)
    return [_one(number, number in staged, attempts.get(number), left.get(number)) for number in sorted(dms_numbers)]


def _one(number: str, is_staged: bool, attempt: Mapping[str, Any] | None, left: Mapping[str, Any] | None) -> Resent:
    if attempt is not None:
        return Resent(number, attempt["result"], attempt["http_status"], attempt["message"])
    if not is_staged:
        hint = "the DMS never gave it, or it waits in quarantine: `quarantine show` tells"
        return Resent(number, NOT_STAGED, None, hint)
    if left is not None:
        return Resent(number, left["state"], None, left["message"])
    return Resent(number, "not sent", None, "the run stopped before it; see the dealer's check")
