"""Which fields the DMS sends and in what form; what changed in that is additive, semantic or breaking.

Only names and forms are kept (``text 9999-99-99``), never a value.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache

import duckdb

from autoflex_pipeline.model import MODELS, RAW_ENTITIES, dms_names, fields
from autoflex_pipeline.plain_text import one_line
from autoflex_pipeline.quality.verdict import SCHEMA, Severity, Verdict
from autoflex_pipeline.sql_files import named_sql

SAMPLE = 2000
"""So many of the newest new records of a dealer and kind are looked at in one run."""
LEARNING_DAYS = 7
"""For so long everything is new; and so long a change is told of before it counts as known."""
RECORDS_NEEDED = 10
KNOWN_AT_LEAST = 50
USUALLY_THERE = 0.9


def note_fields(connection: duckdb.DuckDBPyConnection, now: datetime) -> None:
    """Add to ``dms_field`` what the raw records say that staging has not taken yet; in the transaction of staging.

    Costs nothing when there is no new raw record.
    """
    sql = named_sql("quality/schema_drift.sql")
    first = connection.execute("SELECT coalesce(max(raw_seq), 0) FROM staged").fetchall()[0][0]
    connection.execute(sql["sample"], {"first": first, "limit": SAMPLE})
    if connection.execute("SELECT 1 FROM temp.dms_sample LIMIT 1").fetchone():
        used = _used()
        lists = {
            "entities": [entity for entity, _ in used],
            "names": [name for _, name in used],
            "is_moment": list(used.values()),
        }
        connection.execute(sql["seen"], lists)
        for step in ("merged", "forget", "keep"):
            connection.execute(sql[step], {"now": now} if step == "merged" else None)
    connection.execute("DROP TABLE temp.dms_sample")


def judge_schema(connection: duckdb.DuckDBPyConnection, now: datetime) -> Verdict:
    """What changed in the last days, or is gone now, for the dealers in ``judged_dealer``."""
    used = _used()
    found = connection.execute(
        named_sql("quality/schema_drift.sql")["drift"],
        {
            "learned": now - timedelta(days=LEARNING_DAYS),
            "needed": RECORDS_NEEDED,
            "known": KNOWN_AT_LEAST,
            "usually": USUALLY_THERE,
            "learning": LEARNING_DAYS,
            "entities": [entity for entity, _ in used],
            "names": [name for _, name in used],
        },
    ).fetchall()
    rows = [
        {"dealer": dealer_id, "class": kind, "field": f"{entity}.{one_line(field, 100)}", "what": one_line(what, 200)}
        for dealer_id, kind, entity, field, what in found
    ]
    told = [f"{row['dealer']}: {row['class']}: {row['field']} {row['what']}" for row in rows]
    severity: Severity = "error" if any(row["class"] == "breaking" for row in rows) else "warn"
    passed = all(row["class"] == "additive" for row in rows)
    return Verdict(SCHEMA, passed, "; ".join(told) or _untold(connection, now), severity, rows)


def _untold(connection: duckdb.DuckDBPyConnection, now: datetime) -> str:
    """That nothing changed, and how long there was to know it."""
    row = connection.execute("SELECT min(first_seen_at) FROM dms_field WHERE field = ''").fetchone()
    days = (now - row[0]).days if row and row[0] else 0
    return "as known" if days >= LEARNING_DAYS else f"not enough history yet ({days} of {LEARNING_DAYS} days)"


@cache
def _used() -> dict[tuple[str, str], bool]:
    """The fields that are read, by the DMS's names for kind and field; whether each is a date or a moment."""
    return {
        (RAW_ENTITIES[entity], name): any(
            name in field.dms and field.duckdb_type in ("DATE", "TIMESTAMPTZ") for field in fields(entity)
        )
        for entity in MODELS
        for name in dms_names(entity)
    }
