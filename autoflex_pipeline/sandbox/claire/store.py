"""Claire's memory on disk: appointments, answers by idempotency key, and append-only logs of requests and effects."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from autoflex_pipeline.sandbox.claire.merge import Document
from autoflex_pipeline.sandbox.database import open_database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS appointment (
    nr INTEGER PRIMARY KEY AUTOINCREMENT,
    location_id TEXT NOT NULL,
    dms_nr TEXT NOT NULL,
    status TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    appointment_date TEXT,
    wo_nr TEXT,
    plate TEXT,
    document TEXT NOT NULL,
    UNIQUE (location_id, dms_nr)
);
CREATE INDEX IF NOT EXISTS appointment_by_day ON appointment (location_id, appointment_date);
CREATE TABLE IF NOT EXISTS answer (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    status INTEGER NOT NULL,
    answer TEXT NOT NULL,
    PRIMARY KEY (owner, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS request_log (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, endpoint TEXT NOT NULL, key_name TEXT, location_id TEXT, dms_nr TEXT,
    idempotency_key TEXT, body_hash TEXT, outcome TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS effect (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, appointment_nr INTEGER NOT NULL, location_id TEXT NOT NULL,
    dms_nr TEXT NOT NULL, source TEXT NOT NULL, result TEXT NOT NULL, idempotency_key TEXT, changes TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS effect_by_appointment ON effect (appointment_nr);
"""

_COLUMNS = "nr, location_id, dms_nr, status, updated_at, document"


class Appointment:
    """One appointment as Claire holds it."""

    __slots__ = ("dms_nr", "document", "location_id", "nr", "status", "updated_at")

    def __init__(
        self, nr: int, location_id: str, dms_nr: str, status: str, updated_at: str, document: Document
    ) -> None:
        self.nr = nr
        self.location_id = location_id
        self.dms_nr = dms_nr
        self.status = status
        self.updated_at = updated_at
        self.document = document

    @property
    def id(self) -> str:
        """Claire's own id, such as A-778."""
        return f"A-{self.nr}"

    def as_json(self) -> dict[str, Any]:
        """As the list and the details give it."""
        return {"id": self.id, "status": self.status, "updated_at": self.updated_at, **self.document}


class ClaireStore:
    """All of Claire's tables, on one connection that the server's event loop uses."""

    def __init__(self, path: Path) -> None:
        self._connection = open_database(path, _SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing of what is written inside."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def find(self, location_id: str, dms_nr: str) -> Appointment | None:
        """The appointment of that key; None when there is none."""
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM appointment WHERE location_id = ? AND dms_nr = ?", (location_id, dms_nr)
        ).fetchone()
        return None if row is None else _appointment(row)

    def by_nr(self, nr: int) -> Appointment | None:
        """The appointment of Claire's own number; None when there is none."""
        row = self._connection.execute(f"SELECT {_COLUMNS} FROM appointment WHERE nr = ?", (nr,)).fetchone()
        return None if row is None else _appointment(row)

    def insert(self, document: Document, status: str, at: str) -> int:
        """Make an appointment; its number."""
        cursor = self._connection.execute(
            "INSERT INTO appointment"
            " (location_id, dms_nr, status, updated_at, appointment_date, wo_nr, plate, document)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (document["location_id"], document["dms_nr"], status, at, *_searchable(document), _text(document)),
        )
        return int(cursor.lastrowid or 0)

    def update(self, nr: int, document: Document, status: str, at: str) -> None:
        """Write an appointment."""
        self._connection.execute(
            "UPDATE appointment SET status = ?, updated_at = ?, appointment_date = ?, wo_nr = ?, plate = ?,"
            " document = ? WHERE nr = ?",
            (status, at, *_searchable(document), _text(document), nr),
        )

    def answer(self, owner: str, key: str) -> tuple[str, int, str] | None:
        """Body hash, HTTP status and body of the first answer to a key; None when it is new."""
        row = self._connection.execute(
            "SELECT body_hash, status, answer FROM answer WHERE owner = ? AND key = ?", (owner, key)
        ).fetchone()
        return None if row is None else (row[0], row[1], row[2])

    def remember_answer(self, owner: str, key: str, body_hash: str, status: int, answer: str) -> None:
        """Keep the first answer to a key."""
        self._connection.execute("INSERT INTO answer VALUES (?, ?, ?, ?, ?)", (owner, key, body_hash, status, answer))

    def log_request(self, entry: tuple[str | None, ...]) -> None:
        """at, endpoint, key_name, location_id, dms_nr, idempotency_key, body_hash, outcome."""
        self._connection.execute(
            "INSERT INTO request_log (at, endpoint, key_name, location_id, dms_nr, idempotency_key, body_hash, outcome)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            entry,
        )

    def log_effect(
        self,
        at: str,
        appointment: tuple[int, str, str],
        source: str,
        result: str,
        idempotency_key: str | None,
        changes: list[dict[str, Any]],
    ) -> None:
        """Something was really created or updated; ``appointment`` is (nr, location_id, dms_nr)."""
        self._connection.execute(
            "INSERT INTO effect (at, appointment_nr, location_id, dms_nr, source, result, idempotency_key, changes)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (at, *appointment, source, result, idempotency_key, msgspec.json.encode(changes).decode()),
        )

    def list_page(
        self,
        locations: list[str],
        dms_nr: str | None,
        date_from: str | None,
        date_to: str | None,
        limit: int,
        offset: int,
    ) -> list[Appointment]:
        """Appointments of ``locations`` that fit, oldest first."""
        marks = ",".join("?" * len(locations))
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM appointment WHERE location_id IN ({marks}) AND dms_nr = coalesce(?, dms_nr)"
            " AND (? IS NULL OR appointment_date >= ?) AND (? IS NULL OR appointment_date <= ?)"
            " ORDER BY nr LIMIT ? OFFSET ?",
            (*locations, dms_nr, date_from, date_from, date_to, date_to, limit, offset),
        )
        return [_appointment(row) for row in rows]

    def search(self, location_id: str, text: str, limit: int) -> list[Appointment]:
        """Appointments of a location whose WO number or plate holds ``text`` (hyphens and case aside), newest first."""
        plain = "".join(character for character in text.upper() if character.isalnum())
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM appointment WHERE location_id = ?"
            " AND (instr(upper(replace(wo_nr, '-', '')), ?) OR instr(upper(replace(plate, '-', '')), ?))"
            " ORDER BY appointment_date DESC, nr DESC LIMIT ?",
            (location_id, plain, plain, limit),
        )
        return [_appointment(row) for row in rows]

    def request_log(self, after: int, limit: int) -> list[dict[str, Any]]:
        """The requests received, oldest first, from the one after ``after``."""
        return self._dicts("SELECT * FROM request_log WHERE id > ? ORDER BY id LIMIT ?", (after, limit))

    def effects(self, source: str | None, nr: int | None, after: int, limit: int) -> list[dict[str, Any]]:
        """The effects made, oldest first; of one source (import, staff), of one appointment."""
        found = self._dicts(
            "SELECT * FROM effect WHERE source = coalesce(?, source) AND appointment_nr = coalesce(?, appointment_nr)"
            " AND id > ? ORDER BY id LIMIT ?",
            (source, nr, after, limit),
        )
        return [{**effect, "changes": msgspec.json.decode(effect["changes"])} for effect in found]

    def counts(self) -> dict[str, int]:
        """How many appointments, requests and effects (of imports) there are."""
        statements = {
            "appointments": "SELECT count(*) FROM appointment",
            "requests": "SELECT count(*) FROM request_log",
            "imports": "SELECT count(*) FROM request_log WHERE endpoint = 'import'",
            "effects": "SELECT count(*) FROM effect WHERE source = 'import'",
        }
        return {name: self._connection.execute(sql).fetchone()[0] for name, sql in statements.items()}

    def reset(self) -> None:
        """Forget everything."""
        with self.transaction():
            for table in ("appointment", "answer", "request_log", "effect"):
                self._connection.execute(f"DELETE FROM {table}")

    def _dicts(self, sql: str, values: tuple[Any, ...]) -> list[dict[str, Any]]:
        cursor = self._connection.execute(sql, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


def _appointment(row: sqlite3.Row | tuple[Any, ...]) -> Appointment:
    nr, location_id, dms_nr, status, updated_at, document = row
    return Appointment(nr, location_id, dms_nr, status, updated_at, msgspec.json.decode(document))


def _searchable(document: Document) -> tuple[str | None, str | None, str | None]:
    return document["appointment_date"], document["wo_nr"], (document["car"] or {}).get("registration_number")


def _text(document: Document) -> str:
    return msgspec.json.encode(document).decode()
