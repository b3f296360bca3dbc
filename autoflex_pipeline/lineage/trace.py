"""Where is this work order? Everything that is known of it, from the DMS's record to what Claire holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import duckdb

from autoflex_pipeline.claire.contract import Version
from autoflex_pipeline.claire.difference import apply, difference, document_to_send
from autoflex_pipeline.claire.documents import projections
from autoflex_pipeline.lineage import reasons
from autoflex_pipeline.lineage.attempts import Delivered, read_delivered, read_hold
from autoflex_pipeline.lineage.excerpt import Excerpt, Members, copy_orders
from autoflex_pipeline.lineage.matching import Searched, matching_orders, searched
from autoflex_pipeline.lineage.stores import Row, StateReader, attached, empty_copy, rows
from autoflex_pipeline.model import MODELS, RAW_ENTITIES, dms_name, fields
from autoflex_pipeline.settings import DealerSettings, Settings
from autoflex_pipeline.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Found:
    """What was found: a dict per work order, as ``trace --json`` prints it; ``nothing`` says why there is none.

    ``near`` are numbers and plates like the one asked for: (kind, value), nearest first.
    """

    orders: list[Row]
    nothing: str | None = None
    near: tuple[tuple[str, str], ...] = ()


def trace_orders(settings: Settings, dealer_id: str, query: str) -> Found:
    """Trace the work orders of the dealer that ``query`` means; changes nothing.

    ConfigurationError for a dealer that is not configured; NothingStoredError and StoreBusyError as the stores say.
    """
    dealer = settings.dealer(dealer_id)
    state = StateReader(settings.warehouse.state_path)
    try:
        with empty_copy() as connection:
            with attached(connection, Warehouse(settings.warehouse.path)):
                numbers = matching_orders(connection, dealer_id, query)
                if not numbers:
                    looked = searched(connection, dealer_id, query)
                    return Found([], _not_found(dealer, query, looked, read_hold(state, dealer_id)), looked.near)
                excerpt = copy_orders(connection, dealer_id, numbers)
            delivered = read_delivered(state, connection, dealer, numbers, copied_to=excerpt.newest_delivery)
            tracer = _Tracer(connection, dealer, excerpt, delivered)
            return Found([tracer.order(number) for number in numbers])
    finally:
        state.close()


class _Tracer:
    """Reads the copy once for all orders, and picks out what belongs to each."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        dealer: DealerSettings,
        excerpt: Excerpt,
        delivered: Delivered,
    ) -> None:
        self._dealer = dealer
        self._excerpt = excerpt
        self._delivered = delivered
        self._raw = read_raw(connection)
        self._findings = read_findings(connection)
        self._versions = [row for entity in MODELS for row in read_versions(connection, entity)]
        self._situation = {
            table: rows(connection, f"SELECT * FROM {table}")
            for table in ("document", "document_dirty", "absence", "skipped", "staged", "quarantine", "nonexistent")
        }
        zones = {dealer.id: dealer.timezone}
        keys = [(dealer.id, number) for number in excerpt.members]
        self._projections = projections(connection, keys, zones)

    def order(self, number: str) -> Row:
        """Everything about one work order."""
        members = self._excerpt.members[number]
        current = self._current(number)
        findings = [each for each in self._findings if _belongs(members, each)]
        raw = [each for each in self._raw if _belongs(members, each)]
        differs = self._differs(number)
        acknowledged = self._delivered.acknowledged.get(number)
        why = reasons.explain(self._situation_of(number, members, raw, differs))
        return {
            "dealer_id": self._dealer.id,
            "dms_number": number,
            "wo_number": current["wo_number"] if current else _wo_number(raw, number),
            "why": why,
            "raw": [_without(each, "seq") for each in raw],
            "repairs": [only(each, REPAIR) for each in findings if each["severity"] == "repair"],
            "findings": [only(each, FINDING) for each in findings if each["severity"] != "repair"],
            "versions": [_without(each, "values") for each in self._versions if _belongs(members, each)],
            "deliveries": self._delivered.attempts.get(number, []),
            "claire": _held(acknowledged) if acknowledged else None,
            "differs": differs,
        }

    def _current(self, number: str) -> Row | None:
        """The newest accepted version of the appointment."""
        found = [
            each["values"]
            for each in self._versions
            if each["entity"] == "appointment" and each["dms_number"] == number and each["valid_to"] is None
        ]
        return found[0] if found else None

    def _differs(self, number: str) -> list[Row] | None:
        """Field by field what a delivery now would change in Claire; None when nothing is staged to be delivered."""
        projection = self._projections.get((self._dealer.id, number))
        if projection is None:
            return None
        acknowledged = self._delivered.acknowledged.get(number)
        held = [_version(each) for each in json.loads(acknowledged["held"])] if acknowledged else []
        possible = held + [
            _version(each)
            for intent in self._delivered.unanswered.get(number, [])
            for each in json.loads(intent["will_hold"])
        ]
        before = held[0] if held else None
        after = apply(before, document_to_send(projection, possible), projection.references)
        return difference(before.document if before else {}, after.document)

    def _of_order(self, number: str, table: str) -> Row | None:
        return next((row for row in self._situation[table] if row["dms_number"] == number), None)

    def _situation_of(
        self, number: str, members: Members, raw: list[Row], differs: list[Row] | None
    ) -> reasons.Situation:
        order = RAW_ENTITIES["appointment"]
        skipped = [row for row in self._situation["skipped"] if row["entity"] == order and row["record_key"] == number]
        taken = next((row["raw_seq"] for row in self._situation["staged"] if row["entity"] == order), 0)
        own = [each for each in raw if each["entity"] == order]
        return reasons.Situation(
            dealer=self._dealer,
            number=number,
            appointment=self._current(number),
            document=self._of_order(number, "document"),
            is_dirty=self._of_order(number, "document_dirty") is not None,
            absence=self._of_order(number, "absence"),
            skipped=skipped[0]["reason"] if skipped else None,
            not_taken=own[-1] if own and own[-1]["seq"] > taken else None,
            quarantined=[
                row
                for row in self._situation["quarantine"]
                if row["state"] == "open" and row["dms_number"] in members[str(row["entity"])]
            ],
            nonexistent=[
                row["record_key"]
                for row in self._situation["nonexistent"]
                for entity, raw_entity in RAW_ENTITIES.items()
                if row["entity"] == raw_entity and row["record_key"] in members[entity]
            ],
            acknowledged=self._delivered.acknowledged.get(number),
            disposition=self._delivered.dispositions.get(number),
            unanswered=self._delivered.unanswered.get(number, []),
            attempts=self._delivered.attempts.get(number, []),
            hold=self._delivered.hold,
            last_run=self._delivered.last_run,
            differs=differs,
        )


REPAIR = ("entity", "dms_number", "field", "before", "after", "rule", "hint", "found_at", "run_id", "raw_hash")
FINDING = (
    "entity",
    "dms_number",
    "severity",
    "rule",
    "field",
    "value",
    "hint",
    "state",
    "found_at",
    "run_id",
    "raw_hash",
)


def read_raw(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """Every stored version of the records, oldest first; ``window`` is what the extract asked for, if it had one."""
    found = rows(
        connection,
        "SELECT r.seq, r.entity, r.record_key AS dms_number, r.extract_id, r.source, r.fetched_at, r.run_id, "
        "r.raw_hash, e.source AS extract, e.is_complete, s.seen_at, r.record "
        "FROM raw_record r LEFT JOIN extract e USING (extract_id) "
        "LEFT JOIN sighting s ON s.entity = r.entity AND s.record_key = r.record_key AND s.raw_seq = r.seq "
        "ORDER BY r.seq",
    )
    return [row | {"record": _decoded(row["record"])} for row in found]


def read_findings(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """Every finding, oldest first; a rejection with what became of it, also one that only quarantine knows."""
    found = rows(
        connection,
        "SELECT f.*, f.before AS value, r.raw_hash, q.state FROM finding f "
        "LEFT JOIN raw_record r ON r.seq = f.raw_seq "
        f"LEFT JOIN quarantine q ON f.severity = 'reject' AND {SAME_REJECTION} "
        "QUALIFY row_number() OVER (PARTITION BY f.entity, f.dms_number, f.rule, f.field, f.raw_seq, f.before "
        "ORDER BY q.last_seen_at DESC) = 1",
    )
    found += rows(
        connection,
        "SELECT q.entity, q.dms_number, 'reject' AS severity, q.rule, q.field, q.value, q.hint, q.state, "
        "q.last_seen_at AS found_at, q.run_id, q.raw_seq, r.raw_hash FROM quarantine q "
        "LEFT JOIN raw_record r ON r.seq = q.raw_seq "
        f"ANTI JOIN (FROM finding WHERE severity = 'reject') f ON {SAME_REJECTION}",
    )
    places = {entity: place for place, entity in enumerate(MODELS)}
    return sorted(found, key=lambda row: (row["found_at"], places[row["entity"]], row["dms_number"] or "", row["rule"]))


SAME_REJECTION = """
q.entity = f.entity AND q.rule = f.rule AND q.field = f.field
AND (q.dms_number = f.dms_number OR (q.dms_number IS NULL AND f.dms_number IS NULL AND q.raw_seq = f.raw_seq))
"""
"""A record without a number is known by its raw record."""


def read_versions(connection: duckdb.DuckDBPyConnection, entity: str) -> list[Row]:
    """Every version of the entity's records, oldest first, with the fields that it changed in the one before."""
    declared = [field.name for field in fields(entity)]
    columns = ", ".join(declared)
    found = rows(
        connection,
        f"SELECT v.*, r.raw_hash FROM ("
        f"SELECT {columns}, raw_seq, run_id, valid_from, valid_to FROM {entity}_past "
        f"UNION ALL SELECT {columns}, raw_seq, run_id, observed_at, NULL FROM {entity}) v "
        "LEFT JOIN raw_record r ON r.seq = v.raw_seq ORDER BY v.dms_number, v.valid_from",
    )
    versions: list[Row] = []
    before: Row | None = None
    for row in found:
        is_next = before is not None and before["dms_number"] == row["dms_number"]
        versions.append(
            {
                "entity": entity,
                "dms_number": row["dms_number"],
                "valid_from": row["valid_from"],
                "valid_to": row["valid_to"],
                "run_id": row["run_id"],
                "raw_hash": row["raw_hash"],
                "changed": _changed(before, row, declared) if before is not None and is_next else [],
                "values": row,
            }
        )
        before = row
    return versions


def _changed(before: Row, after: Row, declared: list[str]) -> list[Row]:
    return [
        {"field": name, "old": before[name], "new": after[name]} for name in declared if before[name] != after[name]
    ]


def _belongs(members: Members, row: Row) -> bool:
    entity = str(row["entity"])
    return row["dms_number"] in members[ENTITY_OF_RAW.get(entity, entity)]


ENTITY_OF_RAW = {raw: entity for entity, raw in RAW_ENTITIES.items()}


def _wo_number(raw: list[Row], number: str) -> str | None:
    """Of an order that never came into staging: as its newest record has it."""
    name = dms_name("appointment", "wo_number")
    for each in reversed(raw):
        if each["entity"] == RAW_ENTITIES["appointment"] and each["dms_number"] == number:
            value = each["record"].get(name) if isinstance(each["record"], dict) else None
            return None if value is None else str(value)
    return None


def _held(acknowledged: Row) -> Row:
    """What Claire holds, as it last acknowledged it."""
    return {
        "id": acknowledged["claire_id"],
        "status": acknowledged["status"],
        "acknowledged_at": acknowledged["acknowledged_at"],
        "document": json.loads(acknowledged["held"])[0]["document"],
    }


def _decoded(record: str) -> Any:
    """The record as JSON; as it stands when it is none."""
    try:
        return json.loads(record)
    except ValueError:
        return record


def _version(stored: Row) -> Version:
    return Version(stored["document"], stored["references"])


def only(row: Row, names: tuple[str, ...]) -> Row:
    """The named values of a row."""
    return {name: row[name] for name in names}


def _without(row: Row, name: str) -> Row:
    return {key: value for key, value in row.items() if key != name}


def _not_found(dealer: DealerSettings, query: str, looked: Searched, hold: Row | None) -> str:
    """One line that says what was searched, who else knows it, and why it may not have been read."""
    text = (
        f"{dealer.id}: nothing is known of {query!r} as WO number, DMS number or plate (searched {looked.orders} "
        f"orders and {looked.cars} cars, with their earlier versions, quarantine and raw records)"
    )
    if looked.other_dealers:
        text += f"; known at: {', '.join(looked.other_dealers)}"
    if hold is not None:
        text += f". {reasons.told_hold(hold, dealer)} What is new in Autoflex was not read since."
    return text
