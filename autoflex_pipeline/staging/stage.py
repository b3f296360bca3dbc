"""Stage one entity: take what raw is new, type, repair, judge, and write what changed, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import duckdb

from autoflex_pipeline.model import RAW_ENTITIES, fields
from autoflex_pipeline.sql_files import named_sql, run_sql
from autoflex_pipeline.staging.clock import install_dealers, install_weeks
from autoflex_pipeline.staging.compiling import LATE_RULES, Mode, all_rules, kept_at, typed_query
from autoflex_pipeline.staging.context import StageCounts, StagingContext
from autoflex_pipeline.staging.guard import validate_accepted

ORDER = ("party", "car", "appointment", "intervention")
"""An entity is staged after those that it refers to."""

TABLES = (
    "batch",
    "again",
    "typed",
    "known",
    "accepted",
    "found",
    "found_named",
    "rejected",
    "judged",
    "open_before",
    "left_order",
    "of_same_car",
)
"""The temporary tables of a staging; they are dropped at its end, because they hold as much as the batch."""


_TAKEN = (
    "CREATE OR REPLACE TEMP TABLE taken (entity VARCHAR, seq BIGINT, dealer_id VARCHAR, dms_number VARCHAR, "
    "drift BOOLEAN, places BOOLEAN)"
)
"""What a staging took, for ``lost_in_staging``."""


def stage_entities(
    connection: duckdb.DuckDBPyConnection, context: StagingContext, entities: Sequence[str] = ORDER
) -> dict[str, dict[str, StageCounts]]:
    """Stage all raw that is new or to be taken again, for every dealer; gives the counts by entity and dealer.

    Everything happens in the caller's transaction, so that nobody sees an order without its new lines. Raises
    ``StagingDefectError`` when a row that was accepted breaks its model; nothing must be committed then.
    """
    install_dealers(connection, context)
    connection.execute(_TAKEN)
    counts: dict[str, dict[str, StageCounts]] = {}
    for entity in entities:
        values = {"now": context.now, "run_id": context.run_id, "watermark": _watermark(connection, entity)}
        is_again = _is_any(connection, entity, "is_again")
        # Lines that wait for their order grow old without any new record.
        has_orphans = entity == "intervention" and _is_any(connection, entity, "orphans")
        if is_again or has_orphans or _is_any(connection, entity, "is_new", values):
            if not counts:
                _install_readers(connection)
            counts[entity] = _stage_entity(connection, entity, values, is_again=is_again)
    return {entity: counts.get(entity, {}) for entity in entities}


def lost_in_staging(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The dealers with a record that the last staging took and that is not staged as it was read; to be taken again.

    Each record that staging took stands with its raw version in the entity's table, in quarantine or among the skipped;
    if not, then because what is staged equals it already, and that is judged once more. In the same transaction.
    """
    lost: list[tuple[str, str, str | None]] = []
    modes = connection.execute("SELECT entity, bool_or(drift), bool_or(places) FROM taken GROUP BY entity").fetchall()
    for entity, drift, places in modes:
        _run(connection, entity, {}, "untold")
        if connection.execute("SELECT 1 FROM batch LIMIT 1").fetchone():
            _make_typed(connection, entity, Mode(drift=drift, places=places))
            lost += run_sql(connection, _sql(entity, "told_wrong")).fetchall()
    if lost:
        connection.executemany("INSERT INTO restage VALUES (?, ?, ?)", lost)
    for table in ("batch", "typed", "taken"):
        connection.execute(f"DROP TABLE IF EXISTS temp.{table}")
    return sorted({dealer_id for dealer_id, _, _ in lost})


def _stage_entity(
    connection: duckdb.DuckDBPyConnection, entity: str, values: Mapping[str, Any], *, is_again: bool
) -> dict[str, StageCounts]:
    """Stage the batch of an entity; gives its counts by dealer."""
    _run(connection, entity, values, "again" if is_again else "nothing_again", "batch")
    if entity == "intervention" and is_again:
        _run(connection, entity, values, "left_their_order", "close_left_lines")
    counts = _stage(connection, entity, values, is_again=is_again)
    _run(connection, entity, values, "watermark")
    connection.execute("DELETE FROM restage WHERE entity = ?", [RAW_ENTITIES[entity]])
    for table in TABLES:
        connection.execute(f"DROP TABLE IF EXISTS temp.{table}")
    return counts


def _stage(
    connection: duckdb.DuckDBPyConnection, entity: str, values: Mapping[str, Any], *, is_again: bool
) -> dict[str, StageCounts]:
    _install_rules(connection, entity)
    mode = _type_batch(connection, entity)
    connection.execute(
        "INSERT INTO taken SELECT ?, seq, dealer_id, dms_number, ?, ? FROM typed", [entity, mode.drift, mode.places]
    )
    _run(connection, entity, values, "known", "accepted")
    validate_accepted(connection, entity, _sql(entity, "accepted_rows"), values)
    if entity == "intervention":
        _run(connection, entity, values, "dirty_before")
    _run(connection, entity, values, "replace", "accept", "found")
    for rule in LATE_RULES.get(entity, ()):
        _run(connection, entity, {**values, "rule": all_rules(entity).index(rule)}, rule.name)
    _run(connection, entity, values, "found_named")
    if is_again:
        _run(connection, entity, values, "findings_again")
    _run(connection, entity, values, "findings", "quarantine", "skipped", f"dirty_{entity}")
    if entity == "appointment":
        _run(connection, entity, values, "returned")
    rows = run_sql(connection, _sql(entity, "counts"), values).fetchall()
    return {dealer_id: StageCounts(*counts) for dealer_id, *counts in rows}


def _type_batch(connection: duckdb.DuckDBPyConnection, entity: str) -> Mode:
    """Make ``typed``; once more with what the usual query leaves out, when the batch turns out to need it.

    Gives how it was made.
    """
    mode = Mode()
    _make_typed(connection, entity, mode)
    row = connection.execute(
        "SELECT coalesce(bool_or(lacks), false), coalesce(bool_or(unplaced), false) FROM typed"
    ).fetchone()
    if row and any(row):
        mode = Mode(drift=row[0], places=row[1])
        _make_typed(connection, entity, mode)
    return mode


def _make_typed(connection: duckdb.DuckDBPyConnection, entity: str, mode: Mode) -> None:
    # The bounds let DuckDB pass over the blocks of raw_record that hold nothing of the batch. They are written into the
    # text: as values they would have the longest query of all planned twice.
    first, last = connection.execute("SELECT coalesce(min(seq), 0), coalesce(max(seq), -1) FROM batch").fetchall()[0]
    query = typed_query(entity, mode).replace("{first}", str(first)).replace("{last}", str(last))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE typed AS {query}")


def _install_readers(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the macros that read texts and the weeks that local times are looked up in."""
    run_sql(connection, files(__package__).joinpath("macros.sql").read_text("utf-8"))
    install_weeks(connection)


def _install_rules(connection: duckdb.DuckDBPyConnection, entity: str) -> None:
    """Make the table of the rules by number."""
    rules = all_rules(entity)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE staging_rule AS SELECT unnest($number::SMALLINT[]) AS rule_number, "
        "unnest($rule::VARCHAR[]) AS rule, unnest($field::VARCHAR[]) AS field, "
        "unnest($severity::VARCHAR[]) AS severity, unnest($hint::VARCHAR[]) AS hint, "
        "unnest($before_at::SMALLINT[]) AS before_at, unnest($after_at::SMALLINT[]) AS after_at",
        {
            "number": list(range(len(rules))),
            "rule": [rule.name for rule in rules],
            "field": [rule.field for rule in rules],
            "severity": [rule.severity.value for rule in rules],
            "hint": [rule.hint for rule in rules],
            "before_at": [before for before, _ in kept_at(entity)],
            "after_at": [after for _, after in kept_at(entity)],
        },
    )


def _watermark(connection: duckdb.DuckDBPyConnection, entity: str) -> int:
    row = connection.execute("SELECT max(raw_seq) FROM staged WHERE entity = ?", [RAW_ENTITIES[entity]]).fetchone()
    return int(row[0]) if row and row[0] is not None else 0


def _is_any(
    connection: duckdb.DuckDBPyConnection, entity: str, name: str, values: Mapping[str, Any] | None = None
) -> bool:
    """Whether the query gives any row."""
    return run_sql(connection, f"SELECT 1 FROM ({_sql(entity, name)}) AS found LIMIT 1", values).fetchone() is not None


def _run(connection: duckdb.DuckDBPyConnection, entity: str, values: Mapping[str, Any], *names: str) -> None:
    for name in names:
        run_sql(connection, _sql(entity, name), values)


@cache
def _sql(entity: str, name: str) -> str:
    """A step of ``stage.sql`` for ``entity``."""
    declared = [info.name for info in fields(entity)]
    keys = {info.name for info in fields(entity) if info.key}
    parts = {
        "accepted_rows": named_sql("staging/stage.sql")["accepted_rows"],
        "orphans": named_sql("staging/stage.sql")["orphans"],
        "columns": ", ".join(f"typed.{column}" for column in declared),
        "changed": " OR ".join(
            f"typed.{column} IS DISTINCT FROM old.{column}" for column in declared if column not in keys
        ),
        "entity": entity,
        "raw": RAW_ENTITIES[entity],
    }
    sql = named_sql("staging/stage.sql")[name]
    for part, text in parts.items():
        sql = sql.replace(f"{{{part}}}", text)
    return sql
