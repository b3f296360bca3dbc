"""What the pictures in the Dagster UI are drawn from: counts by day over the last two weeks. All dealers together."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import duckdb

from autoflex_pipeline.quality.latency import UNKNOWN_AFTER
from autoflex_pipeline.sql_files import named_sql

DAYS = 14
REASONS_SHOWN = 4
OTHER = "other"

ByDay = dict[date, dict[str, float]]


def arrivals_by_day(connection: duckdb.DuckDBPyConnection, now: datetime) -> ByDay:
    """New work orders by the day on which they were made."""
    return _by_day(connection, "arrivals", now)


def rejections_by_day(connection: duckdb.DuckDBPyConnection, now: datetime) -> ByDay:
    """New entries in quarantine by day and rule; all but the most frequent rules together."""
    found = _by_day(connection, "rejections", now)
    totals: dict[str, float] = {}
    for rules in found.values():
        for rule, count in rules.items():
            totals[rule] = totals.get(rule, 0) + count
    shown = sorted(totals, key=lambda rule: (-totals[rule], rule))[:REASONS_SHOWN]
    return {day: _gathered(rules, shown) for day, rules in found.items()}


def _gathered(rules: dict[str, float], shown: list[str]) -> dict[str, float]:
    kept = {rule: rules[rule] for rule in shown if rule in rules}
    rest = sum(count for rule, count in rules.items() if rule not in shown)
    return kept | ({OTHER: rest} if rest else {})


def latency_by_day(connection: duckdb.DuckDBPyConnection, now: datetime) -> ByDay:
    """Seconds from the change in the DMS to Claire by day: the middle, and what is added to it for 95 of 100."""
    since = now - timedelta(days=DAYS)
    rows = connection.execute(
        "SELECT attempted_at::DATE, quantile_cont(seconds, 0.5), quantile_cont(seconds, 0.95) "
        f"FROM ({named_sql('quality/latency.sql')['latencies']}) AS sent GROUP BY attempted_at::DATE",
        {"from": since, "before": since - UNKNOWN_AFTER, "run_id": None},
    ).fetchall()
    found = {day: {"half within": float(middle), "95 % within": float(most - middle)} for day, middle, most in rows}
    return _every_day(found, now)


def _by_day(connection: duckdb.DuckDBPyConnection, name: str, now: datetime) -> ByDay:
    found: ByDay = {}
    moments = {"from": now - timedelta(days=DAYS), "now": now}
    rows = connection.execute(named_sql("quality/trends.sql")[name], moments).fetchall()
    for day, part, count in rows:
        found.setdefault(day, {})[part] = float(count)
    return _every_day(found, now)


def _every_day(found: ByDay, now: datetime) -> ByDay:
    """A day on which nothing came has its place too."""
    days = [now.date() - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    return {day: found.get(day, {}) for day in days}
