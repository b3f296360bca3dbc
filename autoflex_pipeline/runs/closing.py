"""Close a run: the summary of each dealer, and what is remembered of it for the next look."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import duckdb

from autoflex_pipeline.claire.delivery import DealerDelivery
from autoflex_pipeline.lineage.openlineage import emit_run
from autoflex_pipeline.model import RAW_ENTITIES
from autoflex_pipeline.runs.context import RunContext
from autoflex_pipeline.runs.parts import REREAD_EVERY
from autoflex_pipeline.runs.spans import step
from autoflex_pipeline.settings import DealerSettings
from autoflex_pipeline.sources.absence import next_confirmation
from autoflex_pipeline.staging.accounting import DealerAccount, account_run
from autoflex_pipeline.state.dealers import dealer_row, remember
from autoflex_pipeline.state.marks import PUBLISH_WANTED, set_mark
from autoflex_pipeline.state.runs import problems
from autoflex_pipeline.state.summaries import keep_summary
from autoflex_pipeline.state.totals import count_run

SENT_COUNTS = ("created", "updated", "rejected", "failed")
STAGED_COUNTS = ("accepted", "unchanged", "quarantined")
DELIVERY_COUNTS = ("created", "updated", "unchanged", "pending", "waiting", "held", "rejected", "failed")


@step
def close_run(context: RunContext, deliveries: Mapping[str, DealerDelivery]) -> dict[str, dict[str, Any]]:
    """Write the summary of each dealer of the run and remember its state; gives the summaries."""
    now = context.clock()
    # A backfill, a single day or a resend says nothing of how the dealer's tick goes.
    options = context.options
    is_tick = not options.dry_run and options.delivers_all
    with context.warehouse.open() as connection:
        began = _began(connection, context.run_id)
        changed = _changed_something(connection, context.run_id)
        accounts = account_run(connection, context.run_id)
        confirmations = {
            dealer.id: next_confirmation(connection, dealer.id, timedelta(minutes=dealer.absence_confirm_minutes))
            for dealer in context.dealers
        }
    with context.state.begin() as connection:
        noted = problems(connection, context.run_id)
        made: dict[str, dict[str, Any]] = {}
        for dealer in context.dealers:
            delivery = deliveries.get(dealer.id, DealerDelivery())
            wrong = noted.get(dealer.id, [])
            summary = dealer_summary(wrong, accounts.get(dealer.id), delivery)
            keep_summary(connection, context.run_id, dealer.id, summary, delivery.changes, now)
            if is_tick:
                due_at, reason = _due(dealer, now, confirmations[dealer.id], delivery)
                values = _remembered(
                    context, dealer_row(connection, dealer.id), summary, _read_well(wrong, delivery), now
                )
                remember(connection, dealer.id, due_at=due_at, due_reason=reason, **values)
            if not options.dry_run:
                count_run(connection, dealer.id, ok=summary["ok"], seconds=(now - (began or now)).total_seconds())
            made[dealer.id] = summary
        if changed or any(summary["delivery"][name] for summary in made.values() for name in SENT_COUNTS):
            set_mark(connection, PUBLISH_WANTED, True)
    if not options.dry_run:
        emit_run(context.settings.lineage, context.run_id, made, now)
    context.warehouse.shorten_log()
    return made


def dealer_summary(
    noted: list[dict[str, Any]], account: DealerAccount | None, delivery: DealerDelivery
) -> dict[str, Any]:
    """One dealer's part of the summary, with the names that the contract page fixes."""
    counts = {name: int(delivery.counts.get(name, 0)) for name in DELIVERY_COUNTS}
    error = "; ".join(dict.fromkeys(problem["message"] for problem in noted)) or None
    account = account or DealerAccount()
    return {
        "ok": error is None and counts["pending"] == 0 and counts["failed"] == 0,
        "error": error,
        "extracted": {raw: int(account.extracted.get(raw, 0)) for raw in RAW_ENTITIES.values()},
        "skipped": dict(account.skipped),
        "staged": {
            entity: {name: int(account.staged[entity][name]) for name in STAGED_COUNTS} for entity in RAW_ENTITIES
        },
        "delivery": counts,
    }


def _changed_something(connection: duckdb.DuckDBPyConnection, run_id: str) -> bool:
    """Whether the run stored a new version of anything."""
    tables = ("raw_record", *RAW_ENTITIES)
    query = " OR ".join(f"EXISTS (SELECT 1 FROM {table} WHERE run_id = $run_id)" for table in tables)
    row = connection.execute(f"SELECT {query}", {"run_id": run_id}).fetchone()
    return bool(row and row[0])


def _began(connection: duckdb.DuckDBPyConnection, run_id: str) -> datetime | None:
    """When the run began to read; None when it read nothing."""
    row = connection.execute(
        "SELECT min(started_at) FROM extract WHERE run_id = $run_id", {"run_id": run_id}
    ).fetchone()
    return row[0] if row else None


def _remembered(
    context: RunContext, known: dict[str, Any], summary: dict[str, Any], read_well: bool, now: datetime
) -> dict[str, Any]:
    """What of the run is kept for the dealer; only a success makes the list that was read the one to compare with."""
    values: dict[str, Any] = {
        "last_run_id": context.run_id,
        "last_attempt_at": now,
        "error": summary["error"],
        "counts": summary["delivery"],
    }
    if summary["ok"]:
        values["last_success_at"] = now
    if read_well:
        if known["read_run_id"] == context.run_id and known["read_digest"]:
            values["look_digest"] = known["read_digest"]
    elif known["read_run_id"] == context.run_id:
        values["look_digest"] = None
    return values


def _read_well(wrong: list[dict[str, Any]], delivery: DealerDelivery) -> bool:
    """Whether nothing went wrong, or Claire did not answer: what that left has a due time of its own."""
    claire = delivery.error if delivery.error_kind == "transport" else None
    return all(problem["message"] == claire for problem in wrong)


def _due(
    dealer: DealerSettings, now: datetime, confirmation: datetime | None, delivery: DealerDelivery
) -> tuple[datetime | None, str | None]:
    """When the dealer has work although nothing changes in its DMS, and what it is: the earliest of all kinds."""
    due: list[tuple[datetime, str]] = []
    if delivery.retry_at is not None:
        due.append((delivery.retry_at, "deliveries left by a Claire that did not answer"))
    elif delivery.counts.get("pending") or delivery.counts.get("failed"):
        due.append((now, "deliveries left pending or failed"))
    if delivery.next_due_at is not None:
        due.append((delivery.next_due_at, "a waiting appointment goes without its missing part"))
    if confirmation is not None:
        due.append((confirmation, "an absence to confirm"))
    if dealer.api is not None:
        due.append((now + REREAD_EVERY, "lines, cars and parties to read again"))
    return min(due, default=(None, None))
