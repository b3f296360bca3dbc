"""Which months of a dealer were read whole, and which were not: what the next backfill is resumed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from importlib.resources import files
from typing import Any

import duckdb

COMPLETE = "complete"
"""The state of a month that the last backfill read whole."""


@dataclass(frozen=True, slots=True)
class MonthRead:
    """How the reading of one month (YYYY-MM) of a dealer went: its orders, and why it is not whole (None: it is)."""

    dealer_id: str
    month: str
    orders: int
    error: str | None

    @property
    def is_complete(self) -> bool:
        """Whether every work order of the month was read."""
        return self.error is None

    @property
    def told(self) -> str:
        """One line for people."""
        if self.is_complete:
            return f"{self.dealer_id} {self.month}: read whole, {self.orders} orders"
        return f"{self.dealer_id} {self.month}: NOT read whole, {self.orders} orders so far: {self.error}"


def month_of(day: date) -> str:
    """The month that a day lies in."""
    return f"{day:%Y-%m}"


def note_months(
    connection: duckdb.DuckDBPyConnection, months: Sequence[MonthRead], *, run_id: str, now: datetime
) -> None:
    """Remember how the reading went; a month that was once read whole stays so when a later reading breaks off."""
    for read in months:
        values = {"dealer": read.dealer_id, "month": read.month}
        known = connection.execute(
            "DELETE FROM backfilled_month WHERE dealer_id = $dealer AND month = $month RETURNING completed_at, orders",
            values,
        ).fetchone()
        completed_at, orders = (now, read.orders) if read.is_complete else known or (None, None)
        connection.execute(
            "INSERT INTO backfilled_month BY NAME SELECT $dealer AS dealer_id, $month AS month, $now AS tried_at, "
            "$completed AS completed_at, $orders AS orders, $error AS error, $run AS run_id",
            values | {"now": now, "completed": completed_at, "orders": orders, "error": read.error, "run": run_id},
        )


def months_of_run(connection: duckdb.DuckDBPyConnection, run_id: str) -> list[MonthRead]:
    """How the months went that this run was asked for; a month that it did not read whole has the orders of an earlier
    whole reading, else 0.
    """
    rows = connection.execute(
        "SELECT dealer_id, month, coalesce(orders, 0), error FROM backfilled_month WHERE run_id = ? ORDER BY 1, 2",
        [run_id],
    ).fetchall()
    return [MonthRead(*row) for row in rows]


def months_grid(connection: duckdb.DuckDBPyConnection, dealer_id: str, months: Sequence[str]) -> list[dict[str, Any]]:
    """A row per month of the dealer, in order, with what backfills and ticks have brought of it.

    ``state``: complete, failed (the last try did not read it whole, and no earlier one did), stale (an earlier one did)
    or never. ``orders`` are those of the last whole reading; ``staged`` and ``without_lines`` are counted now.
    """
    query = files(__package__).joinpath("months.sql").read_text("utf-8")
    cursor = connection.execute(query, {"dealer": dealer_id, "months": list(months)})
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
