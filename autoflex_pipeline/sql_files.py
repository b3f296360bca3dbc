"""SQL files: statements found by the name in the comment above them, run with the values that they name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import duckdb


@cache
def named_sql(file: str) -> dict[str, str]:
    """The parts of a .sql file by name; the file as seen from this package, such as ``staging/stage.sql``."""
    text = files(__package__).joinpath(file).read_text("utf-8")
    parts = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)[1:]
    return {name: sql.strip().rstrip(";") for name, sql in zip(parts[::2], parts[1::2], strict=True)}


def literal(text: str) -> str:
    """``text`` as SQL writes it, for statements that take no bound values, such as ATTACH and COMMENT."""
    return "'" + text.replace("'", "''") + "'"


def run_sql(
    connection: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Any] | None = None
) -> duckdb.DuckDBPyConnection:
    """Run every statement of ``sql``, each with those of ``values`` that it names; the last one's result is open."""
    values = values or {}
    for statement in connection.extract_statements(sql):
        connection.execute(statement, {name: values[name] for name in statement.named_parameters})
    return connection
