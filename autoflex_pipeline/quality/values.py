"""Whether the values of the last day are spread as before: filled as often, true as often, numbers of the same size."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from math import sqrt
from typing import Any

import duckdb

from autoflex_pipeline.model import MODELS, fields
from autoflex_pipeline.quality.history import not_enough, watched_days
from autoflex_pipeline.quality.verdict import VALUES, JudgedDealer, Verdict, verdict_of
from autoflex_pipeline.sql_files import named_sql

DAYS_NEEDED = 14
PAST = timedelta(weeks=8)
RECENT = timedelta(days=1)
RECENT_NEEDED = 50
PAST_NEEDED = 200

SHARE_MOVED = 0.25
DEVIATIONS = 5.0
"""A share has drifted when it moved by so much, and by more than chance would by so many standard deviations."""
TIMES_AS_LARGE = 3.0
"""A number has drifted when its middle value is so many times as large, or as small."""

NUMBERS = ("BIGINT", "DECIMAL(12,2)")


def judge_values(
    connection: duckdb.DuckDBPyConnection, dealers: Sequence[JudgedDealer], now: datetime
) -> list[Verdict]:
    """One verdict an entity. Dealers with few versions of late are not compared."""
    days = watched_days(connection)
    return [verdict_of(VALUES[entity], _rows(connection, entity, dealers, days, now)) for entity in MODELS]


def _rows(
    connection: duckdb.DuckDBPyConnection,
    entity: str,
    dealers: Sequence[JudgedDealer],
    days: dict[str, int],
    now: datetime,
) -> list[dict[str, Any]]:
    sql, moments = named_sql("quality/judging.sql"), {"recent": now - RECENT, "from": now - PAST}
    of_late = dict(
        connection.execute(sql["of_late"].replace("{entity}", entity), {"recent": moments["recent"]}).fetchall()
    )
    is_worth_it = any(
        days[dealer.id] >= DAYS_NEEDED and of_late.get(dealer.id, 0) >= RECENT_NEEDED for dealer in dealers
    )
    measured = _measured(connection, entity, moments) if is_worth_it else {}
    return [_row(entity, dealer.id, days[dealer.id], measured) for dealer in dealers]


Measured = dict[tuple[str, bool], dict[str, Any]]


def _measured(connection: duckdb.DuckDBPyConnection, entity: str, moments: dict[str, datetime]) -> Measured:
    """By dealer and whether recent: rows, and each measure by its name."""
    query = named_sql("quality/judging.sql")["versions"].replace("{entity}", entity)
    columns = ", ".join(f"{measure} AS {name}" for name, measure in _measures(entity).items())
    cursor = connection.execute(query.replace("{columns}", columns), moments)
    names = [column[0] for column in cursor.description or []]
    found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return {(row["dealer_id"], row["is_recent"]): row for row in found}


@cache
def _measures(entity: str) -> dict[str, str]:
    """SQL by the name of a measure, such as ``filled_dms_notes``, ``true_is_billed``, ``middle_price``."""
    measures = {}
    for field in fields(entity):
        if field.key or field.wanted:
            continue
        if field.nullable:
            measures[f"filled_{field.name}"] = f"count({field.name}) / count(*)"
        if field.duckdb_type == "BOOLEAN":
            measures[f"true_{field.name}"] = (
                f"coalesce(count(*) FILTER ({field.name}) / nullif(count({field.name}), 0), 0)"
            )
        if field.duckdb_type in NUMBERS:
            measures[f"middle_{field.name}"] = f"quantile_cont({field.name}, 0.5)::DOUBLE"
    return measures


def _row(entity: str, dealer_id: str, days: int, measured: Measured) -> dict[str, Any]:
    recent, past = measured.get((dealer_id, True)), measured.get((dealer_id, False))
    row: dict[str, Any] = {
        "dealer": dealer_id,
        "recent_rows": recent["rows"] if recent else 0,
        "past_rows": past["rows"] if past else 0,
        "is_odd": False,
    }
    if days < DAYS_NEEDED:
        return row | {"told": not_enough(days, DAYS_NEEDED)}
    if recent is None or past is None or recent["rows"] < RECENT_NEEDED or past["rows"] < PAST_NEEDED:
        return row | {"told": "too few versions of late to compare"}
    drifted = [told for name in _measures(entity) if (told := _drift(name, recent, past))]
    return row | {"is_odd": bool(drifted), "told": ", ".join(drifted) or "as usual"}


def _drift(name: str, recent: dict[str, Any], past: dict[str, Any]) -> str | None:
    """What moved, in words; None when it did not."""
    now, before = recent[name], past[name]
    kind, _, field = name.partition("_")
    if now is None or before is None:
        return None
    if kind == "middle":
        small, large = sorted((abs(now), abs(before)))
        moved = large > TIMES_AS_LARGE * small and large > 0
        return f"{field}: middle value {now:g}, before {before:g}" if moved else None
    both = (now * recent["rows"] + before * past["rows"]) / (recent["rows"] + past["rows"])
    chance = sqrt(max(both * (1 - both), 0) * (1 / recent["rows"] + 1 / past["rows"]))
    if abs(now - before) < SHARE_MOVED or abs(now - before) < DEVIATIONS * chance:
        return None
    return f"{field}: {now:.0%} {kind}, before {before:.0%}"
