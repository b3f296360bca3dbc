"""The four validated entities with the documents made of them, and what was rejected."""

# Dagster reads annotations of configuration and resources as objects: no `from __future__ import annotations` here.

from collections.abc import Iterator
from time import monotonic

import dagster as dg

from autoflex_pipeline.lineage.columns import document_table, mapping_table
from autoflex_pipeline.model import MODELS
from autoflex_pipeline.orchestration.assets.raw import RAW_ORDERS
from autoflex_pipeline.orchestration.assets.stepping import ONE_RUN, Context, Materialized, run_context, seconds_since
from autoflex_pipeline.orchestration.checks import ACCOUNTS_CHECK, check_spec, entity_check_results, entity_check_specs
from autoflex_pipeline.orchestration.metadata import (
    column_lineage,
    document_schema,
    entity_metadata,
    table_schema,
    warehouse_schema,
)
from autoflex_pipeline.orchestration.pictures import bars
from autoflex_pipeline.orchestration.reports import quarantine_table
from autoflex_pipeline.orchestration.resources import Installation, RunOptionsResource
from autoflex_pipeline.quality.trends import rejections_by_day
from autoflex_pipeline.runs import steps
from autoflex_pipeline.runs.numbers import staged_view
from autoflex_pipeline.settings import OrchestrationSettings

ENTITY_DEPS = {
    "party": ("relations",),
    "car": ("vehicles", "party"),
    "appointment": (*RAW_ORDERS, "car"),
    "intervention": ("order_lines", "appointment"),
}


def staging_assets(settings: OrchestrationSettings) -> dg.AssetsDefinition:
    """The four validated entities and the documents made of them: one step, because they change in one transaction."""
    entities = [
        dg.AssetSpec(
            entity,
            deps=deps,
            metadata={
                "dagster/column_schema": table_schema(entity),
                "dagster/table_name": entity,
                "mapping": dg.MetadataValue.md(mapping_table(entity)),
            },
        )
        for entity, deps in ENTITY_DEPS.items()
    ]
    documents = dg.AssetSpec(
        "documents",
        deps=list(MODELS),
        metadata={
            "dagster/column_schema": document_schema(),
            "mapping": dg.MetadataValue.md(document_table()),
        },
    )

    @dg.multi_asset(
        name="staging",
        specs=[*entities, documents],
        check_specs=[spec for entity in MODELS for spec in entity_check_specs(entity, settings)],
        backfill_policy=ONE_RUN,
    )
    def stage(
        context: Context, installation: dg.ResourceParam[Installation], options: RunOptionsResource
    ) -> Iterator[Materialized]:
        run = run_context(context, installation, options)
        started = monotonic()
        staged = steps.stage(run)
        took = seconds_since(started)
        view = staged_view(run, staged)
        checks = entity_check_results(run.warehouse)
        for entity in ENTITY_DEPS:  # Dagster wants them in this order
            yield dg.MaterializeResult(
                asset_key=entity,
                metadata=entity_metadata(view, entity) | took | column_lineage(entity),
                check_results=[checks[entity]],
            )
        yield dg.MaterializeResult(
            asset_key="documents", metadata={"compared": staged.documents} | took | column_lineage("documents")
        )

    return stage


def quarantine_asset(settings: OrchestrationSettings) -> dg.AssetsDefinition:
    """What was rejected, with the check that nothing else is missing."""

    @dg.asset(
        deps=list(MODELS),
        backfill_policy=ONE_RUN,
        metadata={"dagster/column_schema": warehouse_schema("quarantine"), "dagster/table_name": "quarantine"},
        check_specs=[
            check_spec(
                settings,
                ACCOUNTS_CHECK,
                "quarantine",
                blocking=True,
                description=(
                    "For each dealer and kind of record of this run: extracted = accepted + unchanged + quarantined + "
                    "skipped. When it fails, staging lost or doubled records of the dealers that its description "
                    "names, which is a defect of this program: report it with the run's id. Nothing is sent for those "
                    "dealers. Blocking when the run has no other dealer; with others beside them it is a warning, and "
                    "those go on."
                ),
            )
        ],
    )
    def quarantine(
        context: Context, installation: dg.ResourceParam[Installation], options: RunOptionsResource
    ) -> Materialized:
        """Count what is in quarantine, and check that nothing vanished on the way there."""
        run = run_context(context, installation, options)
        with run.warehouse.open() as connection:
            table, total = quarantine_table(connection)
            rejections = rejections_by_day(connection, run.clock())
        accounted = steps.account(run)
        unbalanced = ", ".join(accounted.unbalanced)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": total,
                "by_rule": table,
                "reasons_by_day": bars("Newly rejected", rejections),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name=ACCOUNTS_CHECK,
                    passed=not unbalanced,
                    # A warning does not block.
                    severity=dg.AssetCheckSeverity.ERROR if accounted.ends_run else dg.AssetCheckSeverity.WARN,
                    description=f"does not add up for: {unbalanced}" if unbalanced else None,
                )
            ],
        )

    return quarantine
