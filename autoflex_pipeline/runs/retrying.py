"""Validating quarantined records anew, with today's rules, without reading the DMS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autoflex_pipeline.runs.context import RunContext
from autoflex_pipeline.runs.steps import stage
from autoflex_pipeline.staging import quarantine
from autoflex_pipeline.state.dealers import remember

Key = tuple[str, str, str | None]


@dataclass(frozen=True, slots=True)
class Retried:
    """A record that was validated anew: the rules that reject it still (none: it is good now), and what to do."""

    dealer_id: str
    entity: str
    dms_number: str | None
    rules: tuple[str, ...]
    hint: str

    @property
    def is_healed(self) -> bool:
        """Whether it is good now."""
        return not self.rules


def retry_quarantined(
    context: RunContext, *, dealer_id: str | None = None, entity: str | None = None, dms_numbers: Sequence[str] = ()
) -> list[Retried]:
    """Take open entries of quarantine again; gives what became of each record. The next tick delivers what is good."""
    before = _rejected(context, dealer_id, entity, dms_numbers)
    with context.warehouse.open() as connection:
        if not dms_numbers:
            quarantine.retry(connection, dealer_id=dealer_id, entity=entity)
        for dealer, kind, number in before if dms_numbers else ():
            quarantine.retry(connection, dealer_id=dealer, entity=kind, dms_number=number)
    stage(context)
    now = _rejected(context, dealer_id, entity, dms_numbers)
    retried = [_retried(key, now.get(key, {})) for key in before]
    _deliver_soon(context, {each.dealer_id for each in retried if each.is_healed})
    return retried


def _rejected(
    context: RunContext, dealer_id: str | None, entity: str | None, dms_numbers: Sequence[str]
) -> dict[Key, dict[str, str]]:
    """The records that are in quarantine, each with its rules and their hints."""
    with context.warehouse.open() as connection:
        found = quarantine.entries(connection, dealer_id=dealer_id, entity=entity)
    records: dict[Key, dict[str, str]] = {}
    for entry in found:
        if not dms_numbers or entry["dms_number"] in dms_numbers:
            key = entry["dealer_id"], entry["entity"], entry["dms_number"]
            records.setdefault(key, {})[entry["rule"]] = entry["hint"] or ""
    return records


def _retried(key: Key, rules: dict[str, str]) -> Retried:
    return Retried(*key, rules=tuple(sorted(rules)), hint="; ".join(dict.fromkeys(rules.values())))


def _deliver_soon(context: RunContext, dealer_ids: set[str]) -> None:
    """Nothing has changed in the DMS, so no look would find a reason for a run."""
    with context.state.begin() as state:
        for dealer_id in sorted(dealer_ids):
            remember(state, dealer_id, due_at=context.clock(), due_reason="records have left quarantine")
