from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from autoflex_pipeline.settings import Settings
from autoflex_pipeline.warehouse.analyst_tables import published_tables
from autoflex_pipeline.warehouse.dictionary import with_dictionary
from autoflex_pipeline.warehouse.publishing import publish
from autoflex_pipeline_tests.unit.warehouse.planted import KEY, KEY_VARIABLE, NOW, settings_in, warehouse_of

PAGE = Path(__file__).parents[3] / "docs" / "analysts.md"
TEXT = PAGE.read_text(encoding="utf-8")
QUERY = re.compile(r"^(\S[^\n]*)\n```sql\n(.+?)```", re.MULTILINE | re.DOTALL)
QUERIES = {re.split("[:.]", title)[0]: sql for title, sql in QUERY.findall(TEXT)}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A published copy of half a year of a plausible workshop."""
    settings = settings_in(tmp_path_factory.mktemp("analysts"))
    warehouse = warehouse_of(settings)
    with warehouse.open() as connection:
        connection.execute(Path(__file__).with_name("plausible.sql").read_text(encoding="utf-8"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, KEY)
        publish(settings, warehouse, run_id="run-1", now=NOW)
    return settings


@pytest.fixture
def analytics(published: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(published.warehouse.analytics_path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'Europe/Amsterdam'")
        yield connection


def test_the_dictionary_on_the_page_is_that_of_the_declarations() -> None:
    message = "write it anew: python -m autoflex_pipeline.warehouse.dictionary docs/analysts.md"
    assert with_dictionary(TEXT) == TEXT, message


def test_the_page_has_at_least_ten_queries() -> None:
    assert len(QUERIES) >= 10


@pytest.mark.parametrize("title", QUERIES)
def test_the_query_runs_as_it_stands_and_finds_something(analytics: duckdb.DuckDBPyConnection, title: str) -> None:
    rows = analytics.execute(QUERIES[title]).fetchall()
    assert rows
    assert any(value is not None for value in rows[0])


def test_the_answers_are_right(analytics: duckdb.DuckDBPyConnection) -> None:
    def answer(title: str) -> list[Any]:
        return analytics.execute(QUERIES[title]).fetchall()

    def total(sql: str) -> object:
        row = analytics.execute(sql).fetchone()
        assert row is not None
        return row[0]

    [(_, entity, rule, field, records, longest, _)] = answer("Quarantine")
    assert (entity, rule, field, records) == ("intervention", "title_empty", "title", 3)
    assert timedelta(days=4) < longest < timedelta(days=5)
    assert sum(Decimal(str(row[2])) for row in answer("Turnover per month")) == total(
        "SELECT sum(price) FROM intervention WHERE appointment_dms_number IN "
        "(SELECT dms_number FROM appointment WHERE is_billed AND NOT is_internal AND NOT is_canceled)"
    )
    assert len(answer("Orders without lines")) == 7
    assert len(answer("History")) == 2
    assert answer("Which fields change most in Claire") == [("interventions[].price", 30)]


def test_every_table_of_the_page_is_in_the_file(analytics: duckdb.DuckDBPyConnection) -> None:
    shown = set(re.findall(r"^### (\w+)$", TEXT, re.M))
    there = {row[0] for row in analytics.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    assert shown == there == {table.name for table in published_tables()}


def test_the_comments_query_of_the_page_explains_every_column(analytics: duckdb.DuckDBPyConnection) -> None:
    [query] = re.findall(r"`(SELECT table_name, column_name, comment [^`]+)`", TEXT)
    rows = analytics.execute(query).fetchall()
    assert len(rows) == sum(len(table.columns) for table in published_tables())
    assert all(comment for _, _, comment in rows)


def test_the_python_of_the_page_gives_a_pandas_table(published: Settings) -> None:
    [program] = re.findall(r"```python\n(.+?)```", TEXT, re.S)
    folder = published.warehouse.analytics_path.parent
    names: dict[str, Any] = {}
    exec(program.replace("data/analytics.duckdb", str(folder / "analytics.duckdb")), names)
    assert list(names["workload"].columns) == ["appointment_date", "orders"]
    assert names["workload"].orders.sum() == 120


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="each once"):
        with_dictionary("# no marks")
