"""What is read again of a dealer's DMS although it is neither new nor known to have changed.

Lines of which the DMS does not say when they change, today's and tomorrow's cars and people, what a full pass reads,
and what was stored by a run that died before it staged it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

import duckdb

from autoflex_pipeline.model import dms_name
from autoflex_pipeline.sources.needs import followed_orders, reference
from autoflex_pipeline.sources.unstaged import orders_to_be_staged


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
    unstaged = [order for order in orders_to_be_staged(connection, dealer_id, rejected=everything) if order.is_there]
    new = [order.number for order in unstaged if everything or not order.modified_at]
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
    orders = [order for order in orders_to_be_staged(connection, dealer_id, rejected=True) if order.is_there]
    cars = sorted({*cars, *(order.car for order in orders if order.car)})
    people = connection.execute(
        f"""
        SELECT {reference("record", dms_name("car", "driver_dms_number"))},
               {reference("record", dms_name("car", "owner_dms_number"))}
        FROM sighting
        JOIN raw_record ON raw_record.seq = sighting.raw_seq
        WHERE sighting.dealer_id = $dealer_id AND sighting.entity = 'vehicle'
          AND sighting.record_key IN (SELECT unnest($cars::VARCHAR[]))
        """,
        {"dealer_id": dealer_id, "cars": cars},
    ).fetchall()
    numbers = {order.contractor for order in orders} | {number for row in people for number in row}
    return cars, sorted({*parties, *(number for number in numbers if number)})


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
