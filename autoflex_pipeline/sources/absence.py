"""Absence is a question, not an answer.

An order that a complete extract lacks is asked for by id. Not found: it is missing. Still lacking in a later complete
extract, at least ``absence_confirm_minutes`` after, again not found by id while another known id is found: its absence
is confirmed, and staging makes it canceled. Coming back undoes that (see ``storing.sql``).

The time in between is measured on this machine's clock and, where it tells it, on the DMS's: when less has passed
there, one of them has jumped, and the absence is counted anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import duckdb

from autoflex_pipeline.sources.unstaged import IS_TO_BE_STAGED, orders_to_be_staged

TOLERANCE = timedelta(minutes=5)
"""So much less may have passed on the DMS's clock: it is told in seconds, and by any of its servers."""


def orders_to_ask_for(connection: duckdb.DuckDBPyConnection, dealer_id: str, listed: Iterable[str]) -> list[str]:
    """Orders known to be open that a complete open list lacks: asked for by id.

    Known from staging, from what a run that died stored and did not stage, from quarantine, or from Claire. One whose
    absence is confirmed is asked for no more until it came back, which it does by standing in the list again. A billed
    one only while it is missing and was to be made in Claire: whether it is gone decides about that.
    """
    rows = connection.execute(
        "SELECT dms_number FROM appointment WHERE dealer_id = ? AND NOT is_billed", [dealer_id]
    ).fetchall()
    known = {number for (number,) in rows} - known_to_be_gone(connection, dealer_id)
    known |= {order.number for order in orders_to_be_staged(connection, dealer_id, rejected=True) if order.is_open}
    known |= _missing_and_owed(connection, dealer_id)
    known |= open_in_claire_only(connection, dealer_id)
    return sorted(known.difference(listed))


def _missing_and_owed(connection: duckdb.DuckDBPyConnection, dealer_id: str) -> set[str]:
    """Orders that are missing, and that Claire does not have and is to get."""
    rows = connection.execute(
        """
        SELECT absence.dms_number FROM absence
        SEMI JOIN document
          ON document.dealer_id = $dealer_id AND document.dms_number = absence.dms_number AND document.is_owed
        ANTI JOIN acknowledged
          ON acknowledged.dealer_id = $dealer_id AND acknowledged.dms_number = absence.dms_number
        WHERE absence.dealer_id = $dealer_id AND absence.confirmed_at IS NULL
        """,
        {"dealer_id": dealer_id},
    ).fetchall()
    return {number for (number,) in rows}


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
    if not numbers:
        return []
    unstaged = [order.number for order in orders_to_be_staged(connection, dealer_id, numbers=numbers)]
    these = {"dealer_id": dealer_id, "numbers": sorted(numbers)}
    _remember_missing(connection, these, unstaged, now=now, dms_now=dms_now)
    gone: list[str] = []
    if another_was_found:
        latest = now - confirm_after
        if dms_now is not None:
            dms_latest = dms_now - confirm_after + TOLERANCE
            _count_anew(connection, these, now=now, latest=latest, dms_now=dms_now, dms_latest=dms_latest)
        gone = _confirm(connection, these, now=now, latest=latest)
    _close_entries(connection, these, unstaged)
    return gone


_OF_THESE = "dealer_id = $dealer_id AND dms_number IN (SELECT unnest($numbers::VARCHAR[]))"
_IS_UNSTAGED = "dms_number IN (SELECT unnest($unstaged::VARCHAR[]))"
_IS_STAGED = "dms_number IN (SELECT dms_number FROM appointment WHERE dealer_id = $dealer_id)"


def _remember_missing(
    connection: duckdb.DuckDBPyConnection,
    these: Mapping[str, Any],
    unstaged: Sequence[str],
    *,
    now: datetime,
    dms_now: datetime | None,
) -> None:
    """Begin or go on with the absences of those that are staged or to be staged; the others have none."""
    # One that came back, was not staged since, and is missing again was never there as far as Claire is concerned.
    connection.execute(
        f"UPDATE absence SET last_missing_at = $now, returned_at = NULL WHERE {_OF_THESE}", {**these, "now": now}
    )
    connection.execute(
        f"""
        INSERT INTO absence BY NAME
        SELECT $dealer_id AS dealer_id, dms_number,
               $now::TIMESTAMPTZ AS first_missing_at, $dms_now::TIMESTAMPTZ AS first_missing_dms_at,
               $now::TIMESTAMPTZ AS last_missing_at
        FROM (SELECT unnest($numbers::VARCHAR[]) AS dms_number) AS missing
        WHERE ({_IS_STAGED} OR {_IS_UNSTAGED})
          AND dms_number NOT IN (SELECT dms_number FROM absence WHERE dealer_id = $dealer_id)
        """,
        {**these, "unstaged": unstaged, "now": now, "dms_now": dms_now},
    )
    # What was to be staged and was rejected has left nothing that could be canceled.
    connection.execute(
        f"DELETE FROM absence WHERE {_OF_THESE} AND NOT ({_IS_STAGED} OR {_IS_UNSTAGED})",
        {**these, "unstaged": unstaged},
    )


def _count_anew(
    connection: duckdb.DuckDBPyConnection,
    these: Mapping[str, Any],
    *,
    now: datetime,
    latest: datetime,
    dms_now: datetime,
    dms_latest: datetime,
) -> None:
    """Let those begin anew for which less time has passed on the DMS's clock than on this machine's."""
    connection.execute(
        f"""
        UPDATE absence SET first_missing_at = $now, first_missing_dms_at = $dms_now
        WHERE {_OF_THESE}
          AND confirmed_at IS NULL AND first_missing_at <= $latest AND first_missing_dms_at > $dms_latest
        """,
        {**these, "now": now, "latest": latest, "dms_now": dms_now, "dms_latest": dms_latest},
    )


def _confirm(
    connection: duckdb.DuckDBPyConnection, these: Mapping[str, Any], *, now: datetime, latest: datetime
) -> list[str]:
    """Confirm those that have been missing long enough, but for one of which a version is yet to be staged."""
    rows = connection.execute(
        f"""
        UPDATE absence SET confirmed_at = $now
        WHERE {_OF_THESE} AND dms_number NOT IN (
              SELECT record_key FROM sighting
              WHERE dealer_id = $dealer_id AND entity = 'order' AND record_key IS NOT NULL AND {IS_TO_BE_STAGED})
          AND confirmed_at IS NULL AND first_missing_at <= $latest AND first_missing_at < $now
        RETURNING dms_number
        """,
        {**these, "now": now, "latest": latest},
    ).fetchall()
    gone = [number for (number,) in rows]
    connection.execute(
        "INSERT INTO restage SELECT $dealer_id, 'order', unnest($gone::VARCHAR[])",
        {"dealer_id": these["dealer_id"], "gone": gone},
    )
    return gone


def _close_entries(connection: duckdb.DuckDBPyConnection, these: Mapping[str, Any], unstaged: Sequence[str]) -> None:
    """Close what is in quarantine of those never staged or known to be gone: nothing heals it any more."""
    connection.execute(
        f"""
        UPDATE quarantine SET state = 'gone'
        WHERE {_OF_THESE} AND entity = 'appointment' AND state = 'open'
          AND (NOT ({_IS_STAGED} OR {_IS_UNSTAGED})
               OR dms_number IN (
                   SELECT dms_number FROM absence WHERE dealer_id = $dealer_id AND confirmed_at IS NOT NULL))
        """,
        {**these, "unstaged": unstaged},
    )


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
