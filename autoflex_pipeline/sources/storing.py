"""Keep what a source brought: records verbatim and append-only, what was seen, and the lists of lines.

All of it runs in the caller's transaction, for any number of extracts at once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as arrow

from autoflex_pipeline.sources.extract import Extract

_SQL = Path(__file__).with_name("storing.sql").read_text(encoding="utf-8")
_STEPS = re.findall(r"^-- step ?(\w*)\n(.*?)(?=^-- step|\Z)", _SQL, flags=re.MULTILINE | re.DOTALL)
"""What each step needs, empty for always, and its statement."""

_RECORDS = arrow.schema(
    [
        ("dealer_id", arrow.string()),
        ("entity", arrow.string()),
        ("record_key", arrow.string()),
        ("parent_key", arrow.string()),
        ("record", arrow.string()),
        ("source", arrow.string()),
        ("ordinal", arrow.int64()),
        ("extract_id", arrow.string()),
        ("began_at", arrow.timestamp("us", tz="UTC")),
        ("fetched_at", arrow.timestamp("us", tz="UTC")),
    ]
)
_EXTRACTS = arrow.schema(
    [
        ("extract_id", arrow.string()),
        ("dealer_id", arrow.string()),
        ("entity", arrow.string()),
        ("source", arrow.string()),
        ("window_from", arrow.date32()),
        ("window_to", arrow.date32()),
        ("is_complete", arrow.bool_()),
        ("rows", arrow.int64()),
        ("started_at", arrow.timestamp("us", tz="UTC")),
        ("finished_at", arrow.timestamp("us", tz="UTC")),
        ("run_id", arrow.string()),
        ("error", arrow.string()),
    ]
)
_KEYS = arrow.schema(
    [
        ("dealer_id", arrow.string()),
        ("entity", arrow.string()),
        ("record_key", arrow.string()),
        ("extract_id", arrow.string()),
        ("began_at", arrow.timestamp("us", tz="UTC")),
        ("read_at", arrow.timestamp("us", tz="UTC")),
    ]
)


@dataclass(frozen=True, slots=True)
class Stored:
    """What is to be known of a storing.

    ``outdated`` are, by dealer id, the numbers of which the extracts contradict what another run came to know while
    they were under way: which of both is older cannot be told, so what was known stays, and these are to be read
    again. For lines they are the numbers of the orders. ``lost`` are the dealers of which not every record that was
    read is among those seen: always empty, unless this program has a defect.
    """

    outdated: dict[str, frozenset[str]] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()


def store_extracts(connection: duckdb.DuckDBPyConnection, extracts: Sequence[Extract], *, run_id: str) -> Stored:
    """Store the extracts: new raw versions, sightings, complete lists of lines, what the DMS says does not exist."""
    if not extracts:
        return Stored()
    there = _there(connection, extracts)
    connection.register("incoming_record", _records(extracts))
    connection.register("incoming_extract", _extracts(extracts, run_id))
    connection.register("incoming_list", _lists(extracts))
    connection.register("incoming_not_found", _not_found(extracts))
    try:
        for needed, statement in _STEPS:
            if not needed or needed in there:
                connection.execute(statement, {"run_id": run_id} if "$run_id" in statement else None)
        return Stored(_outdated(connection), _lost(connection, extracts))
    finally:
        for name in ("incoming_record", "incoming_extract", "incoming_list", "incoming_not_found"):
            connection.unregister(name)


def _outdated(connection: duckdb.DuckDBPyConnection) -> dict[str, frozenset[str]]:
    outdated: dict[str, set[str]] = {}
    for dealer_id, number in connection.execute("FROM outdated").fetchall():
        outdated.setdefault(dealer_id, set()).add(number)
    return {dealer_id: frozenset(numbers) for dealer_id, numbers in outdated.items()}


def _lost(connection: duckdb.DuckDBPyConnection, extracts: Sequence[Extract]) -> frozenset[str]:
    """Dealers of which more records were read than are now seen; counted from what was read, not from what is stored.

    Records without a key are one where their text is the same.
    """
    read = Counter(
        dealer_id
        for dealer_id, _, _ in {
            (extract.dealer_id, record.entity, (record.key, record.text if record.key is None else ""))
            for extract in extracts
            for record in extract.records
        }
    )
    seen = dict(
        connection.execute(
            "SELECT dealer_id, count(*) FROM sighting SEMI JOIN seen_now USING (dealer_id, entity, raw_seq) "
            "GROUP BY dealer_id"
        ).fetchall()
    )
    return frozenset(dealer_id for dealer_id, count in read.items() if seen.get(dealer_id, 0) != count)


def _there(connection: duckdb.DuckDBPyConnection, extracts: Sequence[Extract]) -> set[str]:
    """Which of the things that a step can need are there: a step over nothing costs as much as one with work."""
    keyless, unfound, absent = connection.execute(
        "SELECT EXISTS (FROM sighting WHERE record_key IS NULL), EXISTS (FROM nonexistent), EXISTS (FROM absence)"
    ).fetchall()[0]
    orders = any(record.entity == "order" for extract in extracts for record in extract.records)
    found = {
        "absent_orders": orders and absent,
        "lists": any(extract.entity == "order_line" and extract.read_ids for extract in extracts),
        "not_found": any(extract.not_found for extract in extracts),
        "keyless": keyless,
        "unfound": unfound,
    }
    return {name for name, is_there in found.items() if is_there}


def _records(extracts: Sequence[Extract]) -> arrow.Table:
    rows = [(extract, record) for extract in extracts for record in extract.records]
    columns = {
        "dealer_id": [extract.dealer_id for extract, _ in rows],
        "entity": [record.entity for _, record in rows],
        "record_key": [record.key for _, record in rows],
        "parent_key": [record.parent for _, record in rows],
        "record": [record.text for _, record in rows],
        "source": [record.source for _, record in rows],
        "ordinal": list(range(len(rows))),
        "extract_id": [extract.extract_id for extract, _ in rows],
        "began_at": [extract.started_at for extract, _ in rows],
        "fetched_at": [extract.finished_at for extract, _ in rows],
    }
    return arrow.table(columns, schema=_RECORDS)


def _extracts(extracts: Sequence[Extract], run_id: str) -> arrow.Table:
    rows = [
        {
            "extract_id": extract.extract_id,
            "dealer_id": extract.dealer_id,
            "entity": extract.entity,
            "source": extract.source,
            "window_from": extract.window[0] if extract.window else None,
            "window_to": extract.window[1] if extract.window else None,
            "is_complete": extract.is_complete,
            "rows": len(extract.records),
            "started_at": extract.started_at,
            "finished_at": extract.finished_at,
            "run_id": run_id,
            "error": extract.error,
        }
        for extract in extracts
    ]
    return arrow.Table.from_pylist(rows, schema=_EXTRACTS)


def _lists(extracts: Sequence[Extract]) -> arrow.Table:
    return _keys(
        [
            (extract, "order", key)
            for extract in extracts
            if extract.entity == "order_line"
            for key in sorted(extract.read_ids)
        ]
    )


def _not_found(extracts: Sequence[Extract]) -> arrow.Table:
    return _keys([(extract, extract.entity, key) for extract in extracts for key in sorted(extract.not_found)])


def _keys(rows: list[tuple[Extract, str, str]]) -> arrow.Table:
    columns = {
        "dealer_id": [extract.dealer_id for extract, _, _ in rows],
        "entity": [entity for _, entity, _ in rows],
        "record_key": [key for _, _, key in rows],
        "extract_id": [extract.extract_id for extract, _, _ in rows],
        "began_at": [extract.started_at for extract, _, _ in rows],
        "read_at": [extract.finished_at for extract, _, _ in rows],
    }
    return arrow.table(columns, schema=_KEYS)
