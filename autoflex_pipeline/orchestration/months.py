"""The grid of dealer × month: which cells of a backfill become green, and what is said of those that do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
from dagster._core.storage.tags import MULTIDIMENSIONAL_PARTITION_PREFIX

from autoflex_pipeline.orchestration.partitions import partition_key
from autoflex_pipeline.runs.asking import ReadReport
from autoflex_pipeline.sources.months import MonthRead

NOT_A_MATERIALIZATION = {SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True}
"""Metadata of an output that Dagster makes no event of. Else an asset's output paints every month of its run green;
leaving the output out would skip the steps after it, and they have to stage what the other months brought (1.13)."""

CHECK = "months_read_whole"


def month_events(asset: str, months: Sequence[MonthRead]) -> Iterator[dg.AssetMaterialization | dg.AssetObservation]:
    """A materialization for each month that was read whole; for another one an observation that says why not."""
    for read in months:
        partition = partition_key(read.dealer_id, read.month)
        dimensions = {"dealer": read.dealer_id, "month": read.month}
        tags = {f"{MULTIDIMENSIONAL_PARTITION_PREFIX}{name}": value for name, value in dimensions.items()}
        if read.is_complete:
            counts = {"dagster/partition_row_count": read.orders, "orders": read.orders}
            yield dg.AssetMaterialization(asset, partition=partition, tags=tags, metadata=counts)
        else:
            yield dg.AssetObservation(
                asset,
                partition=partition,
                tags=tags,
                metadata={"orders_so_far": read.orders, "why": str(read.error)},
                description="This month was not read whole. Launch the missing months again: what came is kept.",
            )


def months_check_spec(asset: str) -> dg.AssetCheckSpec:
    """The check that every month of a backfill was read whole."""
    return dg.AssetCheckSpec(
        CHECK,
        asset=asset,
        description=(
            "Every month that the last backfill was asked for was read whole. When it fails, its metadata names the "
            "months and why; what came is staged all the same. Launch the missing months again when the cause is gone."
        ),
    )


def months_check(report: ReadReport, metadata: Mapping[str, Any]) -> dg.AssetCheckResult:
    """Whether all were read whole; with a row per month, and what the reading cost."""
    broken = [read for read in report.months if not read.is_complete]
    rows = [
        dg.TableRecord(
            {
                "dealer": read.dealer_id,
                "month": read.month,
                "orders": read.orders,
                "read_whole": "yes" if read.is_complete else "NO",
                "why": read.error or "",
            }
        )
        for read in report.months
    ]
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=not broken,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{len(broken)} of {len(rows)} months were not read whole" if broken else None,
        metadata={
            **metadata,
            "months": len(rows),
            "months_not_whole": len(broken),
            "grid": dg.MetadataValue.table(rows),
        },
    )
