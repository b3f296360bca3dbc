"""Absence is a question, not an answer.

An order that a complete extract lacks is asked for by id. Not found: it is missing. Still lacking in a later complete
extract, at least ``absence_confirm_minutes`` after, again not found by id while another known id is found: its absence
is confirmed, and staging makes it canceled. Coming back undoes that (see ``storing.sql``).

The time in between is measured on this machine's clock and, where it tells it, on the DMS's: when less has passed
there, one of them has jumped, and the absence is counted anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

import duckdb

from autoflex_pipeline.sources.unstaged import orders_to_be_staged

TOLERANCE = timedelta(minutes=5)
"""So much less may have passed on the DMS's clock: it is told in seconds, and by any of its servers."""


def orders_to_ask_for(connection: duckdb.DuckDBPyConnection, dealer_id: str, listed: Iterable[str]) -> list[str]:
    """Orders known to be open that a complete open list lacks: asked for by id.

    Known from staging, from what a run that died stored and did not stage, from quarantine, or from Claire. One whose
    absence is confirmed is asked for no more: it comes back by standing in the list again.
    """
    rows = connection.execute(
        "SELECT dms_number FROM appointment WHERE dealer_id = ? AND NOT is_billed", [dealer_id]
    ).fetchall()
    known = {number for (number,) in rows}
    known |= {order.number for order in orders_to_be_staged(connection, dealer_id, rejected=True) if order.is_open}
    known -= known_to_be_gone(connection, dealer_id)
    known |= open_in_claire_only(connection, dealer_id)
    return sorted(known.difference(listed))


def known_to_be_gone(connection: duckdb.DuckDBPyConnection, dealer_id: str) -> set[str]:
    """Orders whose absence is confirmed, and which did not come back since."""
    rows = connection.execute(
        "SELECT dms_number FROM absence WHERE dealer_id = ? AND confirmed_at IS NOT NULL AND returned_at IS NULL",
        [dealer_id],
    ).fetchall()
    return {number for (number,) in rows}


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


def note_missing(
    connection: duckdb.DuckDBPyConnection,
    dealer_id: str,
    numbers: Collection[str],
    *,
    now: datetime,
    dms_now: datetime | None = None,
    confirm_after: timedelta,
    another_was_found: bool,
) -> list[str]:
    """Record that these orders were not found by id; gives those whose absence is confirmed by that.

    ``dms_now`` is the moment on the DMS's own clock; None when it does not tell.
    """
    values = {"dealer_id": dealer_id, "numbers": sorted(numbers), "now": now}
    # One that came back, was not staged since, and is missing again was never there as far as Claire is concerned.
    connection.execute(
        """
        UPDATE absence SET last_missing_at = $now, returned_at = NULL
        WHERE dealer_id = $dealer_id AND dms_number IN (SELECT unnest($numbers::VARCHAR[]))
        """,
        values,
    )
    unstaged = {order.number for order in orders_to_be_staged(connection, dealer_id)} if numbers else set()
    connection.execute(
        """
        INSERT INTO absence BY NAME
        SELECT $dealer_id AS dealer_id, missing.dms_number,
               $now::TIMESTAMPTZ AS first_missing_at, $dms_now::TIMESTAMPTZ AS first_missing_dms_at,
               $now::TIMESTAMPTZ AS last_missing_at
        FROM (
            SELECT dms_number FROM appointment WHERE dealer_id = $dealer_id
            UNION SELECT unnest($unstaged::VARCHAR[])
        ) AS missing
        WHERE missing.dms_number IN (SELECT unnest($numbers::VARCHAR[]))
          AND missing.dms_number NOT IN (SELECT dms_number FROM absence WHERE dealer_id = $dealer_id)
        """,
        values | {"dms_now": dms_now, "unstaged": sorted(unstaged.intersection(numbers))},
    )
    # Never staged and no longer there: nothing can heal it any more.
    connection.execute(
        """
        UPDATE quarantine SET state = 'gone'
        WHERE dealer_id = $dealer_id AND entity = 'appointment' AND state = 'open'
          AND dms_number IN (SELECT unnest($numbers::VARCHAR[]))
          AND NOT EXISTS (
              SELECT 1 FROM appointment
              WHERE appointment.dealer_id = quarantine.dealer_id AND appointment.dms_number = quarantine.dms_number)
        """,
        {"dealer_id": dealer_id, "numbers": sorted(numbers)},
    )
    if not another_was_found:
        return []
    latest = {"latest": now - confirm_after}
    dms_latest = {"dms_now": dms_now, "dms_latest": dms_now and dms_now - confirm_after + TOLERANCE}
    connection.execute(
        """
        UPDATE absence SET first_missing_at = $now, first_missing_dms_at = $dms_now
        WHERE dealer_id = $dealer_id AND dms_number IN (SELECT unnest($numbers::VARCHAR[]))
          AND confirmed_at IS NULL AND first_missing_at <= $latest AND first_missing_dms_at > $dms_latest
        """,
        values | latest | dms_latest,
    )
    confirmed = connection.execute(
        """
        UPDATE absence SET confirmed_at = $now
        WHERE dealer_id = $dealer_id AND dms_number IN (SELECT unnest($numbers::VARCHAR[]))
          AND confirmed_at IS NULL AND first_missing_at <= $latest AND first_missing_at < $now
        RETURNING dms_number
        """,
        values | latest,
    ).fetchall()
    gone = [row[0] for row in confirmed]
    told = {"dealer_id": dealer_id, "gone": gone}
    connection.execute("INSERT INTO restage SELECT $dealer_id, 'order', unnest($gone::VARCHAR[])", told)
    connection.execute(
        """
        UPDATE quarantine SET state = 'gone'
        WHERE dealer_id = $dealer_id AND entity = 'appointment' AND state = 'open'
          AND dms_number IN (SELECT unnest($gone::VARCHAR[]))
        """,
        told,
    )
    return gone


def next_confirmation(
    connection: duckdb.DuckDBPyConnection, dealer_id: str, confirm_after: timedelta
) -> datetime | None:
    """When the earliest unconfirmed absence may be confirmed by a tick: of an order that ticks ask for."""
    rows = connection.execute(
        "SELECT dms_number, first_missing_at FROM absence WHERE dealer_id = ? AND confirmed_at IS NULL", [dealer_id]
    ).fetchall()
    if not rows:
        return None
    asked = set(orders_to_ask_for(connection, dealer_id, listed=()))
    first = min((missing_at for number, missing_at in rows if number in asked), default=None)
    return first + confirm_after if first else None
