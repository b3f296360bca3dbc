"""Intents (what is to be sent), what Claire acknowledged, and why a document has not gone yet.

An intent is durable before its first request and keeps its number, key and body for every retry. ``dealer_id``,
``location_id`` and ``dms_number`` name an appointment throughout.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Literal

import msgspec
from sqlalchemy import (
    Boolean,
    Connection,
    Date,
    Index,
    Integer,
    Row,
    String,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy import Column as SqlColumn
from sqlalchemy import Table as SqlTable
from sqlalchemy.dialects.sqlite import insert as upsert

from autoflex_pipeline.state.store import UtcMoment, metadata

DispositionState = Literal["pending", "waiting", "held", "rejected", "failed"]
Rows = list[dict[str, Any]]
TAKEN = ("created", "updated", "unchanged")
TELL_WHAT_CLAIRE_HAS = (*TAKEN, "absent")
"""Results after which nothing is open any more of what went before; absent: there was nothing to cancel."""

NUMBERS_AT_ONCE = 500
"""SQLite binds a limited number of values in one statement."""

origin = SqlTable(
    "outbox_origin",
    metadata,
    SqlColumn("origin", String, primary_key=True, comment="Random name of this store."),
    SqlColumn("last_change", Integer, nullable=False, comment="The highest change number ever given; never falls."),
    comment="One row: makes this store's idempotency keys differ from those of a store that was lost.",
)

intent = SqlTable(
    "intent",
    metadata,
    SqlColumn("id", Integer, primary_key=True, comment="Running number."),
    SqlColumn("dealer_id", String, nullable=False, comment="The dealer."),
    SqlColumn("location_id", String, nullable=False, comment="Claire's location."),
    SqlColumn("dms_number", String, nullable=False, comment="The appointment's number in the DMS."),
    SqlColumn("intent_number", Integer, nullable=False, comment="Counts the intents of the appointment, from 1."),
    SqlColumn("idempotency_key", String, nullable=False, comment="Sent with every try of this intent, and no other."),
    SqlColumn("body", Text, comment="The request's body, byte for byte; empty once it is not to be sent again."),
    SqlColumn("document_hash", String, nullable=False, comment="Hash of the projection it was made for."),
    SqlColumn("will_hold", Text, comment="JSON: what Claire may hold once it took it; empty when that is known."),
    SqlColumn("fields_changed", Text, nullable=False, comment="JSON list of {field, old, new}."),
    SqlColumn("created_at", UtcMoment, nullable=False, comment="When it was made."),
    SqlColumn("run_id", String, nullable=False, comment="The run that made it."),
    SqlColumn("answered_at", UtcMoment, comment="When it became known what Claire made of it; empty until then."),
    SqlColumn("result", String, comment="created, updated, unchanged, rejected, absent, withdrawn or superseded."),
    Index("intent_of_appointment", "dealer_id", "location_id", "dms_number", "intent_number", unique=True),
    comment="One row per document that was to be sent.",
)

acknowledged = SqlTable(
    "acknowledged",
    metadata,
    SqlColumn("dealer_id", String, primary_key=True, comment="The dealer."),
    SqlColumn("location_id", String, primary_key=True, comment="Claire's location."),
    SqlColumn("dms_number", String, primary_key=True, comment="The appointment's number in the DMS."),
    SqlColumn("claire_id", String, nullable=False, comment="Claire's id of the appointment."),
    SqlColumn("status", String, nullable=False, comment="Its status in Claire when it last answered."),
    SqlColumn("held", Text, nullable=False, comment="JSON: what Claire holds; several when an answer was never had."),
    SqlColumn("document_hash", String, nullable=False, comment="Hash of the projection that Claire then equals."),
    SqlColumn("intent_number", Integer, nullable=False, comment="The last intent that Claire took."),
    SqlColumn("is_billed", Boolean, nullable=False, comment="Whether it is billed there."),
    SqlColumn("is_canceled", Boolean, nullable=False, comment="Whether it is canceled there."),
    SqlColumn("appointment_date", Date, comment="Its day there."),
    SqlColumn("acknowledged_at", UtcMoment, nullable=False, comment="When Claire last took a document."),
    SqlColumn("change_number", Integer, nullable=False, unique=True, comment="Rises with every change of a row."),
    comment="One row per appointment that Claire has.",
)

disposition = SqlTable(
    "disposition",
    metadata,
    SqlColumn("dealer_id", String, primary_key=True, comment="The dealer."),
    SqlColumn("dms_number", String, primary_key=True, comment="The appointment's number in the DMS."),
    SqlColumn("state", String, nullable=False, comment="pending, waiting, held, rejected or failed."),
    SqlColumn("reason", String, comment="Such as work_started, lines, order, guard."),
    SqlColumn("message", Text, comment="What a person should know."),
    SqlColumn("document_hash", String, nullable=False, comment="Hash of the document that it is about."),
    SqlColumn("since", UtcMoment, nullable=False, comment="When the document came into this state."),
    SqlColumn("due_at", UtcMoment, comment="When to look again although nothing changes."),
    comment="One row per appointment whose document has not gone.",
)


# Made once and run for many rows at a time: building a statement for each answer cost more than the request itself.
_OF_APPOINTMENT = (
    (intent.c.dealer_id == bindparam("dealer"))
    & (intent.c.location_id == bindparam("location"))
    & (intent.c.dms_number == bindparam("of_appointment"))
)
_CLOSE = (
    update(intent)
    .where(_OF_APPOINTMENT, intent.c.intent_number == bindparam("number"))
    .values(answered_at=bindparam("now"), body=None, will_hold=None, result=bindparam("outcome"))
)
_REFUSE = (
    update(intent)
    .where(_OF_APPOINTMENT, intent.c.intent_number == bindparam("number"))
    .values(result="rejected", body=None)
)
_SUPERSEDE = (
    update(intent)
    .where(_OF_APPOINTMENT, intent.c.intent_number < bindparam("number"), intent.c.answered_at.is_(None))
    .values(answered_at=bindparam("now"), body=None, will_hold=None, result="superseded")
)
_ACKNOWLEDGE = upsert(acknowledged)
_ACKNOWLEDGE = _ACKNOWLEDGE.on_conflict_do_update(
    index_elements=acknowledged.primary_key.columns,
    set_={column.name: column for column in _ACKNOWLEDGE.excluded if not column.primary_key},
)
_CLEAR_DISPOSITION = delete(disposition).where(
    disposition.c.dealer_id == bindparam("dealer"), disposition.c.dms_number == bindparam("of_appointment")
)


def store_origin(connection: Connection) -> str:
    """The name of this store, made when it is first asked for."""
    known = connection.scalar(select(origin.c.origin))
    if known is None:
        known = uuid.uuid4().hex
        connection.execute(insert(origin).values(origin=known, last_change=0))
    return str(known)


def renew_origin(connection: Connection) -> str:
    """Give the store another name, which it gets when it was put back from a backup: no key is made a second time."""
    store_origin(connection)
    name = uuid.uuid4().hex
    connection.execute(update(origin).values(origin=name))
    return name


def idempotency_key(origin_name: str, dealer_id: str, location_id: str, dms_number: str, intent_number: int) -> str:
    """The key of one intent."""
    parts = (origin_name, dealer_id, location_id, dms_number, str(intent_number))
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:40]


def open_numbers(connection: Connection, dealer_id: str, location_id: str) -> set[str]:
    """The appointments of the dealer of which Claire may have taken an intent without saying so."""
    query = select(intent.c.dms_number).where(
        intent.c.dealer_id == dealer_id, intent.c.location_id == location_id, intent.c.answered_at.is_(None)
    )
    return set(connection.scalars(query))


def open_intents(
    connection: Connection, dealer_id: str, location_id: str, dms_numbers: Collection[str]
) -> dict[str, Rows]:
    """By appointment its intents that Claire may have taken without saying so, oldest first.

    One of which ``result`` is known is not to be sent again, see ``note_refusals``.
    """
    found: dict[str, Rows] = {}
    for some in _chunks(dms_numbers):
        query = (
            select(intent)
            .where(intent.c.dealer_id == dealer_id, intent.c.location_id == location_id)
            .where(intent.c.dms_number.in_(some), intent.c.answered_at.is_(None))
            .order_by(intent.c.intent_number)
        )
        for row in _rows(connection, query):
            found.setdefault(row["dms_number"], []).append(row)
    return found


def last_intent_numbers(
    connection: Connection, dealer_id: str, location_id: str, dms_numbers: Collection[str]
) -> dict[str, int]:
    """By appointment the number of its newest intent."""
    found: dict[str, int] = {}
    for some in _chunks(dms_numbers):
        query = (
            select(intent.c.dms_number, func.max(intent.c.intent_number))
            .where(intent.c.dealer_id == dealer_id, intent.c.location_id == location_id, intent.c.dms_number.in_(some))
            .group_by(intent.c.dms_number)
        )
        found |= {str(number): int(newest) for number, newest in connection.execute(query)}
    return found


def refused_numbers(connection: Connection, dealer_id: str, location_id: str, dms_numbers: Collection[str]) -> set[str]:
    """Those of the appointments whose newest intent was refused at this location."""
    found: set[str] = set()
    for dms_number, number in last_intent_numbers(connection, dealer_id, location_id, dms_numbers).items():
        query = select(intent.c.result).where(_OF_APPOINTMENT, intent.c.intent_number == bindparam("number"))
        values = {"dealer": dealer_id, "location": location_id, "of_appointment": dms_number, "number": number}
        if connection.scalar(query, values) == "rejected":
            found.add(dms_number)
    return found


def add_intents(connection: Connection, rows: Rows) -> None:
    """Write new intents; each row has every column up to ``run_id`` but the id."""
    if rows:
        connection.execute(insert(intent), rows)


def close_intents(
    connection: Connection, dealer_id: str, location_id: str, answers: Sequence[tuple[str, int, str]], now: datetime
) -> None:
    """Note answers (dms_number, intent_number, result).

    One that tells what Claire has (it took the document, or has none) closes the older ones as superseded.
    """
    rows: Rows = [
        {"of_appointment": dms_number, "number": number, "outcome": result} for dms_number, number, result in answers
    ]
    if rows:
        connection.execute(_CLOSE, [row | {"dealer": dealer_id, "location": location_id, "now": now} for row in rows])
    if known := [row for row in rows if row["outcome"] in TELL_WHAT_CLAIRE_HAS and row["number"] > 1]:
        connection.execute(
            _SUPERSEDE, [row | {"dealer": dealer_id, "location": location_id, "now": now} for row in known]
        )


def note_refusals(connection: Connection, dealer_id: str, location_id: str, refused: Sequence[tuple[str, int]]) -> None:
    """Note that intents (dms_number, intent_number) were refused of which an earlier try had no answer.

    They stay open: Claire may have taken that try, whatever it, or something in front of it, says to the repetition.
    """
    rows: Rows = [{"of_appointment": dms_number, "number": number} for dms_number, number in refused]
    if rows:
        connection.execute(_REFUSE, [row | {"dealer": dealer_id, "location": location_id} for row in rows])


def give_up_intents(connection: Connection, dealer_id: str, location_id: str, now: datetime) -> None:
    """Close all that have no answer: what Claire holds has become known in another way."""
    here = (intent.c.dealer_id == dealer_id) & (intent.c.location_id == location_id)
    connection.execute(
        update(intent)
        .where(here, intent.c.answered_at.is_(None))
        .values(answered_at=now, body=None, will_hold=None, result="superseded")
    )


def acknowledged_rows(
    connection: Connection, dealer_id: str, location_id: str, dms_numbers: Collection[str]
) -> dict[str, dict[str, Any]]:
    """What Claire acknowledged, by appointment."""
    found: dict[str, dict[str, Any]] = {}
    for some in _chunks(dms_numbers):
        query = select(acknowledged).where(
            acknowledged.c.dealer_id == dealer_id,
            acknowledged.c.location_id == location_id,
            acknowledged.c.dms_number.in_(some),
        )
        found |= {row["dms_number"]: row for row in _rows(connection, query)}
    return found


def acknowledge(connection: Connection, dealer_id: str, location_id: str, rows: Rows) -> None:
    """Write what Claire acknowledged; rows have every column but dealer, location and change number."""
    if not rows:
        return
    # A counter of its own: the highest number in the table may be of a row that is replaced; none is given twice.
    newest = newest_change(connection)
    store_origin(connection)
    connection.execute(update(origin).values(last_change=newest + len(rows)))
    numbered = [
        row | {"dealer_id": dealer_id, "location_id": location_id, "change_number": newest + place}
        for place, row in enumerate(rows, start=1)
    ]
    connection.execute(_ACKNOWLEDGE, numbered)


def acknowledged_after(
    connection: Connection, change_number: int, names: Sequence[str], *, at_once: int = 10_000
) -> Iterator[Sequence[Row[Any]]]:
    """The columns ``names`` of the rows changed after ``change_number``, oldest change first, in parts."""
    query = select(*(acknowledged.c[name] for name in names)).where(acknowledged.c.change_number > change_number)
    result = connection.execution_options(yield_per=at_once).execute(query.order_by(acknowledged.c.change_number))
    yield from result.partitions(at_once)


def newest_change(connection: Connection) -> int:
    """The highest change number ever given; 0 when Claire has acknowledged nothing."""
    return connection.scalar(select(origin.c.last_change)) or 0


def dispositions(connection: Connection, dealer_id: str) -> dict[str, dict[str, Any]]:
    """By appointment why its document has not gone."""
    return {
        row["dms_number"]: row
        for row in _rows(connection, select(disposition).where(disposition.c.dealer_id == dealer_id))
    }


def set_dispositions(connection: Connection, dealer_id: str, rows: Rows) -> None:
    """Replace the dispositions of the appointments in ``rows``."""
    if rows:
        clear_dispositions(connection, dealer_id, [row["dms_number"] for row in rows])
        connection.execute(insert(disposition), [row | {"dealer_id": dealer_id} for row in rows])


def clear_dispositions(connection: Connection, dealer_id: str, dms_numbers: Collection[str]) -> None:
    """Nothing stands in the way of these documents (any more)."""
    if dms_numbers and _has_dispositions(connection, dealer_id):
        connection.execute(
            _CLEAR_DISPOSITION, [{"dealer": dealer_id, "of_appointment": number} for number in dms_numbers]
        )


def _has_dispositions(connection: Connection, dealer_id: str) -> bool:
    query = select(disposition.c.dms_number).where(disposition.c.dealer_id == dealer_id).limit(1)
    return connection.scalar(query) is not None


def as_json(value: object) -> str:
    """Compact JSON text, the same for the same value."""
    return msgspec.json.encode(value).decode()


def from_json(text: str) -> Any:
    """What ``as_json`` made a text of."""
    return msgspec.json.decode(text)


def _rows(connection: Connection, query: Any) -> Rows:
    return [{str(name): value for name, value in row.items()} for row in connection.execute(query).mappings()]


def _chunks(values: Collection[str]) -> Iterator[list[str]]:
    iterator = iter(values)
    while some := list(islice(iterator, NUMBERS_AT_ONCE)):
        yield some
