"""A trace starts fast: it imports nothing heavy, and leaves pandas to those who make frames."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("dagster", "pandas", "pandera", "sqlalchemy", "pyarrow", "httpx")


def imported_by(program: str) -> set[str]:
    code = f"{program}\nimport sys\nprint(*[name for name in {HEAVY!r} if sys.modules.get(name)])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_the_command_and_its_queries_import_nothing_heavy() -> None:
    program = """
from autoflex_pipeline.cli import app, trace
from autoflex_pipeline.lineage import forward, stores
from autoflex_pipeline.lineage import trace as tracing
with trace._without_pandas(), stores.empty_copy() as connection:
    connection.execute("SELECT ?::TIMESTAMPTZ", ["2026-11-24"]).fetchall()
"""
    assert imported_by(program) == set()


def test_pandas_is_there_again_afterwards() -> None:
    program = """
import duckdb
from autoflex_pipeline.cli import trace
with trace._without_pandas():
    duckdb.connect().execute("SELECT ?", ["a"]).fetchall()
import pandas
assert len(duckdb.connect().execute("SELECT 1 AS a").df()) == 1
"""
    assert "pandas" in imported_by(program)
