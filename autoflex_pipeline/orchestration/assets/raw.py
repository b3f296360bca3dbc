"""What is read from the DMS, verbatim."""

# Dagster reads annotations of configuration and resources as objects: no `from __future__ import annotations` here.

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

import dagster as dg

from autoflex_pipeline.orchestration.assets.stepping import (
    ONE_RUN,
    Context,
    Materialized,
    asked_months,
    run_context,
    seconds_since,
)
from autoflex_pipeline.orchestration.metadata import raw_schema, read_metadata
from autoflex_pipeline.orchestration.months import BY_MONTH, NOT_A_MATERIALIZATION, month_events
from autoflex_pipeline.orchestration.partitions import dealer_months
from autoflex_pipeline.orchestration.resources import Installation, RunOptionsResource
from autoflex_pipeline.runs.asking import ReadReport
from autoflex_pipeline.runs.context import RunContext
from autoflex_pipeline.runs.orders import read_months, read_open_orders
from autoflex_pipeline.runs.parts import read_lines, read_relations, read_vehicles

RAW_ORDERS = ("open_orders", BY_MONTH)


def raw_assets(dealer_ids: Sequence[str]) -> list[dg.AssetsDefinition]:
    """What is read from the DMS, verbatim."""

    @dg.asset(
        deps=["autoflex"],
        backfill_policy=ONE_RUN,
        metadata={"dagster/column_schema": raw_schema("order")},
    )
    def open_orders(
        context: Context, installation: dg.ResourceParam[Installation], options: RunOptionsResource
    ) -> Materialized:
        started = monotonic()
        report = read_open_orders(run_context(context, installation, options))
        return dg.MaterializeResult(metadata=read_metadata(report) | seconds_since(started))

    @dg.asset(
        deps=["autoflex"],
        backfill_policy=ONE_RUN,
        partitions_def=dealer_months(dealer_ids),
        metadata={"dagster/column_schema": raw_schema("order")},
    )
    def orders_by_month(
        context: Context, installation: dg.ResourceParam[Installation], options: RunOptionsResource
    ) -> Materialized:
        started = monotonic()
        run = run_context(context, installation, options)
        report = read_months(run, asked_months(context, installation))
        for event in month_events(BY_MONTH, report.months):
            context.log_event(event)
        for read in report.months:
            context.log.info(read.told)
            if installation.on_month:
                installation.on_month(read)
        context.log_event(dg.AssetObservation(BY_MONTH, metadata=read_metadata(report) | seconds_since(started)))
        return dg.MaterializeResult(metadata=NOT_A_MATERIALIZATION)

    def part_asset(name: str, raw: str, read: Callable[[RunContext], ReadReport], deps: Sequence[str]) -> Any:
        @dg.asset(
            name=name,
            deps=deps,
            backfill_policy=ONE_RUN,
            metadata={"dagster/column_schema": raw_schema(raw)},
        )
        def part(
            context: Context, installation: dg.ResourceParam[Installation], options: RunOptionsResource
        ) -> Materialized:
            started = monotonic()
            report = read(run_context(context, installation, options))
            return dg.MaterializeResult(metadata=read_metadata(report) | seconds_since(started))

        return part

    return [
        open_orders,
        orders_by_month,
        part_asset("order_lines", "order_line", read_lines, RAW_ORDERS),
        part_asset("vehicles", "vehicle", read_vehicles, RAW_ORDERS),
        part_asset("relations", "relation", read_relations, (*RAW_ORDERS, "vehicles")),
    ]
