"""Which work orders a person means: a WO number, a DMS number or a plate, however it is typed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import duckdb

from autoflex_pipeline.model import dms_name
from autoflex_pipeline.sql_files import named_sql

NEAR = 5


@dataclass(frozen=True, slots=True)
class Searched:
    """What was looked through when nothing was found, and what comes near: {kind, value}, nearest first."""

    orders: int
    cars: int
    near: tuple[tuple[str, str], ...]
    other_dealers: tuple[str, ...]


def signs(text: str) -> str:
    """Letters and digits in capitals: ``12-ab-3c`` and ``12 AB 3C`` are one plate."""
    return re.sub(r"[\s\-./]", "", text).upper()


def matching_orders(connection: duckdb.DuckDBPyConnection, dealer_id: str, query: str) -> list[str]:
    """The DMS numbers of the orders that ``query`` means, newest appointment first; the warehouse is attached.

    What is written exactly so goes before what merely has the same letters and digits. Then what was called so
    earlier; then orders that never came into staging.
    """
    values = {"dealer": dealer_id, "text": query.strip().upper(), "signs": signs(query)}
    if not values["signs"]:
        return []
    found = _ask(connection, "staged", values)
    if any(is_exact for _, is_exact in found):
        found = [(number, is_exact) for number, is_exact in found if is_exact]
    numbers = [number for number, _ in found]
    if not numbers:
        numbers = [number for (number,) in _ask(connection, "staged_before", values)]
    if not numbers:
        _ask(connection, "unstaged", values)
        numbers = [number for (number,) in _ask(connection, "never_staged", values)]
    return numbers


def searched(connection: duckdb.DuckDBPyConnection, dealer_id: str, query: str) -> Searched:
    """What there is to find for the dealer, and what is nearly ``query``; the warehouse is attached."""
    values: dict[str, Any] = {
        "dealer": dealer_id,
        "text": query.strip().upper(),
        "signs": signs(query),
        "most": NEAR,
    }
    orders, cars = _ask(connection, "counted", values)[0]
    others = tuple(dealer for (dealer,) in _ask(connection, "other_dealers", values))
    near = tuple((kind, value) for kind, value in _ask(connection, "near", values))
    return Searched(orders, cars, near, others)


def _ask(connection: duckdb.DuckDBPyConnection, name: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run a statement with those of ``values`` that it names."""
    # The DMS's own name comes from the declaration: no field is mapped here a second time.
    sql = named_sql("lineage/matching.sql")[name].replace("{wo_number}", dms_name("appointment", "wo_number"))
    return connection.execute(sql, {key: value for key, value in values.items() if f"${key}" in sql}).fetchall()
