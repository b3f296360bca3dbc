"""What is wanted of a dealer's DMS next, judged from what the warehouse has seen and followed so far.

An order that is new or changed has its lines, car and contractor read; a car that is new or changed its driver and
owner. ``followed`` remembers the version of a record for which its parts were last read completely, so a run that dies
half way leaves nothing unread: the next run finds the same needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import duckdb

from autoflex_pipeline.model import dms_name
from autoflex_pipeline.model.appointment import IS_WORKSHOP

Rows = list[tuple[str, ...]]

_IS_THERE = (
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
    wanted = "".join(f", {_reference('wanted.record', name)}" for name in numbers)
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
              AND ($entity <> 'order' OR {_IS_THERE})
        ) AS wanted
        ORDER BY wanted.record_key
        """,
        {"dealer_id": dealer_id, "entity": entity, "part": part},
    ).fetchall()


def _reference(record: str, name: str) -> str:
    """SQL for the number of another record that ``record`` refers to; NULL when it refers to none."""
    return f"nullif(nullif(trim(try({record} ->> '$.{name}')), ''), '0')"


def lines_to_reread(
    connection: duckdb.DuckDBPyConnection, dealer_id: str, *, today: date, budget: int, everything: bool
) -> list[str]:
    """Open orders whose lines were read and are read again, because the DMS does not say when they change.

    Those that are yet to be staged come first (a run that died has read their lines, who knows when), then those with a
    line in quarantine, then today's and tomorrow's, then up to 7 days ahead, then the rest in rotation, up to
    ``budget`` orders. ``everything``: all open orders, whatever the DMS says of changes.
    """
    limit = 2**31 if everything else budget
    rows = connection.execute(
        """
        SELECT appointment.dms_number
        FROM appointment
        JOIN sighting
          ON sighting.dealer_id = appointment.dealer_id AND sighting.entity = 'order'
         AND sighting.record_key = appointment.dms_number
        JOIN followed
          ON followed.dealer_id = appointment.dealer_id AND followed.entity = 'order'
         AND followed.record_key = appointment.dms_number AND followed.part = 'order_line'
         AND followed.raw_hash = sighting.raw_hash
        LEFT JOIN (
            SELECT DISTINCT raw_record.parent_key
            FROM quarantine
            JOIN raw_record ON raw_record.seq = quarantine.raw_seq
            WHERE quarantine.dealer_id = $dealer_id AND quarantine.entity = 'intervention'
              AND quarantine.state = 'open'
        ) AS bad ON bad.parent_key = appointment.dms_number
        LEFT JOIN absence
          ON absence.dealer_id = appointment.dealer_id AND absence.dms_number = appointment.dms_number
        WHERE appointment.dealer_id = $dealer_id AND NOT appointment.is_billed AND absence.dms_number IS NULL
          AND ($everything OR appointment.modified_at IS NULL)
        ORDER BY CASE
                   WHEN bad.parent_key IS NOT NULL THEN 0
                   WHEN appointment.appointment_date BETWEEN $today AND $today + 1 THEN 1
                   WHEN appointment.appointment_date BETWEEN $today AND $today + 7 THEN 2
                   ELSE 3
                 END,
                 followed.read_at, appointment.dms_number
        LIMIT $limit
        """,
        {
            "dealer_id": dealer_id,
            "today": today,
            "everything": everything,
            "limit": limit,
        },
    ).fetchall()
    to_be_staged = _orders_to_be_staged(connection, dealer_id, rejected=everything)
    new = [order for order, _, _, modified in to_be_staged if everything or not modified]
    followed = followed_orders(connection, dealer_id, "order_line") if new else set()
    return list(dict.fromkeys([*(order for order in new if order in followed), *(row[0] for row in rows)]))[:limit]


def parts_of_appointments(
    connection: duckdb.DuckDBPyConnection, dealer_id: str, *, first: date | None, last: date | None
) -> tuple[list[str], list[str]]:
    """Numbers of the cars, and of the parties, of open appointments dated ``first`` to ``last`` (None: no bound)."""
    rows = connection.execute(
        """
        SELECT appointment.car_dms_number, appointment.contractor_dms_number,
               car.driver_dms_number, car.owner_dms_number
        FROM appointment
        LEFT JOIN car
          ON car.dealer_id = appointment.dealer_id AND car.dms_number = appointment.car_dms_number
        WHERE appointment.dealer_id = $dealer_id AND NOT appointment.is_billed
          AND ($first IS NULL OR appointment.appointment_date >= $first)
          AND ($last IS NULL OR appointment.appointment_date <= $last)
        """,
        {"dealer_id": dealer_id, "first": first, "last": last},
    ).fetchall()
    cars = {row[0] for row in rows if row[0]}
    parties = {number for row in rows for number in row[1:] if number}
    return sorted(cars), sorted(parties)


def parts_of_open_orders(connection: duckdb.DuckDBPyConnection, dealer_id: str) -> tuple[list[str], list[str]]:
    """Numbers of the cars, and of the parties, of all open appointments, and of what may be one after this run.

    The people of a car are those of its staged version and of its newest one.
    """
    cars, parties = parts_of_appointments(connection, dealer_id, first=None, last=None)
    orders = _orders_to_be_staged(connection, dealer_id, rejected=True)
    cars = sorted({*cars, *(car for _, car, _, _ in orders if car)})
    people = connection.execute(
        f"""
        SELECT {_reference("record", dms_name("car", "driver_dms_number"))},
               {_reference("record", dms_name("car", "owner_dms_number"))}
        FROM sighting
        JOIN raw_record ON raw_record.seq = sighting.raw_seq
        WHERE sighting.dealer_id = $dealer_id AND sighting.entity = 'vehicle'
          AND sighting.record_key IN (SELECT unnest($cars::VARCHAR[]))
        """,
        {"dealer_id": dealer_id, "cars": cars},
    ).fetchall()
    numbers = {contractor for _, _, contractor, _ in orders} | {number for row in people for number in row}
    return cars, sorted({*parties, *(number for number in numbers if number)})


def _orders_to_be_staged(connection: duckdb.DuckDBPyConnection, dealer_id: str, *, rejected: bool) -> Rows:
    """Number, car, contractor and last change of the work orders whose newest version is stored and not yet staged.

    ``rejected``: also of those in quarantine, which a full pass judges once more.
    """
    return connection.execute(
        f"""
        SELECT sighting.record_key,
               {_reference("record", dms_name("appointment", "car_dms_number"))},
               {_reference("record", dms_name("appointment", "contractor_dms_number"))},
               {_reference("record", dms_name("appointment", "modified_at"))}
        FROM sighting
        JOIN raw_record ON raw_record.seq = sighting.raw_seq
        WHERE sighting.dealer_id = $dealer_id AND sighting.entity = 'order' AND sighting.record_key IS NOT NULL
          AND (sighting.raw_seq > coalesce((SELECT raw_seq FROM staged WHERE entity = 'order'), -1)
               OR $rejected AND sighting.record_key IN (
                   SELECT dms_number FROM quarantine
                   WHERE dealer_id = $dealer_id AND entity = 'appointment' AND state = 'open'))
          AND {_IS_THERE}
          AND {IS_WORKSHOP.format(order_type="try(raw_record.record ->> '$.order_type')")}
        """,
        {"dealer_id": dealer_id, "rejected": rejected},
    ).fetchall()


def orders_to_ask_for(connection: duckdb.DuckDBPyConnection, dealer_id: str, listed: Iterable[str]) -> list[str]:
    """Orders known to be open, also in quarantine or only in Claire, that a complete open list lacks: asked for by id.

    One whose absence is confirmed is asked for no more: it comes back by standing in the list again.
    """
    billed = dms_name("appointment", "is_billed")
    rows = connection.execute(
        f"""
        SELECT dms_number FROM appointment WHERE dealer_id = $dealer_id AND NOT is_billed
        UNION
        SELECT dms_number FROM quarantine
        WHERE dealer_id = $dealer_id AND entity = 'appointment' AND state = 'open' AND dms_number IS NOT NULL
          AND EXISTS (
              FROM raw_record
              WHERE raw_record.dealer_id = $dealer_id AND raw_record.entity = 'order'
                AND raw_record.record_key = quarantine.dms_number
                AND coalesce(try(raw_record.record ->> '$.{billed}'), '0') NOT IN ('1', 'true'))
        EXCEPT
        SELECT dms_number FROM absence WHERE dealer_id = $dealer_id AND confirmed_at IS NOT NULL
        """,
        {"dealer_id": dealer_id},
    ).fetchall()
    known = {row[0] for row in rows} | open_in_claire_only(connection, dealer_id)
    return sorted(known.difference(listed))


def open_in_claire_only(connection: duckdb.DuckDBPyConnection, dealer_id: str) -> set[str]:
    """Orders that Claire holds as open and staging does not know, as after a restore; not those the DMS has no more."""
    rows = connection.execute(
        """
        SELECT dms_number FROM acknowledged WHERE dealer_id = $dealer_id AND NOT is_billed AND NOT is_canceled
        EXCEPT SELECT dms_number FROM appointment WHERE dealer_id = $dealer_id
        EXCEPT SELECT record_key FROM nonexistent WHERE dealer_id = $dealer_id AND entity = 'order'
        """,
        {"dealer_id": dealer_id},
    ).fetchall()
    return {row[0] for row in rows}


def known_lines(connection: duckdb.DuckDBPyConnection, dealer_id: str, orders: Iterable[str]) -> dict[str, list[str]]:
    """The lines of these orders as they were last read completely, in order; orders never read so are left out."""
    rows = connection.execute(
        """
        SELECT order_key, line_keys FROM line_list
        WHERE dealer_id = $dealer_id AND order_key IN (SELECT unnest($orders::VARCHAR[]))
        """,
        {"dealer_id": dealer_id, "orders": sorted(orders)},
    ).fetchall()
    return dict(rows)


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


def mark_reread(
    connection: duckdb.DuckDBPyConnection, dealer_id: str, part: str, keys: Sequence[str], read_at: datetime
) -> None:
    """Remember that the parts of these orders were read anew, for the rotation."""
    connection.execute(
        """
        UPDATE followed SET read_at = $read_at
        WHERE dealer_id = $dealer_id AND entity = 'order' AND part = $part
          AND record_key IN (SELECT unnest($keys::VARCHAR[]))
        """,
        {"dealer_id": dealer_id, "part": part, "keys": list(keys), "read_at": read_at},
    )


def two_days(today: date) -> tuple[date, date]:
    """Today and tomorrow: the days whose cars and parties are kept fresh."""
    return today, today + timedelta(days=1)
