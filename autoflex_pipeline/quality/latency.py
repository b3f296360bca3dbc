"""How long a change took from the DMS to Claire."""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb

from autoflex_pipeline.sql_files import named_sql

UNKNOWN_AFTER = timedelta(days=1)
"""A change that the DMS dates further back was made before the dealer was watched, or read by a backfill."""


MEASURES = "count(*), quantile_cont(seconds, 0.5), quantile_cont(seconds, 0.95), max(seconds)"
NAMES = ("latency_p50_seconds", "latency_p95_seconds", "latency_max_seconds")


def run_latency(connection: duckdb.DuckDBPyConnection, run_id: str, now: datetime) -> dict[str, float]:
    """Seconds from the change to Claire's answer over what the run delivered: middle, 95 % and longest; none when
    the run delivered no change of an appointment's own fields.

    From the moment that the DMS gives, where it gives one (to the second); else from the moment it was read.
    """
    since = now - UNKNOWN_AFTER
    count, *seconds = connection.execute(
        f"SELECT {MEASURES} FROM ({named_sql('quality/latency.sql')['latencies']}) AS sent",
        {"from": since, "before": since - UNKNOWN_AFTER, "run_id": run_id},
    ).fetchall()[0]
    return {name: round(float(value), 1) for name, value in zip(NAMES, seconds, strict=True)} if count else {}
