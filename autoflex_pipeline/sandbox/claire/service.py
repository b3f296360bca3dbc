"""What a running Claire consists of: its keys, its store, its faults, and the import itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autoflex_pipeline.sandbox.claire import statuses
from autoflex_pipeline.sandbox.claire.faulty import ClaireFault
from autoflex_pipeline.sandbox.claire.merge import changed_fields, empty_document, in_order, merged
from autoflex_pipeline.sandbox.claire.store import Appointment, ClaireStore
from autoflex_pipeline.sandbox.faults import FaultBoard

DEFAULT_MAX_BODY_BYTES = 1_000_000


@dataclass(frozen=True)
class ClaireKey:
    """An API key and the locations in its scope; ``name`` is what the log calls it (the key itself is never logged)."""

    name: str
    key: str = field(repr=False)
    locations: tuple[str, ...]


@dataclass(frozen=True)
class Location:
    """A location of a dealer, as the page shows it."""

    location_id: str
    name: str
    timezone: str = "Europe/Amsterdam"


class KeyReusedError(Exception):
    """The idempotency key was used before with another body."""


@dataclass(frozen=True)
class Imported:
    """The answer to an import: HTTP status and JSON body, and what the log says of it."""

    status: int
    body: str
    outcome: str


def utc_now() -> datetime:
    """The moment."""
    return datetime.now(UTC)


class ClaireService:
    """The state behind the routes. All of it but the keys and the faults is on disk."""

    def __init__(
        self,
        data_dir: Path,
        keys: Sequence[ClaireKey],
        locations: Sequence[Location] = (),
        faults: Sequence[ClaireFault] = (),
        clock: Callable[[], datetime] = utc_now,
        latency_ms: float = 0,
        max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
    ) -> None:
        self.keys = {key.key: key for key in keys}
        named = {location.location_id: location for location in locations}
        in_scope = dict.fromkeys(location_id for key in keys for location_id in key.locations)
        self.locations = {each: named.get(each, Location(each, f"Location {each}")) for each in {**named, **in_scope}}
        self.store = ClaireStore(data_dir / "claire.sqlite")
        self.faults: FaultBoard[ClaireFault] = FaultBoard(faults)
        self.clock = clock
        self.latency_ms = latency_ms
        self.max_body_bytes = max_body_bytes

    def now(self) -> str:
        """The moment, as it is written down: ISO 8601 in UTC."""
        return self.clock().isoformat(timespec="milliseconds")

    def close(self) -> None:
        """Close the files."""
        self.store.close()

    def import_appointment(self, key_name: str, given: dict[str, Any], body: bytes, idem_key: str | None) -> Imported:
        """Create or update an appointment from a valid document, in one durable transaction with both logs.

        The first answer to an idempotency key is kept and given again, refusals for started work included. Raises
        KeyReusedError when the key was used with another body; that too is logged.
        """
        body_hash = hashlib.sha256(body).hexdigest()
        at = self.now()
        with self.store.transaction():
            earlier = None if idem_key is None else self.store.answer(key_name, idem_key)
            if earlier is None:
                imported = self._upsert(given, at, idem_key)
                if idem_key is not None:
                    self.store.remember_answer(key_name, idem_key, body_hash, imported.status, imported.body)
            elif earlier[0] == body_hash:
                imported = Imported(earlier[1], earlier[2], "repeated")
            else:
                imported = Imported(422, "", "key_reused")
            self.store.log_request(
                (at, "import", key_name, given["location_id"], given["dms_nr"], idem_key, body_hash, imported.outcome)
            )
        if imported.outcome == "key_reused":
            raise KeyReusedError
        return imported

    def _upsert(self, given: dict[str, Any], at: str, idem_key: str | None) -> Imported:
        held = self.store.find(given["location_id"], given["dms_nr"])
        if held is not None and given.get("canceled") and statuses.work_has_started(held.status):
            detail = f"appointment {held.id} cannot be canceled: work has started, its status is {held.status}"
            return Imported(409, detail, "work_has_started")
        if held is None:
            return self._create(given, at, idem_key)
        document = merged(held.document, given)
        if document == held.document:
            return _imported(held.id, "unchanged", held.status)
        status = held.status
        if document["canceled"] and not held.document["canceled"]:
            status = statuses.CANCELLED
        elif held.document["canceled"] and not document["canceled"] and status == statuses.CANCELLED:
            status = statuses.NEW_ENTRY
        self.store.update(held.nr, document, status, at)
        changes = changed_fields({**held.document, "status": held.status}, {**document, "status": status})
        self.store.log_effect(at, (held.nr, held.location_id, held.dms_nr), "import", "updated", idem_key, changes)
        return _imported(held.id, "updated", status)

    def _create(self, given: dict[str, Any], at: str, idem_key: str | None) -> Imported:
        empty = empty_document(given["location_id"], given["dms_nr"])
        document = merged(empty, given)
        status = statuses.CANCELLED if document["canceled"] else statuses.NEW_ENTRY
        nr = self.store.insert(document, status, at)
        place = (nr, document["location_id"], document["dms_nr"])
        self.store.log_effect(at, place, "import", "created", idem_key, changed_fields(empty, document))
        return _imported(f"A-{nr}", "created", status)

    def appointment(self, appointment_id: str) -> Appointment | None:
        """The appointment of Claire's own id (A-778); None when there is none."""
        number = appointment_id.removeprefix("A-")
        return self.store.by_nr(int(number)) if number.isdecimal() and len(number) < 18 else None

    def move(self, appointment: Appointment, status: str, *, force: bool = False) -> bool:
        """Staff moves an appointment on; False when its status does not allow that (``force``: it does)."""
        if not force and status not in statuses.moves(appointment.status):
            return False
        self._write_by_staff(appointment, appointment.document, status)
        return True

    def add_staff_line(self, appointment: Appointment, title: str, price: str | None) -> None:
        """Staff types a line of its own: no dms_nr, behind those that are there."""
        lines = appointment.document["interventions"]
        line = {
            "dms_nr": None,
            "staff_id": 1 + max((line.get("staff_id", 0) for line in lines), default=0),
            "position": 1 + max((line["position"] for line in lines), default=0),
            "title": title,
            "price": price,
        }
        document = {**appointment.document, "interventions": in_order([*lines, line])}
        self._write_by_staff(appointment, document, appointment.status)

    def _write_by_staff(self, appointment: Appointment, document: dict[str, Any], status: str) -> None:
        at = self.now()
        changes = changed_fields({**appointment.document, "status": appointment.status}, {**document, "status": status})
        place = (appointment.nr, appointment.location_id, appointment.dms_nr)
        with self.store.transaction():
            self.store.update(appointment.nr, document, status, at)
            self.store.log_effect(at, place, "staff", "updated", None, changes)


def _imported(appointment_id: str, result: str, status: str) -> Imported:
    body = json.dumps({"id": appointment_id, "result": result, "status": status})
    return Imported(201 if result == "created" else 200, body, result)
