"""The projection of an appointment: everything that Claire should hold of it, built from staging in one query.

Only its hash is stored (table ``document``); the texts of the few that go out are built when they are needed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import duckdb
import msgspec

from autoflex_pipeline.claire.contract import KIND, KINDS, Document, Version, sent_fields
from autoflex_pipeline.claire.zones import QUARTER_US, install_zones
from autoflex_pipeline.model import FieldInfo

Projections = Mapping[tuple[str, str], Version]
"""What Claire should hold, by dealer_id and dms_number."""

ALIASES = {"appointment": "a", "car": "c", "party": "p", "intervention": "i"}

Form = Literal["text", "hash"]
"""What a projection is made as: the JSON text that goes out, or a hash that tells whether that changed.

The hash is DuckDB's own, of the values as they would be sent: 64 bits, which a change leaves as they were once in 10^19
changes, and for which no JSON is written. Another release of DuckDB may hash otherwise; its documents are then compared
with what Claire holds once more, field by field, and nothing is sent.
"""

PART = {"text": "to_json(struct_pack({members}))::VARCHAR", "hash": "hash({values})"}
WHOLE = {
    "text": """concat(
        '{"appointment":', h.fields,
        ',"references":', to_json(struct_pack(
            car := h.car_dms_number, contractor := h.contractor_dms_number,
            driver := v.driver_dms_number, owner := v.owner_dms_number
        )),
        ',"interventions":',
        CASE WHEN known.order_key IS NULL THEN 'null' ELSE concat('[', array_to_string(l.fields, ','), ']') END,
        ',"car":', coalesce(v.fields, 'null'),
        ',"contractor":', coalesce(contractor.fields, 'null'),
        ',"driver":', coalesce(driver.fields, 'null'),
        ',"owner":', coalesce(owner.fields, 'null'), '}'
    )""",
    "hash": """hash(
        h.fields, h.car_dms_number, h.contractor_dms_number, v.driver_dms_number, v.owner_dms_number,
        known.order_key IS NULL, l.fields, v.fields, contractor.fields, driver.fields, owner.fields
    )::VARCHAR""",
}
"""A part of a document, and the whole made of its parts (columns of ``projection.sql``), in each form."""


def refresh_documents(connection: duckdb.DuckDBPyConnection, zones: Mapping[str, str], now: datetime) -> int:
    """Compare the documents of ``document_dirty`` again and empty it; gives how many rows of ``document`` changed.

    ``zones`` are the time zones by dealer id; what is marked for other dealers stays marked.
    """
    marked = connection.execute("SELECT 1 FROM document_dirty LIMIT 1").fetchone()
    if marked is None:
        return 0
    install_zones(connection, zones)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE wanted_document AS "
        "SELECT DISTINCT dealer_id, dms_number FROM document_dirty SEMI JOIN dealer_zone USING (dealer_id)"
    )
    connection.execute(_projection_sql("hash"))
    for statement in duckdb.extract_statements(_read("refresh.sql")):
        connection.execute(statement, {"now": now} if "now" in statement.named_parameters else None)
    row = connection.execute("SELECT count(*) FROM changed_document").fetchone()
    return int(row[0]) if row else 0


def projections(
    connection: duckdb.DuckDBPyConnection, keys: Collection[tuple[str, str]], zones: Mapping[str, str]
) -> Projections:
    """What Claire should hold of the appointments ``keys`` (dealer_id, dms_number), empty values as None.

    ``interventions`` is missing when the lines were never read completely; ``car`` and a customer are missing when
    they are not in staging. Fields that are merely wanted are there only when they hold something.
    """
    if not keys:
        return {}
    install_zones(connection, zones)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE wanted_document AS "
        "SELECT DISTINCT unnest(?::VARCHAR[]) AS dealer_id, unnest(?::VARCHAR[]) AS dms_number",
        [[dealer_id for dealer_id, _ in keys], [dms_number for _, dms_number in keys]],
    )
    connection.execute(_projection_sql("text"))
    rows = connection.execute("SELECT dealer_id, dms_number, projection FROM projected").fetchall()
    return _Decoded({(dealer_id, dms_number): text for dealer_id, dms_number, text in rows})


class _Decoded(Projections):
    """Decodes each when it is asked for: thousands at once would let the first request wait, and fill the memory."""

    def __init__(self, texts: dict[tuple[str, str], str]) -> None:
        self._texts = texts

    def __getitem__(self, key: tuple[str, str]) -> Version:
        return _version(msgspec.json.decode(self._texts[key]))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def _version(projected: dict[str, Any]) -> Version:
    document = _without_empty_wanted("appointment", projected["appointment"])
    if projected["interventions"] is not None:
        document["interventions"] = [_without_empty_wanted("intervention", line) for line in projected["interventions"]]
    if projected["car"] is not None:
        document["car"] = _without_empty_wanted("car", projected["car"])
    document["customers"] = [
        {KIND: kind} | _without_empty_wanted("party", projected[kind]) for kind in KINDS if projected[kind] is not None
    ]
    return Version(document, projected["references"])


def _without_empty_wanted(entity: str, part: Document) -> Document:
    declared = sent_fields(entity)
    return {name: value for name, value in part.items() if value is not None or not declared[name].wanted}


@cache
def _projection_sql(form: Form) -> str:
    """SQL that fills ``projected``, with ``projection`` in that form."""
    moments = [info for info in sent_fields("appointment").values() if info.duckdb_type == "TIMESTAMPTZ"]
    joins = "\n".join(
        f"LEFT JOIN quarter_offset at_{info.name} "
        f"ON at_{info.name}.timezone = a.timezone AND at_{info.name}.quarter = {_quarter(info)}"
        for info in moments
    )
    quarters = ", ".join(_quarter(info) for info in moments)
    parts = {entity: _part(entity, form) for entity in ALIASES} | {"whole": WHOLE[form]}
    # Replaced one by one: the text holds the braces of JSON, which str.format would take for its own.
    text = _read("projection.sql")
    for name, value in {**parts, "zone_joins": joins, "quarters": quarters}.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _quarter(info: FieldInfo) -> str:
    return f"epoch_us(a.{info.name}) // {QUARTER_US}"


def _part(entity: str, form: Form) -> str:
    sent = {name: _as_sent(ALIASES[entity], info) for name, info in sent_fields(entity).items()}
    members = ", ".join(f'"{name}" := {value}' for name, value in sent.items())
    return PART[form].format(members=members, values=", ".join(sent.values()))


def _as_sent(alias: str, info: FieldInfo) -> str:
    """SQL of a field's value as Claire's contract writes it."""
    value = f"{alias}.{info.name}"
    if info.duckdb_type == "TIMESTAMPTZ":
        local = f"make_timestamp(epoch_us({value}) + at_{info.name}.offset_us)"
        return f"replace(left({local}::VARCHAR, 19), ' ', 'T') || at_{info.name}.offset_text"
    if info.duckdb_type.startswith("DECIMAL"):
        return f"{value}::VARCHAR"
    return value


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")
