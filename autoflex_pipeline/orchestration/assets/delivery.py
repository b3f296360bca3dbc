"""The sink, and the copy for analysts."""

# Dagster reads annotations of configuration and resources as objects: no `from __future__ import annotations` here.

from collections.abc import Sequence
from dataclasses import replace
from time import monotonic

import dagster as dg

from autoflex_pipeline.model import MODELS
from autoflex_pipeline.orchestration.assets.stepping import ONE_RUN, Context, Materialized, run_context, seconds_since
from autoflex_pipeline.orchestration.checks import dealer_check_results, dealer_check_specs
from autoflex_pipeline.orchestration.metadata import delivery_metadata, published_tables_shown, warehouse_schema
from autoflex_pipeline.orchestration.preview import REPORT, preview_metadata
from autoflex_pipeline.orchestration.reports import resend_report
from autoflex_pipeline.orchestration.resources import Installation, RunOptionsResource
from autoflex_pipeline.orchestration.status_job import status_report
from autoflex_pipeline.runs import steps
from autoflex_pipeline.runs.closing import close_run
from autoflex_pipeline.runs.numbers import delivered_view
from autoflex_pipeline.runs.publishing import publish_when_due
from autoflex_pipeline.runs.resending import resent
from autoflex_pipeline.settings import OrchestrationSettings


def delivery_asset(dealer_ids: Sequence[str], settings: OrchestrationSettings) -> dg.AssetsDefinition:
    """The sink, with one check per dealer."""

    @dg.asset(
        deps=["documents", "quarantine"],
        backfill_policy=ONE_RUN,
        metadata={"dagster/column_schema": warehouse_schema("delivery"), "dagster/table_name": "delivery"},
        check_specs=dealer_check_specs(dealer_ids, "claire_deliveries", settings),
    )
    def claire_deliveries(
        context: Context, installation: dg.ResourceParam[Installation], options: RunOptionsResource
    ) -> Materialized:
        """Send, close the run for each dealer, and judge each dealer."""
        started = monotonic()
        run = run_context(context, installation, options)
        deliveries = steps.deliver(run)
        summaries = close_run(run, deliveries)
        if run.options.dry_run:
            metadata = preview_metadata(installation.settings, deliveries)
            context.log_event(dg.AssetMaterialization(REPORT, metadata=metadata))
        elif run.options.numbers:
            (dealer,) = run.dealers
            context.log_event(resend_report(dealer, resent(run, dealer.id, run.options.numbers)))
        if not run.options.dry_run:
            context.log_event(status_report(installation))
        counts = {dealer_id: summary["delivery"] for dealer_id, summary in summaries.items()}
        return dg.MaterializeResult(
            metadata={
                **delivery_metadata(delivered_view(run, deliveries), counts),
                **seconds_since(started),
                "dry_run": run.options.dry_run,
            },
            check_results=dealer_check_results(run.state, dealer_ids),
        )

    return claire_deliveries


@dg.asset(name=REPORT, deps=["documents", "quarantine"], backfill_policy=ONE_RUN)
def preview_report(
    context: Context, installation: dg.ResourceParam[Installation], options: RunOptionsResource
) -> Materialized:
    """Say what would be sent; nothing is sent, whatever is configured."""
    run = run_context(context, installation, options)
    run.options = replace(run.options, dry_run=True)
    deliveries = steps.deliver(run)
    close_run(run, deliveries)
    return dg.MaterializeResult(metadata=preview_metadata(installation.settings, deliveries))


@dg.asset(
    deps=["claire_deliveries", "quarantine", *MODELS],
    backfill_policy=ONE_RUN,
    metadata={"tables": dg.MetadataValue.md(published_tables_shown())},
)
def analytics(
    context: Context, installation: dg.ResourceParam[Installation], options: RunOptionsResource
) -> Materialized:
    """Publish when it is due."""
    published = publish_when_due(
        run_context(context, installation, options), from_command_line=options.from_command_line
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
