"""What new and changed records make wanted of a dealer's DMS, judged from what was seen and followed so far.

An order that is new or changed has its lines, car and contractor read; a car that is new or changed its driver and
owner. ``followed`` remembers the version of a record for which its parts were last read completely, so a run that dies
half way leaves nothing unread: the next run finds the same needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import duckdb

from autoflex_pipeline.model import dms_name
from autoflex_pipeline.model.appointment import IS_WORKSHOP

Rows = list[tuple[str, ...]]

IS_THERE = (
    "sighting.record_key NOT IN (SELECT record_key FROM nonexistent WHERE dealer_id = $dealer_id AND entity = 'order')"
)
"""SQL: the DMS has the order. From what else it lacks of one that is missing nothing is concluded, as of its lines."""


@dataclass(frozen=True, slots=True)
class Followable:
    """A version of a record whose parts are to be read: which record, which version, which parts (by number)."""

    entity: str
    key: str
    raw_hash: str
    parts: frozenset[str]


@dataclass(slots=True)
class Needs:
    """What one dealer's parts of one kind are wanted for: new or changed records, and numbers to read anew."""

    follow: list[Followable] = field(default_factory=list)
    reread: list[str] = field(default_factory=list)

    @property
    def numbers(self) -> frozenset[str]:
        """The distinct numbers of the parts to read."""
        return frozenset(part for record in self.follow for part in record.parts) | frozenset(self.reread)


def lines_to_follow(connection: duckdb.DuckDBPyConnection, dealer_id: str) -> Needs:
    """Work orders whose newest version has not had its lines read; the "parts" are the orders themselves."""
    rows = _unfollowed(connection, dealer_id, entity="order", part="order_line", numbers=())
    return Needs(
        [Followable("order", key, raw_hash, frozenset([key])) for key, raw_hash, is_work, *_ in rows if is_work]
    )


def vehicles_to_follow(connection: duckdb.DuckDBPyConnection, dealer_id: str) -> Needs:
    """Work orders whose newest version has not had its car read."""
    numbers = (dms_name("appointment", "car_dms_number"),)
    return _parts(_unfollowed(connection, dealer_id, entity="order", part="vehicle", numbers=numbers), "order")


def relations_to_follow(connection: duckdb.DuckDBPyConnection, dealer_id: str) -> Needs:
    """Work orders and cars whose newest version has not had its contractor, driver or owner read."""
    contractor = (dms_name("appointment", "contractor_dms_number"),)
    people = (dms_name("car", "driver_dms_number"), dms_name("car", "owner_dms_number"))
    orders = _unfollowed(connection, dealer_id, entity="order", part="relation", numbers=contractor)
    cars = _unfollowed(connection, dealer_id, entity="vehicle", part="relation", numbers=people)
    return Needs(_parts(orders, "order").follow + _parts(cars, "vehicle").follow)


def followed_orders(connection: duckdb.DuckDBPyConnection, dealer_id: str, part: str) -> set[str]:
    """Orders whose newest version has had its parts of this kind read: they are not asked for again."""
    rows = connection.execute(
        """
        SELECT sighting.record_key FROM sighting
        JOIN followed USING (dealer_id, entity, record_key, raw_hash)
        WHERE dealer_id = $dealer_id AND entity = 'order' AND part = $part
        """,
        {"dealer_id": dealer_id, "part": part},
    ).fetchall()
    return {row[0] for row in rows}


def _parts(rows: Rows, entity: str) -> Needs:
    follow = []
    for key, raw_hash, is_work, *numbers in rows:
        parts = frozenset(number for number in numbers if number) if is_work or entity != "order" else frozenset()
        follow.append(Followable(entity, key, raw_hash, parts))
    return Needs(follow)


def _unfollowed(
    connection: duckdb.DuckDBPyConnection, dealer_id: str, *, entity: str, part: str, numbers: Sequence[str]
) -> Rows:
    """(key, raw_hash, is a work order, number …) of each record whose newest version is not followed for ``part``."""
    is_work = IS_WORKSHOP.format(order_type="try(wanted.record ->> '$.order_type')")
    wanted = "".join(f", {reference('wanted.record', name)}" for name in numbers)
    return connection.execute(
        f"""
        SELECT wanted.record_key, wanted.raw_hash,
               {is_work} {wanted}
        FROM (
            SELECT sighting.record_key, sighting.raw_hash, raw_record.record
            FROM sighting
            JOIN raw_record ON raw_record.seq = sighting.raw_seq
            LEFT JOIN followed
              ON followed.dealer_id = sighting.dealer_id AND followed.entity = sighting.entity
             AND followed.record_key = sighting.record_key AND followed.part = $part
            WHERE sighting.dealer_id = $dealer_id AND sighting.entity = $entity
              AND sighting.record_key IS NOT NULL
              AND followed.raw_hash IS DISTINCT FROM sighting.raw_hash
              AND ($entity <> 'order' OR {IS_THERE})
        ) AS wanted
        ORDER BY wanted.record_key
        """,
        {"dealer_id": dealer_id, "entity": entity, "part": part},
    ).fetchall()


def reference(record: str, name: str) -> str:
    """SQL for the number of another record that ``record`` refers to; NULL when it refers to none."""
    return f"nullif(nullif(trim(try({record} ->> '$.{name}')), ''), '0')"


def mark_followed(
    connection: duckdb.DuckDBPyConnection, dealer_id: str, part: str, records: Sequence[Followable], read_at: datetime
) -> None:
    """Remember that the parts of these records' versions were read completely."""
    if not records:
        return
    values = {
        "dealer_id": dealer_id,
        "part": part,
        "entities": [record.entity for record in records],
        "keys": [record.key for record in records],
        "hashes": [record.raw_hash for record in records],
        "read_at": read_at,
    }
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE followed_now AS
        SELECT $dealer_id AS dealer_id, unnest($entities::VARCHAR[]) AS entity, unnest($keys::VARCHAR[]) AS record_key,
               $part AS part, unnest($hashes::VARCHAR[]) AS raw_hash, $read_at::TIMESTAMPTZ AS read_at
        """,
        values,
    )
    connection.execute(
        """
        DELETE FROM followed USING followed_now AS now
        WHERE followed.dealer_id = now.dealer_id AND followed.entity = now.entity
          AND followed.record_key = now.record_key AND followed.part = now.part
        """
    )
    connection.execute("INSERT INTO followed BY NAME SELECT * FROM followed_now")
