"""Partitions: dealer × month of the appointment, for backfills only. A tick never completes a month."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import dagster as dg

from autoflex_pipeline.sources.window import month_bounds, months_between

FIRST_MONTH = "2000-01"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
PARTITION = "dagster/partition"
"""The tags by which Dagster says which partitions a run is asked for."""

MONTHS_AHEAD = 25
"""Appointments may lie up to two years ahead; the month that is running counts too."""


def dealer_months(dealer_ids: Sequence[str]) -> dg.MultiPartitionsDefinition:
    """Dealer × month of the appointment's day, local to the dealer."""
    return dg.MultiPartitionsDefinition(
        {
            "dealer": dg.StaticPartitionsDefinition(list(dealer_ids)),
            "month": dg.MonthlyPartitionsDefinition(start_date=FIRST_MONTH, end_offset=MONTHS_AHEAD, fmt="%Y-%m"),
        }
    )


def partition_key(dealer_id: str, month: str) -> str:
    """The key of a dealer's month (YYYY-MM)."""
    return str(dg.MultiPartitionKey({"dealer": dealer_id, "month": month}))


def check_months(first: str, last: str, *, today: date) -> None:
    """ValueError when a month is none, the two stand in the wrong order, or one lies outside what can be backfilled."""
    months_between(first, last)
    if first < FIRST_MONTH:
        raise ValueError(f"{first} lies before {FIRST_MONTH}, the first month that can be backfilled")
    newest = months_between(f"{today:%Y-%m}", f"{today.year + 3:04d}-12")[MONTHS_AHEAD - 1]
    if last > newest:
        raise ValueError(f"{last} lies after {newest}, the last month that can be backfilled")


def months_by_dealer(keys: Iterable[str]) -> dict[str, list[tuple[date, date]]]:
    """Per dealer, first and last day of each month among the partition keys (``dealer|YYYY-MM``)."""
    months: dict[str, list[tuple[date, date]]] = {}
    for key in keys:
        dealer_id, _, month = key.partition("|")
        months.setdefault(dealer_id, []).append(month_bounds(month))
    return {dealer_id: sorted(spans) for dealer_id, spans in months.items()}
