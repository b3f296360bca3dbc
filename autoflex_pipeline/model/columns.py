"""How a field is declared: its type, and everything that is derived from it.

A field of an entity is declared once, as a column of a pandera model in this folder. Its DuckDB column and comment,
the names asked of the DMS, the Claire document, the lineage, the dictionary and the analysts' masking are all read
from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pandas as pd
import pandera.pandas as pa
import pyarrow as arrow
from pandera.typing.pandas import Series

Evidence = Literal["D", "O", "A"]
"""D documented by the vendor, O observed in working clients, A assumed."""

Empty = Literal["required", "clear", "keep", "false"]
"""What an empty value does in Claire: never empty, clears the field, keeps what Claire has, or counts as false."""

Pii = Literal["P", "F"]
"""P personal (pseudonymised for analysts), F free text that may hold personal data (left out for analysts)."""

if TYPE_CHECKING:
    Text = Series[Any]
    Moment = Series[Any]
    Day = Series[Any]
    Flag = Series[Any]
    Whole = Series[Any]
    Money = Series[Any]
else:
    Text = Series[Annotated[pd.ArrowDtype, arrow.string()]]
    Moment = Series[Annotated[pd.ArrowDtype, arrow.timestamp("us", tz="UTC")]]
    Day = Series[Annotated[pd.ArrowDtype, arrow.date32()]]
    Flag = Series[Annotated[pd.ArrowDtype, arrow.bool_()]]
    Whole = Series[Annotated[pd.ArrowDtype, arrow.int64()]]
    Money = Series[Annotated[pd.ArrowDtype, arrow.decimal128(12, 2)]]

DUCKDB_TYPES = {
    "string": "VARCHAR",
    "timestamp[us, tz=UTC]": "TIMESTAMPTZ",
    "date32[day]": "DATE",
    "bool": "BOOLEAN",
    "int64": "BIGINT",
    "decimal128(12, 2)": "DECIMAL(12,2)",
}


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """One declared field, as the rest of the product reads it.

    ``dms`` are the names in the Autoflex API (several are joined with a space, or are fallbacks, as the description
    says); ``claire`` is the path in the appointment document; ``wanted`` marks fields of other DMS links that Autoflex
    has no name for yet.
    """

    entity: str
    name: str
    duckdb_type: str
    nullable: bool
    description: str
    dms: tuple[str, ...]
    evidence: Evidence | None
    header: tuple[str, ...]
    claire: str | None
    empty: Empty | None
    pii: Pii | None
    key: bool
    wanted: bool


def column(
    description: str,
    *,
    dms: str | tuple[str, ...] = (),
    evidence: Evidence | None = None,
    header: str | tuple[str, ...] = (),
    claire: str | None = None,
    empty: Empty | None = None,
    pii: Pii | None = None,
    key: bool = False,
    wanted: bool = False,
    **checks: Any,
) -> Any:
    """Declare a field; ``checks`` are pandera's (``ge``, ``str_matches``, …) and guard what staging accepted."""
    metadata = {
        "dms": (dms,) if isinstance(dms, str) else dms,
        "evidence": evidence,
        "header": (header,) if isinstance(header, str) else header,
        "claire": claire,
        "empty": empty,
        "pii": pii,
        "key": key,
        "wanted": wanted,
    }
    nullable = not key and empty not in ("required", "false")
    return pa.Field(nullable=nullable, description=description, metadata=metadata, **checks)


def wanted(description: str, *, claire: str, pii: Pii | None = None) -> Any:
    """Declare a field that other DMS links have: nullable, sent only when it holds something."""
    return column(description, claire=claire, empty="keep", pii=pii, wanted=True)


def declared_fields(entity: str, model: type[pa.DataFrameModel]) -> tuple[FieldInfo, ...]:
    """The fields of ``model`` in the order of declaration."""
    fields = []
    for name, spec in model.to_schema().columns.items():
        metadata: dict[str, Any] = spec.metadata or {}
        arrow_type = str(spec.dtype.type.pyarrow_dtype)
        fields.append(
            FieldInfo(
                entity=entity,
                name=str(name),
                duckdb_type=DUCKDB_TYPES[arrow_type],
                nullable=spec.nullable,
                description=str(spec.description),
                **metadata,
            )
        )
    return tuple(fields)
