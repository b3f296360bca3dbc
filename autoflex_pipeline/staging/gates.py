"""The model's checks as SQL over a whole table: what the asset checks show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb

from autoflex_pipeline.model import MODELS

_CHECKS: dict[str, Callable[[str, dict[str, Any]], str]] = {
    "greater_than_or_equal_to": lambda column, of: f"{column} < {of['min_value']}",
    "less_than_or_equal_to": lambda column, of: f"{column} > {of['max_value']}",
    "str_length": lambda column, of: f"length({column}) < {of.get('min_value') or 0}",
}
"""How each of pandera's checks that the models use fails, in SQL. A new one used there is to be added here."""


def model_violations(connection: duckdb.DuckDBPyConnection, entity: str) -> list[dict[str, Any]]:
    """Each check of the entity's model with the number of rows of its table that break it, in one scan."""
    failing = _failing_rows(entity)
    counts = ", ".join(f"count(*) FILTER ({sql})" for sql in failing.values())
    row = connection.execute(f"SELECT {counts} FROM {entity}").fetchone() or ()
    found = [{"check": check, "failures": int(count)} for check, count in zip(failing, row, strict=True)]
    keys = ", ".join(map(str, MODELS[entity].to_schema().unique or []))
    twice = connection.execute(f"SELECT count(*) - count(DISTINCT ({keys})) FROM {entity}").fetchone()
    return [*found, {"check": f"unique({keys})", "failures": int(twice[0]) if twice else 0}]


def _failing_rows(entity: str) -> dict[str, str]:
    """The SQL of a failure by the name of the check, such as ``dms_mileage: greater_than_or_equal_to(0)``."""
    failing = {}
    for column, spec in MODELS[entity].to_schema().columns.items():
        if not spec.nullable:
            failing[f"{column}: not_null"] = f"{column} IS NULL"
        for check in spec.checks:
            shown = ", ".join(str(value) for value in check.statistics.values() if value is not None)
            failing[f"{column}: {check.name}({shown})"] = _CHECKS[check.name](str(column), check.statistics)
    return failing
