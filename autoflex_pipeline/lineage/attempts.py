"""What the state store knows of some appointments: attempts, acknowledgements, what stands in the way, holds."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import duckdb

from autoflex_pipeline.lineage.stores import Row, StateReader, moment, rows
from autoflex_pipeline.settings import DealerSettings

AT_ONCE = 500
"""SQLite binds a limited number of values in one statement."""


@dataclass
class Delivered:
    """By DMS number: attempts (oldest first), acknowledgement, disposition, intents without an answer; the dealer's."""

    attempts: dict[str, list[Row]] = field(default_factory=dict)
    acknowledged: dict[str, Row] = field(default_factory=dict)
    dispositions: dict[str, Row] = field(default_factory=dict)
    unanswered: dict[str, list[Row]] = field(default_factory=dict)
    hold: Row | None = None
    last_run: Row | None = None


def read_delivered(
    state: StateReader,
    connection: duckdb.DuckDBPyConnection,
    dealer: DealerSettings,
    orders: Collection[str],
    *,
    copied_to: int,
) -> Delivered:
    """Read what is known of ``orders``; ``connection`` holds the warehouse's copy of the ledger up to ``copied_to``."""
    place = (dealer.id, dealer.claire_location_id)
    found = Delivered()
    for part in _parts(orders):
        marks = ", ".join("?" * len(part))
        for row in state.rows(
            f"SELECT * FROM acknowledged WHERE dealer_id = ? AND location_id = ? AND dms_number IN ({marks})",
            (*place, *part),
        ):
            found.acknowledged[row["dms_number"]] = row | {"acknowledged_at": moment(row["acknowledged_at"])}
        for row in state.rows(
            f"SELECT * FROM disposition WHERE dealer_id = ? AND dms_number IN ({marks})", (dealer.id, *part)
        ):
            times = {name: moment(row[name]) for name in ("since", "due_at")}
            found.dispositions[row["dms_number"]] = row | times
        for row in state.rows(
            "SELECT * FROM intent WHERE dealer_id = ? AND location_id = ? "
            f"AND dms_number IN ({marks}) AND answered_at IS NULL ORDER BY dms_number, intent_number",
            (*place, *part),
        ):
            found.unanswered.setdefault(row["dms_number"], []).append(row | {"created_at": moment(row["created_at"])})
    for attempt in read_attempts(state, connection, dealer.id, orders, copied_to=copied_to):
        found.attempts.setdefault(attempt.pop("dms_number"), []).append(attempt)
    found.hold = read_hold(state, dealer.id)
    found.last_run = _one(
        state.rows("SELECT * FROM dealer_state WHERE dealer_id = ?", (dealer.id,)),
        ("last_attempt_at", "last_success_at"),
    )
    return found


def read_hold(state: StateReader, dealer_id: str) -> Row | None:
    """The dealer's hold, if any."""
    return _one(state.rows("SELECT * FROM hold WHERE dealer_id = ?", (dealer_id,)), ("since", "next_try_at"))


def read_attempts(
    state: StateReader,
    connection: duckdb.DuckDBPyConnection,
    dealer_id: str,
    orders: Collection[str],
    *,
    copied_to: int,
) -> list[Row]:
    """Every attempt to deliver ``orders``, oldest first, as ``trace --json`` has them, with ``dms_number``.

    The warehouse's copy of the ledger is columnar and can be searched by number; the ledger itself, which has no index
    for that, is read only from where the copy ends.
    """
    newest = state.rows("SELECT coalesce(max(id), 0) AS id FROM ledger")
    # A store that has fewer is another one: the copy is of one that was lost, and the next run replaces it.
    is_copy_of_it = not newest or copied_to <= newest[0]["id"]
    query = "SELECT * FROM delivery WHERE dealer_id = ? ORDER BY delivery_id"
    known = rows(connection, query, [dealer_id]) if is_copy_of_it else []
    later = state.rows(
        "SELECT * FROM ledger WHERE id > ? AND dealer_id = ? ORDER BY id",
        (copied_to if is_copy_of_it else 0, dealer_id),
    )
    numbers = _intent_numbers(state, [row["delivery_id"] for row in known] if newest else [])
    attempts = [
        {
            "dms_number": row["dms_number"],
            "attempted_at": row["attempted_at"],
            "result": row["result"],
            "http_status": row["http_status"],
            "message": row["message"],
            "run_id": row["run_id"],
            "intent_number": row["intent_number"] if "intent_number" in row else numbers.get(row["delivery_id"]),
            "fields_changed": json.loads(row["fields_changed"] or "[]"),
        }
        for row in [*known, *(each | {"attempted_at": moment(each["attempted_at"])} for each in later)]
    ]
    wanted = set(orders)
    return [attempt for attempt in attempts if attempt["dms_number"] in wanted]


def read_intent_times(state: StateReader, dealer_id: str, orders: Collection[str]) -> dict[tuple[str, int], datetime]:
    """When the document of each intent (DMS number, intent number) was made."""
    times: dict[tuple[str, int], datetime] = {}
    for part in _parts(orders):
        for row in state.rows(
            "SELECT dms_number, intent_number, created_at FROM intent "
            f"WHERE dealer_id = ? AND dms_number IN ({', '.join('?' * len(part))})",
            (dealer_id, *part),
        ):
            made = moment(row["created_at"])
            if made is not None:
                times[row["dms_number"], row["intent_number"]] = made
    return times


def _intent_numbers(state: StateReader, ledger_ids: Collection[int]) -> dict[int, int]:
    """By running number of the ledger, the intent that the attempt was a try of: the copy does not have it."""
    found: dict[int, int] = {}
    for part in _parts(ledger_ids):
        query = f"SELECT id, intent_number FROM ledger WHERE id IN ({', '.join('?' * len(part))})"
        found |= {row["id"]: row["intent_number"] for row in state.rows(query, part)}
    return found


def _one(found: list[Row], times: Sequence[str]) -> Row | None:
    return found[0] | {name: moment(found[0][name]) for name in times} if found else None


def _parts(values: Collection[Any]) -> list[list[Any]]:
    ordered = sorted(values)
    return [ordered[start : start + AT_ONCE] for start in range(0, len(ordered), AT_ONCE)]
