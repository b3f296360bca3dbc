"""The part of the warehouse that is about some work orders, copied into memory.

The warehouse is held only while a few rows are picked out of its columns; everything that is asked of them afterwards
happens on the copy, with a run going on beside it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import duckdb

from autoflex_pipeline.lineage.stores import SOURCE
from autoflex_pipeline.model import MODELS, RAW_ENTITIES, dms_name

AT_ONCE = 1_000
"""Values in one IN: as constants, so that DuckDB passes over the blocks that cannot hold them."""

Members = dict[str, set[str]]
"""By entity the DMS numbers that belong to a work order."""


@dataclass
class Excerpt:
    """What belongs to each order: the order itself, its lines, its cars and its parties, now and earlier."""

    dealer_id: str
    members: dict[str, Members] = field(default_factory=dict)
    newest_delivery: int = 0
    """How far the warehouse's copy of the ledger goes."""

    def numbers(self, entity: str) -> set[str]:
        """All numbers of an entity."""
        return {number for members in self.members.values() for number in members[entity]}


def copy_orders(connection: duckdb.DuckDBPyConnection, dealer_id: str, orders: Collection[str]) -> Excerpt:
    """Fill the empty copy with all that is about ``orders`` (DMS numbers); the warehouse is attached."""
    excerpt = Excerpt(dealer_id, {order: {entity: set() for entity in MODELS} for order in orders})
    for order in orders:
        excerpt.members[order]["appointment"].add(order)
    copier = Copier(connection, dealer_id)
    copier.versions("appointment", "dms_number", orders)
    for table, column in (("document", "dms_number"), ("document_dirty", "dms_number"), ("absence", "dms_number")):
        copier.copy(table, column, orders)
    copier.raw("appointment", "record_key", orders)
    copier.versions("intervention", "appointment_dms_number", orders)
    copier.raw("intervention", "parent_key", orders)
    copier.copy("line_list", "order_key", orders)
    _note_lines(connection, excerpt)
    _note_references(connection, excerpt, "appointment", {"car": ("car_dms_number",)})
    cars = excerpt.numbers("car")
    copier.versions("car", "dms_number", cars)
    copier.raw("car", "record_key", cars)
    _note_references(connection, excerpt, "appointment", {"party": ("contractor_dms_number",)})
    _note_references(connection, excerpt, "car", {"party": ("driver_dms_number", "owner_dms_number")})
    parties = excerpt.numbers("party")
    copier.versions("party", "dms_number", parties)
    copier.raw("party", "record_key", parties)
    everything = {number for entity in MODELS for number in excerpt.numbers(entity)}
    for table, column in (
        ("finding", "dms_number"), ("quarantine", "dms_number"), ("nonexistent", "record_key"),
        ("skipped", "record_key"),
    ):  # fmt: skip
        copier.copy(table, column, everything)
    copier.copy("sighting", "raw_seq", {row[0] for row in connection.execute("SELECT seq FROM raw_record").fetchall()})
    copier.copy("delivery", "dms_number", orders)
    excerpt.newest_delivery = newest_delivery(connection)
    connection.execute(f"INSERT INTO staged BY NAME SELECT * FROM {SOURCE}.staged")
    extracts = {row[0] for row in connection.execute("SELECT DISTINCT extract_id FROM raw_record").fetchall()}
    copier.copy("extract", "extract_id", extracts)
    return excerpt


def newest_delivery(connection: duckdb.DuckDBPyConnection) -> int:
    """The highest number of the ledger that the attached warehouse has a copy of."""
    row = connection.execute(f"SELECT coalesce(max(delivery_id), 0) FROM {SOURCE}.delivery").fetchone()
    return int(row[0]) if row else 0


class Copier:
    """Copies rows of one dealer by the values of one column."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, dealer_id: str) -> None:
        self._connection = connection
        self._dealer_id = dealer_id

    def versions_where(self, entity: str, condition: str, values: list[Any]) -> None:
        """Copy all versions that meet ``condition``."""
        for table in (entity, f"{entity}_past"):
            self._insert(table, condition, values)

    def _insert(self, table: str, condition: str, values: list[Any]) -> None:
        # First where they are, from the few columns that tell; then only those rows whole. With IN in one query DuckDB
        # reads every column of all rows of the dealer first.
        self._connection.execute(
            f"INSERT INTO {table} BY NAME SELECT * FROM {SOURCE}.{table} WHERE rowid IN "
            f"(SELECT rowid FROM {SOURCE}.{table} WHERE dealer_id = ? AND {condition})",
            [self._dealer_id, *values],
        )

    def copy(self, table: str, column: str, values: Iterable[Any], condition: str = "true") -> None:
        """Copy the rows of ``table`` that hold one of ``values``."""
        wanted = sorted(values)
        for start in range(0, len(wanted), AT_ONCE):
            part = wanted[start : start + AT_ONCE]
            self._insert(table, f"{condition} AND {column} IN ({', '.join('?' * len(part))})", part)

    def versions(self, entity: str, column: str, values: Collection[str]) -> None:
        """Copy all versions, now and earlier, that hold one of ``values``."""
        self.copy(entity, column, values)
        self.copy(f"{entity}_past", column, values)

    def raw(self, entity: str, column: str, values: Collection[str]) -> None:
        """Copy the raw records of an entity."""
        self.copy("raw_record", column, values, f"entity = '{RAW_ENTITIES[entity]}'")


def _note_lines(connection: duckdb.DuckDBPyConnection, excerpt: Excerpt) -> None:
    """The lines of each order: staged now or earlier, or merely read."""
    found = connection.execute(
        "SELECT appointment_dms_number, dms_number FROM intervention "
        "UNION SELECT appointment_dms_number, dms_number FROM intervention_past "
        "UNION SELECT parent_key, record_key FROM raw_record WHERE entity = ? AND record_key IS NOT NULL",
        [RAW_ENTITIES["intervention"]],
    ).fetchall()
    for order, line in found:
        excerpt.members[order]["intervention"].add(line)


def _note_references(
    connection: duckdb.DuckDBPyConnection, excerpt: Excerpt, entity: str, columns: dict[str, tuple[str, ...]]
) -> None:
    """The cars and parties that an entity's versions name, and those that its records name but staging never took."""
    named: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for target, names in columns.items():
        for name in names:
            found = connection.execute(
                f"SELECT dms_number, {name} FROM {entity} UNION SELECT dms_number, {name} FROM {entity}_past "
                "UNION SELECT record_key, try(record ->> ?) FROM raw_record WHERE entity = ?",
                [f'$."{dms_name(entity, name)}"', RAW_ENTITIES[entity]],
            ).fetchall()
            # 0 is how the DMS says "none" where it cannot say null.
            named[target] |= {(number, other) for number, other in found if number and other and other != "0"}
    for members in excerpt.members.values():
        for target, pairs in named.items():
            members[target] |= {other for number, other in pairs if number in members[entity]}
