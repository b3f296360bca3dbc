"""Forward from a raw record: the versions that it made, the appointments it reached, the attempts to deliver them."""

from __future__ import annotations

from datetime import datetime

import duckdb

from autoflex_pipeline.errors import ConfigurationError
from autoflex_pipeline.lineage.attempts import read_attempts, read_intent_times
from autoflex_pipeline.lineage.excerpt import Copier, newest_delivery
from autoflex_pipeline.lineage.stores import SOURCE, Row, StateReader, attached, empty_copy, rows
from autoflex_pipeline.lineage.trace import FINDING, REPAIR, only, read_findings, read_raw, read_versions
from autoflex_pipeline.model import MODELS, RAW_ENTITIES
from autoflex_pipeline.settings import Settings
from autoflex_pipeline.sql_files import named_sql
from autoflex_pipeline.warehouse import Warehouse
from autoflex_pipeline.warehouse.tables import history_select

SHORTEST = 8
HEXADECIMAL = frozenset("0123456789abcdef")
ENTITY_OF_RAW = {raw: entity for entity, raw in RAW_ENTITIES.items()}


def trace_raw(settings: Settings, raw_hash: str, dealer_id: str | None = None) -> list[Row]:
    """What became of each raw record whose hash begins with ``raw_hash``, of one dealer or of all; changes nothing.

    Several have one hash when their content is the same. ConfigurationError when ``raw_hash`` is no beginning of one.
    """
    begins = raw_hash.strip().lower()
    if len(begins) < SHORTEST or not set(begins) <= HEXADECIMAL:
        raise ConfigurationError(
            f"--raw {raw_hash!r}: give a raw_hash, or at least its first {SHORTEST} digits (0-9 and a-f)"
        )
    if dealer_id is not None:
        settings.dealer(dealer_id)
    warehouse = Warehouse(settings.warehouse.path)
    state = StateReader(settings.warehouse.state_path)
    try:
        with empty_copy() as connection, attached(connection, warehouse):
            found = rows(
                connection,
                f"SELECT seq, dealer_id, entity, record_key FROM {SOURCE}.raw_record "
                "WHERE raw_hash >= $first AND raw_hash < $last "
                "AND ($dealer IS NULL OR dealer_id = $dealer) ORDER BY seq",
                {"first": begins, "last": begins + "g", "dealer": dealer_id},
            )
        return [_forward(warehouse, state, each) for each in found]
    finally:
        state.close()


def _forward(warehouse: Warehouse, state: StateReader, record: Row) -> Row:
    entity, seq = ENTITY_OF_RAW[record["entity"]], record["seq"]
    with empty_copy() as connection:
        with attached(connection, warehouse):
            orders = _copy(connection, entity, record)
            copied_to = newest_delivery(connection)
        for name in MODELS:
            connection.execute(f"CREATE VIEW {name}_history AS {history_select(name)}")
        reached = rows(connection, named_sql("lineage/forward.sql")[f"reached_by_{entity}"], {"seq": seq})
        attempts = read_attempts(state, connection, record["dealer_id"], orders, copied_to=copied_to)
        made = read_intent_times(state, record["dealer_id"], orders)
        raw = next(each for each in read_raw(connection) if each["seq"] == seq)
        versions = [each for each in read_versions(connection, entity) if each["values"]["raw_seq"] == seq]
        found = [each for each in read_findings(connection) if each["raw_seq"] == seq]
    return {
        "raw": {"dealer_id": record["dealer_id"]} | {name: value for name, value in raw.items() if name != "seq"},
        "repairs": [only(each, REPAIR) for each in found if each["severity"] == "repair"],
        "findings": [only(each, FINDING) for each in found if each["severity"] != "repair"],
        "versions": [{name: value for name, value in each.items() if name != "values"} for each in versions],
        "appointments": reached,
        "deliveries": [each for each in attempts if _carried(each, reached, made)],
    }


def _copy(connection: duckdb.DuckDBPyConnection, entity: str, record: Row) -> set[str]:
    """Copy what the record may have reached; gives the orders. A record without a key made nothing."""
    copier, key = Copier(connection, record["dealer_id"]), record["record_key"]
    connection.execute(
        f"INSERT INTO raw_record BY NAME SELECT * FROM {SOURCE}.raw_record WHERE seq = ?", [record["seq"]]
    )
    extracts = [row[0] for row in connection.execute("SELECT extract_id FROM raw_record").fetchall()]
    copier.copy("extract", "extract_id", extracts)
    connection.execute(f"INSERT INTO finding BY NAME SELECT * FROM {SOURCE}.finding WHERE raw_seq = ?", [record["seq"]])
    connection.execute(
        f"INSERT INTO quarantine BY NAME SELECT * FROM {SOURCE}.quarantine WHERE raw_seq = ?", [record["seq"]]
    )
    if key is None:
        return set()
    copier.copy("sighting", "raw_seq", [record["seq"]])
    copier.versions(entity, "dms_number", [key])
    if entity == "intervention":
        copier.versions("appointment", "dms_number", _values(connection, "intervention", "appointment_dms_number"))
    elif entity == "car":
        copier.versions("appointment", "car_dms_number", [key])
    elif entity == "party":
        copier.versions_where("car", "(driver_dms_number = ? OR owner_dms_number = ?)", [key, key])
        cars = sorted(_values(connection, "car", "dms_number"))
        copier.versions_where(
            "appointment", "(contractor_dms_number = ? OR list_contains(?::VARCHAR[], car_dms_number))", [key, cars]
        )
    orders = _values(connection, "appointment", "dms_number")
    copier.copy("delivery", "dms_number", orders)
    return orders


def _values(connection: duckdb.DuckDBPyConnection, entity: str, column: str) -> set[str]:
    found = connection.execute(f"SELECT {column} FROM {entity} UNION SELECT {column} FROM {entity}_past").fetchall()
    return {value for (value,) in found if value}


def _carried(attempt: Row, reached: list[Row], made: dict[tuple[str, int], datetime]) -> bool:
    """Whether the attempt's document was made while the appointment held what the record brought.

    A retry sends the stored document, so what counts is when its intent was made, not when it was tried.
    """
    at = made.get((attempt["dms_number"], attempt["intent_number"]), attempt["attempted_at"])
    return any(
        row["dms_number"] == attempt["dms_number"]
        and row["since"] <= at
        and (row["until"] is None or at < row["until"])
        for row in reached
    )
