"""What became of the appointments that somebody asked to send again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from autoflex_pipeline.runs.context import RunContext
from autoflex_pipeline.state import ledger, outbox

NOT_STAGED = "not in staging"
_STAGED = """
SELECT dms_number, absence.confirmed_at IS NOT NULL AS is_gone
FROM appointment LEFT JOIN absence USING (dealer_id, dms_number)
WHERE dealer_id = ? AND dms_number IN (SELECT unnest(?::VARCHAR[]))
"""


@dataclass(frozen=True, slots=True)
class Resent:
    """One appointment: what Claire answered (created, updated, unchanged, rejected, …), or why it was not sent."""

    dms_number: str
    result: str
    http_status: int | None
    message: str | None


def resent(context: RunContext, dealer_id: str, dms_numbers: Collection[str]) -> list[Resent]:
    """What the run did with each of the appointments."""
    with context.warehouse.open() as connection:
        staged = dict(connection.execute(_STAGED, [dealer_id, sorted(dms_numbers)]).fetchall())
    with context.state.begin() as state:
        attempts = ledger.last_attempts(state, dealer_id, context.run_id)
        left = outbox.dispositions(state, dealer_id)
    return [_one(number, staged.get(number), attempts.get(number), left.get(number)) for number in sorted(dms_numbers)]


def _one(
    number: str, is_gone: bool | None, attempt: Mapping[str, Any] | None, left: Mapping[str, Any] | None
) -> Resent:
    """``is_gone``: whether it is gone from the DMS; None when it is not staged."""
    if attempt is not None:
        return Resent(number, attempt["result"], attempt["http_status"], attempt["message"])
    if is_gone is None:
        hint = "the DMS never gave it, or it waits in quarantine: `quarantine show` tells"
        return Resent(number, NOT_STAGED, None, hint)
    if left is not None:
        return Resent(number, left["state"], None, left["message"])
    if is_gone:
        return Resent(number, "not sent", None, "the DMS no longer has it, and Claire has none either")
    return Resent(number, "not sent", None, "the run stopped before it; see the dealer's check")
