"""From candidates to durable intents: what each document changes, and the request that will carry it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from autoflex_pipeline.claire.api import LOCATION
from autoflex_pipeline.claire.contract import Version, sent_fields
from autoflex_pipeline.claire.difference import apply, difference, document_to_send
from autoflex_pipeline.claire.documents import Projections
from autoflex_pipeline.claire.policies import Candidate
from autoflex_pipeline.settings import DealerSettings
from autoflex_pipeline.state import outbox


@dataclass(frozen=True, slots=True)
class Intent:
    """One request to be made: ``body`` byte for byte, and as JSON text what Claire may hold once it took it."""

    candidate: Candidate
    intent_number: int
    idempotency_key: str
    body: str
    will_hold: str
    fields_changed: str
    is_retry: bool
    claire_id: str | None


@dataclass
class Prepared:
    """A batch: what is to be sent, and the appointments that turned out to differ in nothing that Claire sees."""

    intents: list[Intent] = field(default_factory=list)
    equal: list[str] = field(default_factory=list)


def prepare(
    state: Connection,
    dealer: DealerSettings,
    candidates: Sequence[Candidate],
    projections: Projections,
    *,
    run_id: str,
    now: datetime,
    force: bool = False,
    dry_run: bool = False,
) -> Prepared:
    """Make the intents of a batch; they are durable when the caller's transaction ends (a dry run writes nothing)."""
    numbers = [candidate.dms_number for candidate in candidates]
    place = (dealer.id, dealer.claire_location_id)
    known = outbox.acknowledged_rows(state, *place, numbers)
    unanswered = outbox.open_intents(state, *place, numbers)
    newest = outbox.last_intent_numbers(state, *place, numbers)
    origin = "" if dry_run else outbox.store_origin(state)
    prepared = Prepared()
    equal_rows: list[dict[str, Any]] = []
    for candidate in candidates:
        number = candidate.dms_number
        projection = projections.get((dealer.id, number))
        if projection is None:  # it left staging while this run was under way
            continue
        acknowledged, open_rows, last_number = known.get(number), unanswered.get(number, []), newest.get(number, 0)
        retry = _to_retry(candidate, open_rows, last_number, acknowledged)
        if retry is not None:
            prepared.intents.append(retry)
            continue
        held = [_as_version(each) for each in (outbox.from_json(acknowledged["held"]) if acknowledged else [])]
        possible = held + [_as_version(each) for row in open_rows for each in outbox.from_json(row["will_hold"])]
        document = document_to_send(projection, possible)
        before: list[Version | None] = [*possible] if acknowledged else [None, *possible]
        after = [apply(each, document, projection.references) for each in before]
        is_equal = acknowledged is not None and all(
            old is not None and old.document == new.document for old, new in zip(before, after, strict=True)
        )
        if acknowledged and is_equal and not open_rows and not force:
            prepared.equal.append(number)
            equal_rows.append(acknowledged | {"document_hash": candidate.document_hash})
            continue
        intent_number = last_number + 1
        prepared.intents.append(
            Intent(
                candidate,
                intent_number,
                outbox.idempotency_key(origin, *place, number, intent_number),
                outbox.as_json({LOCATION: dealer.claire_location_id, **document}),
                outbox.as_json(_without_repeats(after)),
                outbox.as_json(difference(held[0].document if held else {}, after[0].document)),
                is_retry=False,
                claire_id=acknowledged["claire_id"] if acknowledged else None,
            )
        )
    if not dry_run:
        outbox.acknowledge(state, *place, equal_rows)
        outbox.add_intents(
            state, [_row(dealer, intent, run_id, now) for intent in prepared.intents if not intent.is_retry]
        )
    return prepared


def acknowledged_row(intent: Intent, claire_id: str, status: str, now: datetime) -> dict[str, Any]:
    """The row of ``acknowledged`` once Claire took ``intent``."""
    document = outbox.from_json(intent.will_hold)[0]["document"]
    names = {info.name: name for name, info in sent_fields("appointment").items()}
    day = document.get(names["appointment_date"])
    return {
        "dms_number": intent.candidate.dms_number,
        "claire_id": claire_id,
        "status": status,
        "held": intent.will_hold,
        "document_hash": intent.candidate.document_hash,
        "intent_number": intent.intent_number,
        "is_billed": bool(document.get(names["is_billed"])),
        "is_canceled": bool(document.get(names["is_canceled"])),
        "appointment_date": date.fromisoformat(day) if day else None,
        "acknowledged_at": now,
    }


def _to_retry(
    candidate: Candidate, open_rows: list[dict[str, Any]], newest: int, acknowledged: dict[str, Any] | None
) -> Intent | None:
    """The unanswered intent to send again: the newest one, not refused, while it is about the document as it is now."""
    if not open_rows:
        return None
    row = open_rows[-1]
    may_be_repeated = row["intent_number"] == newest and row["result"] is None
    if not may_be_repeated or row["document_hash"] != candidate.document_hash:
        return None
    return Intent(
        candidate,
        row["intent_number"],
        row["idempotency_key"],
        row["body"],
        row["will_hold"],
        row["fields_changed"],
        is_retry=True,
        claire_id=acknowledged["claire_id"] if acknowledged else None,
    )


def _row(dealer: DealerSettings, intent: Intent, run_id: str, now: datetime) -> dict[str, Any]:
    return {
        "dealer_id": dealer.id,
        "location_id": dealer.claire_location_id,
        "dms_number": intent.candidate.dms_number,
        "intent_number": intent.intent_number,
        "idempotency_key": intent.idempotency_key,
        "body": intent.body,
        "document_hash": intent.candidate.document_hash,
        "will_hold": intent.will_hold,
        "fields_changed": intent.fields_changed,
        "created_at": now,
        "run_id": run_id,
    }


def _as_version(stored: dict[str, Any]) -> Version:
    return Version(stored["document"], stored["references"])


def _without_repeats(versions: Sequence[Version]) -> list[dict[str, Any]]:
    distinct: list[dict[str, Any]] = []
    for version in versions:
        stored = {"document": version.document, "references": version.references}
        if stored not in distinct:
            distinct.append(stored)
    return distinct
