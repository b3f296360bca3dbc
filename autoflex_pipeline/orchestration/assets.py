"""The assets, in the order in which a record passes them. Each body is one step of a run."""

# Dagster reads annotations of configuration and resources as objects: no `from __future__ import annotations` here.

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from typing import TYPE_CHECKING, Any, TypeAlias

import dagster as dg

from autoflex_pipeline.errors import PipelineError
from autoflex_pipeline.lineage.columns import document_table, mapping_table
from autoflex_pipeline.model import MODELS
from autoflex_pipeline.orchestration.checks import (
    dealer_check_results,
    dealer_check_specs,
    entity_check_results,
    entity_check_specs,
)
from autoflex_pipeline.orchestration.metadata import (
    column_lineage,
    counts_metadata,
    document_schema,
    raw_schema,
    read_metadata,
    table_schema,
)
from autoflex_pipeline.orchestration.partitions import (
    PARTITION,
    RANGE_END,
    RANGE_START,
    dealer_months,
    months_by_dealer,
)
from autoflex_pipeline.orchestration.reports import quarantine_table
from autoflex_pipeline.orchestration.resources import Installation, RunOptionsResource, failure
from autoflex_pipeline.runs import steps
from autoflex_pipeline.runs.accounts import check_accounts
from autoflex_pipeline.runs.asking import ReadReport
from autoflex_pipeline.runs.closing import close_run
from autoflex_pipeline.runs.context import RunContext
from autoflex_pipeline.runs.orders import read_months, read_open_orders
from autoflex_pipeline.runs.parts import read_lines, read_relations, read_vehicles
from autoflex_pipeline.runs.publishing import publish_when_due
from autoflex_pipeline.staging import StageCounts

OWNERS = ["team:data"]

ONE_RUN = dg.BackfillPolicy.single_run()
"""Any number of months is one run: of every asset of the job, or Dagster starts a run for each month."""

RAW_ORDERS = ("open_orders", "orders_by_month")

Context = dg.AssetExecutionContext
if TYPE_CHECKING:
    Materialized: TypeAlias = dg.MaterializeResult[Any]
else:
    Materialized = dg.MaterializeResult  # Dagster knows the bare class only


def _run_context(context: Context, installation: Installation, options: RunOptionsResource) -> RunContext:
    """The run as the steps know it; a window when the run was asked for months."""
    name = context.op_execution_context.op_handle.name
    if installation.on_step:
        installation.on_step(name)
    try:
        chosen = options.options(_window(context))
        if chosen.window and not chosen.dealers:
            chosen = replace(chosen, dealers=_dealers_of_months(context, installation))
        return installation.run_context(context.run.run_id, chosen)
    except PipelineError as error:
        raise failure(error) from None


def _dealers_of_months(context: Context, installation: Installation) -> tuple[str, ...]:
    """The dealers whose months the run was asked for: no other dealer is touched by it."""
    ids = installation.settings.dealer_ids
    places = [ids.index(dealer_id) for dealer_id in months_by_dealer(_asked_keys(context))]
    return ids[min(places) : max(places) + 1]


def _asked_keys(context: Context) -> list[str]:
    """The partition keys in the run's tags: one, or the first and the last of a range."""
    tags = context.run.tags
    return [tags[tag] for tag in (RANGE_START, RANGE_END, PARTITION) if tag in tags]


def _window(context: Context) -> tuple[date, date] | None:
    """First and last day of the months that the run was asked for; None for a tick."""
    spans = [span for months in months_by_dealer(_asked_keys(context)).values() for span in months]
    return (min(span[0] for span in spans), max(span[1] for span in spans)) if spans else None


def external_assets() -> list[dg.AssetSpec]:
    """The systems at both ends, which this product does not run."""
    return [
        dg.AssetSpec(
            "autoflex",
            group_name="systems",
            owners=OWNERS,
            kinds={"api"},
            description="The dealers' DMS, Autoflex 10: orders, lines, vehicles and relations behind its REST API.",
        ),
        dg.AssetSpec(
            "claire",
            deps=["claire_deliveries"],
            group_name="systems",
            owners=OWNERS,
            kinds={"api"},
            description="Claire, the workshop platform at the reception desk: it holds what was delivered to it.",
        ),
    ]


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
        report = read_open_orders(_run_context(context, installation, options))
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
        run = _run_context(context, installation, options)
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
            return dg.MaterializeResult(metadata=read_metadata(read(_run_context(context, installation, options))))

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


ENTITY_DEPS = {
    "party": ("relations",),
    "car": ("vehicles", "party"),
    "appointment": (*RAW_ORDERS, "car"),
    "intervention": ("order_lines", "appointment"),
}


def staging_assets() -> dg.AssetsDefinition:
    """The four validated entities and the documents made of them: one step, because they change in one transaction."""
    entities = [
        dg.AssetSpec(
            entity,
            deps=deps,
            group_name="staging",
            owners=OWNERS,
            kinds={"duckdb", "pandera"},
            description=(
                f"{(MODELS[entity].__doc__ or '').strip()} The newest accepted version of each; older ones are in "
                f"{entity}_history. Rows that break a rule wait in quarantine while their last good version stays."
            ),
            metadata={
                "dagster/column_schema": table_schema(entity),
                "mapping": dg.MetadataValue.md(mapping_table(entity)),
            },
        )
        for entity, deps in ENTITY_DEPS.items()
    ]
    documents = dg.AssetSpec(
        "documents",
        deps=list(MODELS),
        group_name="claire",
        owners=OWNERS,
        kinds={"duckdb"},
        description=(
            "The appointment documents that Claire should hold: car, customers and interventions nested, in DMS order. "
            "Grain: one per appointment. Only those that may have changed are made anew; each is known by its hash."
        ),
        metadata={
            "dagster/column_schema": document_schema(),
            "mapping": dg.MetadataValue.md(document_table()),
        },
    )

    @dg.multi_asset(
        name="staging",
        specs=[*entities, documents],
        check_specs=[spec for entity in MODELS for spec in entity_check_specs(entity)],
        backfill_policy=ONE_RUN,
    )
    def stage(
        context: Context, installation: dg.ResourceParam[Installation], options: RunOptionsResource
    ) -> Iterator[Materialized]:
        run = _run_context(context, installation, options)
        staged = steps.stage(run)
        checks = entity_check_results(run.warehouse, staged.counts)
        for entity, counts in staged.counts.items():
            yield dg.MaterializeResult(
                asset_key=entity,
                metadata=counts_metadata(_by_dealer(counts)) | column_lineage(entity),
                check_results=checks[entity],
            )
        yield dg.MaterializeResult(
            asset_key="documents", metadata={"compared": staged.documents} | column_lineage("documents")
        )

    return stage


def _by_dealer(counts: Mapping[str, StageCounts]) -> dict[str, dict[str, int]]:
    return {dealer_id: asdict(count) for dealer_id, count in counts.items()}


@dg.asset(
    deps=list(MODELS),
    group_name="staging",
    owners=OWNERS,
    backfill_policy=ONE_RUN,
    kinds={"duckdb"},
    check_specs=[
        dg.AssetCheckSpec(
            "nothing_vanishes",
            asset="quarantine",
            blocking=True,
            description=(
                "For each dealer and kind of record of this run: extracted = accepted + unchanged + quarantined + "
                "skipped. Blocking: when it fails, staging lost or doubled records, which is a defect of this program."
            ),
        )
    ],
)
def quarantine(
    context: Context, installation: dg.ResourceParam[Installation], options: RunOptionsResource
) -> Materialized:
    """What was rejected, with rule, field, value and hint; each row heals by itself when the DMS is corrected.

    Grain: one row per rejected record and rule. `autoflex-pipeline quarantine list` shows the values; here are counts.
    """
    run = _run_context(context, installation, options)
    with run.warehouse.open() as connection:
        table, total = quarantine_table(connection)
    unbalanced = check_accounts(run)
    return dg.MaterializeResult(
        metadata={"dagster/row_count": total, "by_rule": table},
        check_results=[
            dg.AssetCheckResult(
                check_name="nothing_vanishes",
                passed=not unbalanced,
                severity=dg.AssetCheckSeverity.ERROR,
                description=f"does not add up for: {', '.join(unbalanced)}" if unbalanced else None,
            )
        ],
    )


def delivery_asset(dealer_ids: Sequence[str]) -> dg.AssetsDefinition:
    """The sink, with one check per dealer."""

    @dg.asset(
        deps=["documents", "quarantine"],
        group_name="claire",
        owners=OWNERS,
        backfill_policy=ONE_RUN,
        kinds={"api"},
        check_specs=dealer_check_specs(dealer_ids, "claire_deliveries"),
    )
    def claire_deliveries(
        context: Context, installation: dg.ResourceParam[Installation], options: RunOptionsResource
    ) -> Materialized:
        """What differs from what Claire acknowledged last is sent, effectively once; the ledger keeps every attempt.

        Grain: one attempt per document. A dealer that failed has a failing check here; the others are not touched.
        """
        run = _run_context(context, installation, options)
        deliveries = steps.deliver(run)
        summaries = close_run(run, deliveries)
        counts = {dealer_id: summary["delivery"] for dealer_id, summary in summaries.items()}
        retries = sum(delivery.retries for delivery in deliveries.values())
        return dg.MaterializeResult(
            metadata=counts_metadata(counts) | {"retries": retries, "dry_run": run.options.dry_run},
            check_results=dealer_check_results(run.state, dealer_ids),
        )

    return claire_deliveries


@dg.asset(
    deps=["claire_deliveries", "quarantine", *MODELS],
    group_name="analysts",
    owners=OWNERS,
    backfill_policy=ONE_RUN,
    kinds={"duckdb"},
)
def analytics(
    context: Context, installation: dg.ResourceParam[Installation], options: RunOptionsResource
) -> Materialized:
    """The analysts' DuckDB: a pseudonymised, consistent copy, replaced atomically; see docs/analysts.md.

    Published at the end of a command that changed something, and by the schedule at most every five minutes.
    """
    published = publish_when_due(
        _run_context(context, installation, options), from_command_line=options.from_command_line
    )
    if published is None:
        return dg.MaterializeResult(metadata={"published": False})
    return dg.MaterializeResult(
        metadata={
            "published": True,
            "dagster/row_count": sum(published.rows.values()),
            "bytes": published.bytes,
            "seconds": published.seconds,
            "as_of": dg.MetadataValue.timestamp(published.as_of),
        }
    )


def all_assets(dealer_ids: Sequence[str]) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """Every asset of the product."""
    return [
        *external_assets(),
        *raw_assets(dealer_ids),
        staging_assets(),
        quarantine,
        delivery_asset(dealer_ids),
        analytics,
    ]
