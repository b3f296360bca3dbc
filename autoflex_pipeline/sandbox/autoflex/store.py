"""The rows of this Autoflex, on disk: orders, lines, vehicles and relations of every dealer, as JSON.

A row is kept as it is given, dirty values and all. Pages are cut from a list of row numbers that is kept until the
dealer's rows change, so that paging through 75,000 orders filters them once and not 750 times.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from autoflex_pipeline.sandbox.autoflex.query import Condition
from autoflex_pipeline.sandbox.autoflex.schema import DATE_FIELDS, FIELDS, KEYS, Endpoint
from autoflex_pipeline.sandbox.database import open_database

Row = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    dealer_id TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    id TEXT NOT NULL,
    modified TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (dealer_id, endpoint, id)
);
CREATE INDEX IF NOT EXISTS record_by_order
    ON record (dealer_id, CAST(json_extract(body, '$.order_id') AS TEXT)) WHERE endpoint = 'order_line';
CREATE INDEX IF NOT EXISTS record_by_order_number
    ON record (dealer_id, CAST(json_extract(body, '$.order_number') AS TEXT)) WHERE endpoint = 'order';
CREATE INDEX IF NOT EXISTS record_by_plate
    ON record (dealer_id, CAST(json_extract(body, '$.license_plate') AS TEXT)) WHERE endpoint = 'vehicle';
"""

_KEPT_LISTS = 64
_STAMP = "%Y%m%dT%H%M%S"


class AutoflexStore:
    """Rows by dealer, endpoint and id; safe to use from several threads.

    ``last_modified`` of an order is a column of its own: it moves on with every write of the order or of its lines, by
    at least a second, because that is its resolution.
    """

    def __init__(
        self, path: Path, zones: Mapping[str, str], clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """``zones``: the IANA time zone of each dealer, in which ``last_modified`` is written."""
        self._connection = open_database(path, _SCHEMA)
        self._lock = threading.RLock()
        self._zones = {dealer_id: ZoneInfo(zone) for dealer_id, zone in zones.items()}
        self._clock = clock
        self._lists: OrderedDict[tuple[str, Endpoint, Condition | None], list[int]] = OrderedDict()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def put(self, dealer_id: str, endpoint: Endpoint, row_id: str, row: Mapping[str, Any]) -> Row:
        """Create or replace one row, as stored: fields left out become null, the key is filled in unless given."""
        self.load(dealer_id, endpoint, [(row_id, row)])
        return self.row(dealer_id, endpoint, row_id) or {}

    def load(self, dealer_id: str, endpoint: Endpoint, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
        """Create or replace many rows in one transaction; how many. ValueError names a field that does not exist."""
        now = self._now(dealer_id)
        touched: set[str] = set()
        count = 0
        with self._lock, self._connection:
            self._connection.execute("BEGIN")
            for row_id, row in rows:
                body = _whole(endpoint, row_id, row)
                modified = body.pop("last_modified", None)
                if modified is None:
                    modified = self._next_stamp(dealer_id, row_id, now) if endpoint == "order" else ""
                self._connection.execute(
                    "INSERT INTO record (dealer_id, endpoint, id, modified, body) VALUES (?, ?, ?, ?, ?)"
                    " ON CONFLICT (dealer_id, endpoint, id)"
                    " DO UPDATE SET modified = excluded.modified, body = excluded.body",
                    (dealer_id, endpoint, row_id, modified, json.dumps(body, ensure_ascii=False)),
                )
                count += 1
                if endpoint == "order_line":
                    touched.add(str(body["order_id"]))
            self._touch_orders(dealer_id, touched, now)
            self._forget(dealer_id)
        return count

    def change(self, dealer_id: str, endpoint: Endpoint, row_id: str, fields: Mapping[str, Any]) -> Row | None:
        """Change some fields of a row; the row as it then is, None when there is no such row."""
        with self._lock:
            row = self.row(dealer_id, endpoint, row_id)
            if row is None:
                return None
            row.pop("last_modified", None)
            return self.put(dealer_id, endpoint, row_id, {**row, **fields})

    def delete(self, dealer_id: str, endpoint: Endpoint, row_id: str) -> bool:
        """Delete one row; whether it was there. The lines of an order are rows of their own and stay."""
        with self._lock, self._connection:
            row = self.row(dealer_id, endpoint, row_id)
            self._connection.execute("BEGIN")
            self._connection.execute(
                "DELETE FROM record WHERE dealer_id = ? AND endpoint = ? AND id = ?", (dealer_id, endpoint, row_id)
            )
            if row is not None and endpoint == "order_line":
                self._touch_orders(dealer_id, {str(row["order_id"])}, self._now(dealer_id))
            self._forget(dealer_id)
            return row is not None

    def clear(self, dealer_id: str, endpoint: Endpoint | None = None) -> None:
        """Delete all rows of a dealer (of one endpoint)."""
        with self._lock:
            self._connection.execute(
                "DELETE FROM record WHERE dealer_id = ? AND endpoint = coalesce(?, endpoint)", (dealer_id, endpoint)
            )
            self._forget(dealer_id)

    def row(self, dealer_id: str, endpoint: Endpoint, row_id: str) -> Row | None:
        """One row by its id; None when there is none."""
        with self._lock:
            found = self._connection.execute(
                "SELECT modified, body FROM record WHERE dealer_id = ? AND endpoint = ? AND id = ?",
                (dealer_id, endpoint, row_id),
            ).fetchone()
        return None if found is None else _row(endpoint, *found)

    def count(self, dealer_id: str, endpoint: Endpoint, condition: Condition | None = None) -> int:
        """How many rows fit."""
        with self._lock:
            return len(self._sequence(dealer_id, endpoint, condition))

    def slice(
        self, dealer_id: str, endpoint: Endpoint, condition: Condition | None, offset: int, limit: int
    ) -> tuple[list[Row], bool]:
        """``limit`` rows from ``offset`` in the order in which they were made, and whether there are more."""
        with self._lock:
            sequence = self._sequence(dealer_id, endpoint, condition)
            wanted = sequence[offset : offset + limit]
            marks = ",".join("?" * len(wanted))
            found = self._connection.execute(
                f"SELECT modified, body FROM record WHERE seq IN ({marks}) ORDER BY seq", wanted
            ).fetchall()
            return [_row(endpoint, *each) for each in found], offset + limit < len(sequence)

    def rows(self, dealer_id: str, endpoint: Endpoint, condition: Condition | None = None) -> list[Row]:
        """All rows that fit."""
        with self._lock:
            total = len(self._sequence(dealer_id, endpoint, condition))
            rows: list[Row] = []
            for offset in range(0, total, 500):
                rows += self.slice(dealer_id, endpoint, condition, offset, 500)[0]
            return rows

    def ids(self, dealer_id: str, endpoint: Endpoint) -> list[str]:
        """All ids, in the order in which the rows were made."""
        with self._lock:
            found = self._connection.execute(
                "SELECT id FROM record WHERE dealer_id = ? AND endpoint = ? ORDER BY seq", (dealer_id, endpoint)
            )
            return [each[0] for each in found]

    def orders_of_day(self, dealer_id: str, day: str, limit: int) -> list[Row]:
        """The orders planned on a day (``YYYYMMDD``), by time."""
        plan = "replace(CAST(json_extract(body, '$.plan_date_from') AS TEXT), '-', '')"
        return self._orders(f"substr({plan}, 1, 8) = ? ORDER BY {plan}, seq LIMIT ?", (dealer_id, day, limit))

    def search_orders(self, dealer_id: str, text: str, limit: int) -> list[Row]:
        """The newest orders whose number, or whose car's plate, holds ``text`` (hyphens, spaces and case aside)."""
        plain = "".join(character for character in text.upper() if character.isalnum())
        return self._orders(
            "(instr(upper(replace(json_extract(body, '$.order_number'), '-', '')), ?)"
            " OR CAST(json_extract(body, '$.vehicle_id') AS TEXT) IN ("
            "  SELECT id FROM record WHERE dealer_id = ? AND endpoint = 'vehicle'"
            "  AND instr(upper(replace(replace(json_extract(body, '$.license_plate'), '-', ''), ' ', '')), ?)))"
            " ORDER BY seq DESC LIMIT ?",
            (dealer_id, plain, dealer_id, plain, limit),
        )

    def highest_id(self, dealer_id: str, endpoint: Endpoint) -> int:
        """The highest id that is a number; 0 when there is none."""
        with self._lock:
            found = self._connection.execute(
                "SELECT coalesce(max(CAST(id AS INTEGER)), 0) FROM record WHERE dealer_id = ? AND endpoint = ?",
                (dealer_id, endpoint),
            )
            return int(found.fetchone()[0])

    def _orders(self, clause: str, values: tuple[Any, ...]) -> list[Row]:
        with self._lock:
            found = self._connection.execute(
                f"SELECT modified, body FROM record WHERE dealer_id = ? AND endpoint = 'order' AND {clause}", values
            )
            return [_row("order", *each) for each in found]

    def _sequence(self, dealer_id: str, endpoint: Endpoint, condition: Condition | None) -> list[int]:
        key = (dealer_id, endpoint, condition)
        kept = self._lists.get(key)
        if kept is not None:
            self._lists.move_to_end(key)
            return kept
        clause, values = _where(endpoint, condition)
        found = self._connection.execute(
            # The endpoint stands in the text (it is one of ENDPOINTS) so that the partial indexes fit.
            f"SELECT seq FROM record WHERE dealer_id = ? AND endpoint = '{endpoint}'{clause} ORDER BY seq",
            (dealer_id, *values),
        )
        sequence = [each[0] for each in found]
        self._lists[key] = sequence
        if len(self._lists) > _KEPT_LISTS:
            self._lists.popitem(last=False)
        return sequence

    def _now(self, dealer_id: str) -> datetime:
        return self._clock().astimezone(self._zones[dealer_id])

    def _forget(self, dealer_id: str) -> None:
        for key in [key for key in self._lists if key[0] == dealer_id]:
            del self._lists[key]

    def _next_stamp(self, dealer_id: str, order_id: str, now: datetime) -> str:
        found = self._connection.execute(
            "SELECT modified FROM record WHERE dealer_id = ? AND endpoint = 'order' AND id = ?", (dealer_id, order_id)
        ).fetchone()
        return _later_stamp(found[0] if found else None, now)

    def _touch_orders(self, dealer_id: str, order_ids: set[str], now: datetime) -> None:
        self._connection.executemany(
            "UPDATE record SET modified = ? WHERE dealer_id = ? AND endpoint = 'order' AND id = ?",
            [(self._next_stamp(dealer_id, order_id, now), dealer_id, order_id) for order_id in sorted(order_ids)],
        )


def _whole(endpoint: Endpoint, row_id: str, row: Mapping[str, Any]) -> Row:
    unknown = set(row) - set(FIELDS[endpoint])
    if unknown:
        known = ", ".join(FIELDS[endpoint])
        raise ValueError(f"{endpoint} {row_id!r}: unknown field {min(unknown)!r}; known are {known}")
    key = KEYS[endpoint]
    return {**dict.fromkeys(FIELDS[endpoint]), key: row_id, **row}


def _row(endpoint: Endpoint, modified: str, body: str) -> Row:
    row: Row = json.loads(body)
    if endpoint == "order":
        row["last_modified"] = modified
    return row


def _later_stamp(previous: str | None, now: datetime) -> str:
    stamp = now.strftime(_STAMP)
    if previous is None or previous < stamp:
        return stamp
    try:
        return (datetime.strptime(previous, _STAMP) + timedelta(seconds=1)).strftime(_STAMP)
    except ValueError:
        return stamp


def _where(endpoint: Endpoint, condition: Condition | None) -> tuple[str, tuple[Any, ...]]:
    """SQL after the dealer and the endpoint; the field name is one of FIELDS, the value is bound."""
    if condition is None:
        return "", ()
    text = f"CAST(json_extract(body, '$.{condition.field}') AS TEXT)"
    if condition.field == "last_modified":
        text = "modified"
    if condition.operator == "eq":
        if condition.field == KEYS[endpoint]:
            return f" AND id = ? AND {text} = ?", (condition.value, condition.value)
        return f" AND {text} = ?", (condition.value,)
    sign = ">=" if condition.operator == "gte" else "<="
    if condition.field in DATE_FIELDS:
        # Dates are written in several shapes: compared without punctuation, as far as the given value reaches.
        value = condition.value.replace("-", "").replace(":", "")
        plain = f"replace(replace({text}, '-', ''), ':', '')"
        return f" AND substr({plain}, 1, ?) {sign} ?", (len(value), value)
    return f" AND CAST({text} AS NUMERIC) {sign} CAST(? AS NUMERIC)", (condition.value,)
