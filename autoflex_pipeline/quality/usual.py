"""New work orders, and changes of orders, against the dealer's own past on the same weekday."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from autoflex_pipeline.quality.history import not_enough, watched_days
from autoflex_pipeline.quality.verdict import CHANGES, VOLUME, JudgedDealer, Verdict, verdict_of
from autoflex_pipeline.sql_files import named_sql

WEEKS = 8
WEEKS_NEEDED = 4
DAYS_NEEDED = 7 * WEEKS_NEEDED

FEW = 4
"""Fewer than the usual number divided by this is too few; more than the highest times ``MANY`` too many."""
MANY = 3
USUAL_AT_LEAST = 6
MANY_AT_LEAST = 20

SILENCE_AT_LEAST = timedelta(hours=2)
SILENCE_TIMES = 2
"""As many times the longest silence at this time of the same weekdays is too long."""


def judge_volume(connection: duckdb.DuckDBPyConnection, dealers: Sequence[JudgedDealer], now: datetime) -> Verdict:
    """Work orders made today so far, against the same weekday of up to eight weeks.

    Only days since the dealer is watched count: of earlier ones the closed orders are unknown.
    """
    counted = connection.execute(
        named_sql("quality/judging.sql")["new_by_day"], {"from": now - timedelta(weeks=WEEKS, days=1)}
    ).fetchall()
    by_day = {(dealer_id, day): number for dealer_id, day, number in counted}
    days = watched_days(connection)
    rows = []
    for dealer in dealers:
        today = now.astimezone(ZoneInfo(dealer.timezone)).date()
        before = [
            by_day.get((dealer.id, today - timedelta(weeks=week)), 0)
            for week in range(1, WEEKS + 1)
            if week * 7 <= days[dealer.id]
        ]
        rows.append(_volume_row(dealer.id, by_day.get((dealer.id, today), 0), before, days[dealer.id]))
    return verdict_of(VOLUME, rows, {"new_today": sum(row["today"] for row in rows)})


def _volume_row(dealer_id: str, today: int, before: list[int], days: int) -> dict[str, Any]:
    row: dict[str, Any] = {"dealer": dealer_id, "today": today, "usual": median(before) if before else 0}
    if len(before) < WEEKS_NEEDED:
        return row | {"is_odd": False, "told": not_enough(days, DAYS_NEEDED)}
    usual = row["usual"]
    if usual >= USUAL_AT_LEAST and today < usual / FEW and today < min(before):
        return row | {"is_odd": True, "told": f"{today} new today, usually {usual:g} by now"}
    if today >= MANY_AT_LEAST and today > MANY * max(before):
        return row | {"is_odd": True, "told": f"{today} new today, at most {max(before)} by now in {len(before)} weeks"}
    return row | {"is_odd": False, "told": "as usual"}


def judge_changes(connection: duckdb.DuckDBPyConnection, dealers: Sequence[JudgedDealer], now: datetime) -> Verdict:
    """How long ago an order changed, against how long it was at this time of the same weekdays."""
    moments = [now - timedelta(weeks=week) for week in range(WEEKS + 1)]
    found = connection.execute(
        named_sql("quality/judging.sql")["last_changes"],
        {"moments": moments, "from": now - timedelta(weeks=WEEKS + 1)},
    ).fetchall()
    silences: dict[tuple[str, datetime], timedelta] = {
        (dealer_id, moment): moment - changed for dealer_id, moment, changed in found if changed is not None
    }
    days = watched_days(connection)
    rows = []
    for dealer in dealers:
        before = [
            silences[dealer.id, moment]
            for week, moment in enumerate(moments)
            if week and week * 7 <= days[dealer.id] and (dealer.id, moment) in silences
        ]
        rows.append(_silence_row(dealer.id, silences.get((dealer.id, moments[0])), before, days[dealer.id]))
    return verdict_of(CHANGES, rows)


def _silence_row(dealer_id: str, silence: timedelta | None, before: list[timedelta], days: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "dealer": dealer_id,
        "hours_since_change": _hours(silence) if silence is not None else None,
        "longest_usual": _hours(max(before)) if before else None,
    }
    if len(before) < WEEKS_NEEDED:
        return row | {"is_odd": False, "told": not_enough(days, DAYS_NEEDED)}
    longest = max(before)
    if silence is None:
        return row | {"is_odd": True, "told": f"no order changed in {WEEKS + 1} weeks"}
    if silence >= SILENCE_AT_LEAST and silence > SILENCE_TIMES * longest:
        told = f"no order changed for {_hours(silence):g} h, at this time never longer than {_hours(longest):g} h"
        return row | {"is_odd": True, "told": told}
    return row | {"is_odd": False, "told": "as usual"}


def _hours(span: timedelta) -> float:
    return round(span.total_seconds() / 3600, 1)
