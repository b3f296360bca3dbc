"""The grid of dealer × month: which cells of a backfill become green, and what is said of those that do not."""

# Dagster reads annotations of configuration and resources as objects: no `from __future__ import annotations` here.

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

import dagster as dg
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
from dagster._core.storage.tags import MULTIDIMENSIONAL_PARTITION_PREFIX

from autoflex_pipeline.orchestration.checks import check_spec
from autoflex_pipeline.orchestration.partitions import partition_key
from autoflex_pipeline.orchestration.resources import Installation
from autoflex_pipeline.settings import OrchestrationSettings
from autoflex_pipeline.sources.months import MonthRead, months_of_run

if TYPE_CHECKING:
    Judged: TypeAlias = Iterator[dg.AssetCheckResult]
else:
    Judged = Iterator

BY_MONTH = "orders_by_month"

NOT_A_MATERIALIZATION = {SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True}
"""Metadata of an output that Dagster makes no event of. Else an asset's output paints every month of its run green;
leaving the output out would skip the steps after it, and they have to stage what the other months brought (1.13)."""

CHECK = "months_read_whole"
"""It fails the run at its end; what the run did before stays."""


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
                description="This month was not read whole. Launch the failed months again: what came is kept.",
            )


def months_check(settings: OrchestrationSettings) -> dg.AssetChecksDefinition:
    """Whether every month that a backfill was asked for was read whole: its last step, so that all else is done."""
    spec = check_spec(
        settings,
        CHECK,
        BY_MONTH,
        description=(
            "Every month that the last backfill was asked for was read whole. When it fails, its metadata names the "
            "months and why, and the run ends as failed, which paints their cells red; what came is staged all the "
            "same. Launch the failed months again when the cause is gone."
        ),
    )

    @dg.multi_asset_check(
        name=CHECK,
        specs=[spec],
        op_tags={"dagster/priority": "-2"},
        description="Judges the months of a backfill when all else is done. Reads the warehouse only.",
    )
    def judge(context: dg.AssetCheckExecutionContext, installation: dg.ResourceParam[Installation]) -> Judged:
        with installation.warehouse.open() as connection:
            read = months_of_run(connection, context.run.run_id)
        result = _judged(read)
        yield result
        if not result.passed:
            # Dagster paints a cell red only when the run that was to fill it has failed (1.13).
            raise dg.Failure(f"{result.description}; what came is staged: launch them again", allow_retries=False)

    return judge


def _judged(months: Sequence[MonthRead]) -> dg.AssetCheckResult:
    """The answer, with a row per month."""
    broken = [read for read in months if not read.is_complete]
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
        for read in months
    ]
    return dg.AssetCheckResult(
        asset_key=BY_MONTH,
        check_name=CHECK,
        passed=not broken,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{len(broken)} of {len(rows)} months were not read whole" if broken else None,
        metadata={
            "months": len(rows),
            "months_not_whole": len(broken),
            "grid": dg.MetadataValue.table(rows),
        },
    )
