"""What is to be sent for one dealer, what may not go, and why: decided from warehouse, state store and policies."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from importlib.resources import files
from typing import Any

import duckdb
from sqlalchemy import Connection

from autoflex_pipeline.claire import policies
from autoflex_pipeline.claire.options import DeliveryOptions
from autoflex_pipeline.claire.policies import Candidate
from autoflex_pipeline.settings import DealerSettings
from autoflex_pipeline.state.holds import current_hold
from autoflex_pipeline.state.outbox import dispositions, open_numbers, refused_numbers

MISSING = (
    "Autoflex, asked by its number, does not have the order: it waits until it is there again, or known to be gone"
)


@dataclass
class Plan:
    """``seen`` are the appointments in scope that this run saw; ``stays`` and ``obsolete`` are dispositions.

    ``scope`` are all that the run is about; None: the whole dealer. ``refused`` are those whose last document Claire
    refused at the location that the dealer has now.
    """

    to_send: list[Candidate] = field(default_factory=list)
    set_aside: list[dict[str, Any]] = field(default_factory=list)
    stays: dict[str, dict[str, Any]] = field(default_factory=dict)
    obsolete: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    scope: set[str] | None = None
    refused: set[str] = field(default_factory=set)
    guard: str | None = None

    def failed_since(self) -> dict[str, datetime]:
        """The appointments whose last document had no answer, each with the time since when."""
        return {number: row["since"] for number, row in self.stays.items() if row["state"] == "failed"}

    def set_aside_row(
        self, candidate: Candidate, state: str, reason: str, message: str | None, now: datetime, due: datetime | None
    ) -> None:
        """Note that the document does not go now; ``since`` stays what it was for the same document and state."""
        known = self.stays.get(candidate.dms_number)
        is_same = known is not None and (known["state"], known["document_hash"]) == (state, candidate.document_hash)
        row = {
            "dms_number": candidate.dms_number,
            "state": state,
            "reason": reason,
            "message": message,
            "document_hash": candidate.document_hash,
            "since": known["since"] if known is not None and is_same else now,
            "due_at": due,
        }
        self.set_aside.append(row)


def make_plan(
    dealer: DealerSettings,
    options: DeliveryOptions,
    connection: duckdb.DuckDBPyConnection,
    state: Connection,
    *,
    run_id: str,
    now: datetime,
) -> Plan:
    """Decide for every appointment of ``dealer`` that differs from what Claire has; writes nothing."""
    unanswered = open_numbers(state, dealer.id, dealer.claire_location_id)
    plan = Plan(stays=dispositions(state, dealer.id))
    rejected = [number for number, row in plan.stays.items() if row["state"] == "rejected"]
    plan.refused = refused_numbers(state, dealer.id, dealer.claire_location_id, rejected)
    plan.seen = _seen(connection, dealer, options, run_id)
    today = now.astimezone(dealer.zone).date()
    candidates = _candidates(connection, dealer, options, unanswered, today)
    if not options.is_tick:
        plan.scope = plan.seen | {candidate.dms_number for candidate in candidates}
    plan.obsolete = _settled(connection, dealer, plan.stays) - unanswered
    for candidate in candidates:
        _decide(plan, candidate, dealer, options, now)
    if not options.allow_mass_change:
        _guard(plan, dealer, options, connection, state, now)
    return plan


def _decide(plan: Plan, candidate: Candidate, dealer: DealerSettings, options: DeliveryOptions, now: datetime) -> None:
    known = plan.stays.get(candidate.dms_number)
    if candidate.is_gone and not candidate.is_known_to_claire:
        plan.obsolete.add(candidate.dms_number)
        return
    if known is not None and known["document_hash"] == candidate.document_hash and not options.force:
        if known["state"] == "rejected" and candidate.dms_number in plan.refused:
            return
        if known["state"] == "held" and not dealer.keep_importing and not options.ask_held_again:
            return
    if policies.is_not_to_be_made(candidate) and not options.force:
        plan.set_aside_row(candidate, "waiting", "order", MISSING, now, None)
        return
    waits_for = None if options.force else policies.waiting(candidate, dealer, now)
    if waits_for is not None:
        message = f"waits for its {waits_for.part}, at most until {waits_for.until.isoformat(timespec='minutes')}"
        plan.set_aside_row(candidate, "waiting", waits_for.part, message, now, waits_for.until)
        return
    plan.to_send.append(candidate)


def _guard(
    plan: Plan,
    dealer: DealerSettings,
    options: DeliveryOptions,
    connection: duckdb.DuckDBPyConnection,
    state: Connection,
    now: datetime,
) -> None:
    changing = [candidate for candidate in plan.to_send if candidate.cancels_or_redates]
    if options.is_tick:
        if options.open_list_emptied:
            plan.guard = policies.emptied(_count_open_before(connection, dealer), dealer)
        plan.guard = plan.guard or policies.mass_change(len(changing), _count_open(connection, dealer), dealer)
        stopped = plan.to_send if plan.guard else []
    else:
        # A window is no mass change, but it must not carry out what the guard stopped in a tick; another hold, such as
        # that of a refused login, may have taken the place of the guard's since.
        held = current_hold(state, dealer.id)
        is_held = held is not None and held["kind"] == "guard"
        stopped = [candidate for candidate in changing if is_held or _was_stopped(plan, candidate)]
    if stopped:
        message = plan.guard or "the mass-change guard holds what cancels or changes dates"
        for candidate in stopped:
            plan.set_aside_row(candidate, "pending", "guard", message, now, None)
        names = {candidate.dms_number for candidate in stopped}
        plan.to_send = [candidate for candidate in plan.to_send if candidate.dms_number not in names]


def _candidates(
    connection: duckdb.DuckDBPyConnection,
    dealer: DealerSettings,
    options: DeliveryOptions,
    unanswered: set[str],
    today: date,
) -> list[Candidate]:
    query = files(__package__).joinpath("candidates.sql").read_text("utf-8")
    first, last = options.window or (None, None)
    rows = connection.execute(
        query,
        {
            "dealer": dealer.id,
            "location": dealer.claire_location_id,
            "unanswered": sorted(unanswered),
            "force": options.force,
            "history": options.deliver_history and options.window is not None,
            "numbers": None if options.numbers is None else sorted(options.numbers),
            "from": first,
            "to": last,
            "today": today,
        },
    )
    names = [column[0] for column in rows.description or ()]
    return [Candidate(**dict(zip(names, row, strict=True))) for row in rows.fetchall()]


def _seen(
    connection: duckdb.DuckDBPyConnection, dealer: DealerSettings, options: DeliveryOptions, run_id: str
) -> set[str]:
    """The appointments in scope: staged, owed (or asked for), and seen by this run."""
    if options.numbers is not None:
        return set(options.numbers)
    first, last = options.window or (None, None)
    rows = connection.execute(
        "SELECT d.dms_number FROM document d "
        "JOIN sighting s ON s.dealer_id = d.dealer_id AND s.entity = 'order' AND s.record_key = d.dms_number "
        "WHERE d.dealer_id = $dealer AND s.run_id = $run AND (d.is_owed OR $history) "
        "AND ($from IS NULL OR d.appointment_date BETWEEN $from AND $to)",
        {"dealer": dealer.id, "run": run_id, "history": options.deliver_history, "from": first, "to": last},
    ).fetchall()
    return {number for (number,) in rows}


def _settled(connection: duckdb.DuckDBPyConnection, dealer: DealerSettings, known: dict[str, Any]) -> set[str]:
    """Dispositions whose document equals what Claire has, or is gone from staging."""
    if not known:
        return set()
    rows = connection.execute(
        "SELECT n.dms_number FROM (SELECT unnest($numbers::VARCHAR[]) AS dms_number) n "
        "LEFT JOIN document d ON d.dealer_id = $dealer AND d.dms_number = n.dms_number "
        "LEFT JOIN acknowledged k ON k.dealer_id = $dealer AND k.location_id = $location "
        "AND k.dms_number = n.dms_number "
        "WHERE d.dms_number IS NULL OR k.document_hash = d.document_hash",
        {"numbers": sorted(known), "dealer": dealer.id, "location": dealer.claire_location_id},
    ).fetchall()
    return {number for (number,) in rows}


def _count_open_before(connection: duckdb.DuckDBPyConnection, dealer: DealerSettings) -> int:
    """The appointments that are open as Claire last acknowledged them."""
    row = connection.execute(
        "SELECT count(*) FROM acknowledged WHERE dealer_id = $dealer AND location_id = $location "
        "AND NOT is_billed AND NOT is_canceled",
        {"dealer": dealer.id, "location": dealer.claire_location_id},
    ).fetchone()
    return int(row[0]) if row else 0


def _count_open(connection: duckdb.DuckDBPyConnection, dealer: DealerSettings) -> int:
    """The open appointments that Claire has and does not hold as canceled already."""
    row = connection.execute(
        "SELECT count(*) FROM acknowledged k "
        "JOIN document d ON d.dealer_id = k.dealer_id AND d.dms_number = k.dms_number "
        "WHERE k.dealer_id = $dealer AND k.location_id = $location AND d.is_open AND NOT k.is_canceled",
        {"dealer": dealer.id, "location": dealer.claire_location_id},
    ).fetchone()
    return int(row[0]) if row else 0


def _was_stopped(plan: Plan, candidate: Candidate) -> bool:
    known = plan.stays.get(candidate.dms_number)
    return known is not None and (known["state"], known["reason"]) == ("pending", "guard")
