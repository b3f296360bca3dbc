"""The job ``trace``: where is this work order? It leaves a report in the run and in the asset catalog. Reads only."""

# Dagster reads annotations of configuration and resources as objects: no `from __future__ import annotations` here.

import dagster as dg
from pydantic import Field

from autoflex_pipeline.errors import PipelineError
from autoflex_pipeline.lineage.report import counts_of, report_of
from autoflex_pipeline.lineage.trace import trace_orders
from autoflex_pipeline.orchestration.jobs import KIND_TAG
from autoflex_pipeline.orchestration.resources import Installation

TRACE = "trace"
REPORT = "trace_report"
"""The asset key under which the reports are found."""


class TraceConfig(dg.Config):
    """Which work order."""

    dealer: str = Field(description="Id of the dealer.")
    query: str = Field(
        description=(
            "WO number, DMS number or plate, however it is typed. It is kept with the run: a number is better than a "
            "plate, which is personal."
        )
    )


@dg.op(
    description=(
        "Looks up everything that is known of the work order: raw records, repairs, findings, versions, deliveries, "
        "what Claire holds, and why it is not there. Changes nothing."
    )
)
def find_work_order(
    context: dg.OpExecutionContext, config: TraceConfig, installation: dg.ResourceParam[Installation]
) -> None:
    """Leave the report as a materialization; a failure with one clear line when nothing is found."""
    try:
        dealer = installation.settings.dealer(config.dealer)
        found = trace_orders(installation.settings, dealer.id, config.query)
    except PipelineError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None
    if found.nothing is not None:
        raise dg.Failure(description=found.nothing, allow_retries=False)
    context.log_event(
        dg.AssetMaterialization(
            REPORT,
            description="Where a work order is. Values are hidden unless the dealer's privacy is full.",
            metadata={
                "dealer": dealer.id,
                "report": dg.MetadataValue.md(report_of(found.orders, dealer)),
                **counts_of(found.orders),
            },
        )
    )


@dg.job(
    name=TRACE,
    description=(
        "Where is this work order? In the Launchpad, give dealer and query (WO number, DMS number or plate). The run "
        "leaves a report: open its materialization of trace_report, then report → Show Markdown. It changes nothing, "
        "and works beside any other run. For dealers whose privacy is pseudonymised the values are hidden; "
        "`autoflex-pipeline trace` shows them."
    ),
    executor_def=dg.in_process_executor,
    tags={KIND_TAG: "trace"},
    config={"ops": {"find_work_order": {"config": {"dealer": "", "query": ""}}}},
)
def trace() -> None:
    """Find a work order."""
    find_work_order()
