"""The last look before rows are written: the pandera model over what staging accepted.

The rules have sorted out what is bad, so a failure here is a defect of this program and stops the run. That is also why
pandera is given accepted rows only: with many bad ones its failure cases explode.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import cache
from typing import Any

import duckdb
import pandas as pd
import pandera.pandas as pa
import pyarrow as arrow

from autoflex_pipeline.errors import PipelineError
from autoflex_pipeline.model import MODELS, fields
from autoflex_pipeline.sql_files import run_sql

ROWS_AT_ONCE = 131_072


class StagingDefectError(PipelineError):
    """Staging accepted rows that break their model: a defect of this program."""


def validate_accepted(
    connection: duckdb.DuckDBPyConnection, entity: str, query: str, values: Mapping[str, Any] | None = None
) -> int:
    """Validate the rows of ``query`` (the entity's columns, and perhaps more) in chunks; gives their number.

    Raises ``StagingDefectError`` with column, check and count; never with values, which are personal data.
    """
    columns = [info.name for info in fields(entity)]
    schema = _row_schema(entity)
    reader = run_sql(connection, f"SELECT {', '.join(columns)} FROM ({query}) AS accepted", values).to_arrow_reader(
        ROWS_AT_ONCE
    )
    number = 0
    for batch in reader:
        frame = arrow.Table.from_batches([batch]).cast(_arrow_schema(entity)).to_pandas(types_mapper=pd.ArrowDtype)
        try:
            schema.validate(frame)
        except pa.errors.SchemaError as error:
            count = 0 if error.failure_cases is None else len(pd.DataFrame(error.failure_cases))
            column = getattr(error.schema, "name", None) or entity
            raise StagingDefectError(
                f"staging of {entity}: column {column} of accepted rows breaks the model's check {error.check} "
                f"({count} failures); nothing was staged: report this defect with the run's id"
            ) from None
        number += len(frame)
    _check_keys(connection, entity, query, values, number)
    return number


def _check_keys(
    connection: duckdb.DuckDBPyConnection, entity: str, query: str, values: Mapping[str, Any] | None, number: int
) -> None:
    """One row a key, over all chunks: the model's ``unique``."""
    keys = ", ".join(_unique(entity))
    row = run_sql(
        connection, f"SELECT count(*) FROM (SELECT DISTINCT {keys} FROM ({query}) AS accepted) AS keys", values
    ).fetchone()
    distinct = int(row[0]) if row else 0
    if distinct != number:
        raise StagingDefectError(
            f"staging of {entity}: {number - distinct} of {number} accepted rows repeat a key ({keys}); "
            "nothing was staged: report this defect with the run's id"
        )


def _unique(entity: str) -> list[str]:
    return [str(column) for column in MODELS[entity].to_schema().unique or []]


@cache
def _row_schema(entity: str) -> pa.DataFrameSchema:
    """The model without its ``unique``, which a chunk cannot tell."""
    schema = copy(MODELS[entity].to_schema())  # pandera keeps one schema a model: the model itself must not change
    schema.unique = None
    return schema


@cache
def _arrow_schema(entity: str) -> arrow.Schema:
    """The model's columns as Arrow types: DuckDB names the same types a little differently."""
    columns = MODELS[entity].to_schema().columns
    return arrow.schema([(str(name), spec.dtype.type.pyarrow_dtype) for name, spec in columns.items()])
