"""The job ``estimate_backfill``: what a backfill would cost, before it starts. Stores and sends nothing."""

# Dagster reads annotations of configuration and resources as objects: no `from __future__ import annotations` here.

import dagster as dg
from pydantic import Field

from autoflex_pipeline.errors import ConfigurationError, PipelineError
from autoflex_pipeline.orchestration.jobs import KIND_TAG
from autoflex_pipeline.orchestration.partitions import check_months
from autoflex_pipeline.orchestration.resources import Installation
from autoflex_pipeline.runs.estimate import Estimate, estimate_backfill
from autoflex_pipeline.sources.window import month_bounds

ESTIMATE = "estimate_backfill"
REPORT = "backfill_estimate"
"""The asset key under which the estimates are found."""


class EstimateConfig(dg.Config):
    """Which months of which dealers."""

    dealers: list[str] = Field(default=[], description="Ids of the dealers; empty: all.")
    first_month: str = Field(description="First month, YYYY-MM.")
    last_month: str = Field(description="Last month, YYYY-MM, inclusive.")
    deliver_history: bool = Field(default=False, description="Count the sending of billed work orders to Claire too.")


@dg.op(
    description=(
        "Looks at a few pages of each dealer's lists and estimates how many requests a backfill of these months takes, "
        "and how long. Stores nothing, sends nothing."
    )
)
def estimate(
    context: dg.OpExecutionContext, config: EstimateConfig, installation: dg.ResourceParam[Installation]
) -> None:
    """Leave the estimate as a materialization; a failure with one clear line when the months are none."""
    try:
        dealers = installation.settings.select(config.dealers)
        _check(config, installation)
        days = month_bounds(config.first_month)[0], month_bounds(config.last_month)[1]
        found = estimate_backfill(
            installation.settings,
            installation.apis,
            installation.warehouse,
            {dealer.id: days for dealer in dealers},
            deliver_history=config.deliver_history,
        )
    except PipelineError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None
    context.log_event(_report(config, found))


def _check(config: EstimateConfig, installation: Installation) -> None:
    try:
        check_months(config.first_month, config.last_month, today=installation.clock().date())
    except ValueError as error:
        raise ConfigurationError(f"first_month, last_month: {error}") from None


def _report(config: EstimateConfig, found: Estimate) -> dg.AssetMaterialization:
    rows = [
        dg.TableRecord(
            {
                "dealer": dealer_id,
                "orders_in_months": each.orders_in_months,
                "orders_in_all": each.orders,
                "requests": sum(each.requests.values()),
                **{f"requests_{entity}": each.requests.get(entity, 0) for entity in REQUESTED},
                "minutes": round(each.seconds / 60, 1),
                "sent_to_claire": each.documents,
                "problem": each.error or "",
            }
        )
        for dealer_id, each in found.dealers.items()
    ]
    return dg.AssetMaterialization(
        REPORT,
        description="What a backfill would cost, at most.",
        metadata={
            "months": f"{config.first_month} to {config.last_month}",
            "requests": found.requests,
            "minutes": round(found.seconds / 60, 1),
            "sent_to_claire": found.documents,
            "by_dealer": dg.MetadataValue.table(rows),
        },
    )


REQUESTED = ("order", "order_line", "vehicle", "relation")


@dg.job(
    name=ESTIMATE,
    description=(
        "What would a backfill cost? In the Launchpad, give first_month and last_month (YYYY-MM), and dealers to "
        "narrow it. The run looks at a few pages of each dealer's lists, stores and sends nothing, and leaves an "
        "estimate of requests and minutes, without what earlier runs have "
        "read: open its materialization of backfill_estimate, then by_dealer → Show Table. "
        "sent_to_claire is 0 unless deliver_history is on: a backfill sends no history by itself."
    ),
    executor_def=dg.in_process_executor,
    tags={KIND_TAG: "estimate"},
    config={"ops": {"estimate": {"config": {"dealers": [], "first_month": "", "last_month": ""}}}},
)
def estimate_job() -> None:
    """Estimate a backfill."""
    estimate()
