"""The pandera schemas, made from the declarations: what guards the rows that staging accepted."""

from __future__ import annotations

from functools import cache

import pandas as pd
import pandera.pandas as pa
import pyarrow as arrow

from autoflex_pipeline.model import MODELS, fields

ARROW_TYPES = {
    "VARCHAR": arrow.string(),
    "TIMESTAMPTZ": arrow.timestamp("us", tz="UTC"),
    "DATE": arrow.date32(),
    "BOOLEAN": arrow.bool_(),
    "BIGINT": arrow.int64(),
    "DECIMAL(12,2)": arrow.decimal128(12, 2),
}
"""By DuckDB's name of a type, the Arrow type of a frame's column."""


@cache
def schema_of(entity: str) -> pa.DataFrameSchema:
    """The schema of ``entity``: strict, unique by its key, one and the same object each time."""
    model = MODELS[entity]
    columns = {
        field.name: pa.Column(
            pd.ArrowDtype(ARROW_TYPES[field.duckdb_type]),
            checks=[_check(name, value) for name, value in field.checks.items()],
            nullable=field.nullable,
            description=field.description,
        )
        for field in fields(entity)
    }
    keys = [field.name for field in fields(entity) if field.key]
    return pa.DataFrameSchema(
        columns, strict=True, unique=keys, name=model.__name__, description=(model.__doc__ or "").strip()
    )


def _check(name: str, value: object) -> pa.Check:
    """A check by pandera's name; a mapping holds its arguments by name."""
    make = getattr(pa.Check, name)
    check: pa.Check = make(**value) if isinstance(value, dict) else make(value)
    return check
