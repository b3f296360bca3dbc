"""What is read from the DMS, verbatim."""

# Dagster reads annotations of configuration and resources as objects: no `from __future__ import annotations` here.

from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from autoflex_pipeline.orchestration.assets.stepping import ONE_RUN, OWNERS, Context, Materialized, run_context
from autoflex_pipeline.orchestration.metadata import raw_schema, read_metadata
from autoflex_pipeline.orchestration.partitions import dealer_months, months_by_dealer
from autoflex_pipeline.orchestration.resources import Installation, RunOptionsResource
from autoflex_pipeline.runs.asking import ReadReport
from autoflex_pipeline.runs.context import RunContext
from autoflex_pipeline.runs.orders import read_months, read_open_orders
from autoflex_pipeline.runs.parts import read_lines, read_relations, read_vehicles

RAW_ORDERS = ("open_orders", "orders_by_month")


def raw_assets(dealer_ids: Sequence[str]) -> list[dg.AssetsDefinition]:
    """What is read from the DMS, verbatim."""

    @dg.asset(
        deps=["autoflex"],
        group_name="raw",
        owners=OWNERS,
        backfill_policy=ONE_RUN,
        kinds={"duckdb"},
        metadata={"dagster/column_schema": raw_schema("order")},
    )
    def open_orders(
        context: Context, installation: dg.ResourceParam[Installation], options: RunOptionsResource
    ) -> Materialized:
        """Every open work order of each dealer, and by id those that left the open list: what a tick reads.

        Grain: one raw record per version of an order. Not partitioned: a tick never completes a month.
        """
        report = read_open_orders(run_context(context, installation, options))
        return dg.MaterializeResult(metadata=read_metadata(report))

    @dg.asset(
        deps=["autoflex"],
        group_name="raw",
        owners=OWNERS,
        backfill_policy=ONE_RUN,
        kinds={"duckdb"},
        partitions_def=dealer_months(dealer_ids),
        metadata={"dagster/column_schema": raw_schema("order")},
    )
    def orders_by_month(
        context: Context, installation: dg.ResourceParam[Installation], options: RunOptionsResource
    ) -> Materialized:
        """Every work order, billed or not, whose appointment lies in the months asked for: what a backfill reads.

        Grain: one raw record per version of an order. Partitioned dealer × month; any number of months is one run.
        """
        run = run_context(context, installation, options)
        report = read_months(run, months_by_dealer(context.partition_keys))
        return dg.MaterializeResult(metadata=read_metadata(report))

    def part_asset(
        name: str, raw: str, read: Callable[[RunContext], ReadReport], deps: Sequence[str], description: str
    ) -> Any:
        @dg.asset(
            name=name,
            deps=deps,
            group_name="raw",
            owners=OWNERS,
            backfill_policy=ONE_RUN,
            kinds={"duckdb"},
            description=description,
            metadata={"dagster/column_schema": raw_schema(raw)},
        )
        def part(
            context: Context, installation: dg.ResourceParam[Installation], options: RunOptionsResource
        ) -> Materialized:
            return dg.MaterializeResult(metadata=read_metadata(read(run_context(context, installation, options))))

        return part

    return [
        open_orders,
        orders_by_month,
        part_asset(
            "order_lines",
            "order_line",
            read_lines,
            RAW_ORDERS,
            "The lines of orders that are new or changed, and within a budget those of unchanged ones whose changes "
            "the DMS does not announce. Grain: one raw record per version of a line.",
        ),
        part_asset(
            "vehicles",
            "vehicle",
            read_vehicles,
            RAW_ORDERS,
            "The cars that new or changed orders refer to; those of today and tomorrow every 10 minutes. "
            "Grain: one raw record per version of a vehicle.",
        ),
        part_asset(
            "relations",
            "relation",
            read_relations,
            (*RAW_ORDERS, "vehicles"),
            "The contractors, drivers and owners that new or changed orders and cars refer to; those of today and "
            "tomorrow every 10 minutes. Grain: one raw record per version of a relation.",
        ),
    ]
