"""The job ``quarantine_retry``: validate rejected records anew, and say what became of each."""

# Dagster reads annotations of configuration and resources as objects: no `from __future__ import annotations` here.

from collections.abc import Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from autoflex_pipeline.errors import PipelineError
from autoflex_pipeline.model import RAW_ENTITIES
from autoflex_pipeline.orchestration.jobs import KIND_TAG
from autoflex_pipeline.orchestration.reports import ROWS_SHOWN
from autoflex_pipeline.orchestration.resources import Installation
from autoflex_pipeline.runs.context import RunOptions
from autoflex_pipeline.runs.retrying import Retried, retry_quarantined

QUARANTINE_RETRY = "quarantine_retry"
REPORT = "quarantine_retry_report"
"""The asset key under which the reports are found."""


class RetryConfig(dg.Config):
    """Which rejected records; all of them when nothing is filled in."""

    dealer: str = Field(default="", description="Id of the dealer; empty: all dealers.")
    entity: str = Field(
        default="", description=f"Only this kind of record: {', '.join(RAW_ENTITIES)}; empty: all kinds."
    )
    dms_numbers: list[str] = Field(default=[], description="Only the records with these DMS numbers; empty: all.")


@dg.op(
    description=(
        "Validates what is in quarantine anew, with today's rules and without reading the DMS. What is good now is "
        "delivered by the next tick. Leaves a report that names each record, its rules and what to do."
    )
)
def validate_again(
    context: dg.OpExecutionContext, config: RetryConfig, installation: dg.ResourceParam[Installation]
) -> None:
    """Leave the report as a materialization; a failure with one clear line when there is nothing to take."""
    try:
        if config.dealer:
            installation.settings.dealer(config.dealer)
        if config.entity and config.entity not in RAW_ENTITIES:
            raise PipelineError(f"entity {config.entity!r} must be one of {', '.join(RAW_ENTITIES)}, or empty")
        retried = retry_quarantined(
            installation.run_context(context.run_id, RunOptions()),
            dealer_id=config.dealer or None,
            entity=config.entity or None,
            dms_numbers=config.dms_numbers,
        )
        if config.dms_numbers and not retried:
            raise PipelineError(f"quarantine holds nothing open of {', '.join(config.dms_numbers)}")
    except PipelineError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None
    healed = sum(each.is_healed for each in retried)
    context.log_event(
        dg.AssetMaterialization(
            REPORT,
            description="What became of the records that were validated anew.",
            metadata={
                "taken": len(retried),
                "healed": healed,
                "still_rejected": len(retried) - healed,
                "records": _table(retried),
                "left_out": max(0, len(retried) - ROWS_SHOWN),
            },
        )
    )


def _table(retried: Sequence[Retried]) -> dg.MetadataValue[Any]:
    rows = [
        dg.TableRecord(
            {
                "dealer": each.dealer_id,
                "entity": each.entity,
                "dms_number": each.dms_number or "",
                "now": "good" if each.is_healed else "still rejected",
                "rules": ", ".join(each.rules),
                "what_to_do": each.hint,
            }
        )
        for each in sorted(retried, key=lambda each: each.is_healed)[:ROWS_SHOWN]
    ]
    return dg.MetadataValue.table(rows) if rows else dg.MetadataValue.text("quarantine is empty")


@dg.job(
    name=QUARANTINE_RETRY,
    description=(
        "Validates rejected records anew with today's rules; the next tick delivers what is good now. In the "
        "Launchpad, dealer, entity and dms_numbers narrow it; left empty, everything in quarantine is taken. The run "
        "leaves a report: open its materialization of quarantine_retry_report, then records → Show Table. What the "
        "dealer corrects in the DMS heals by itself: this is for rules that have changed, or days that have passed."
    ),
    executor_def=dg.in_process_executor,
    tags={KIND_TAG: "sync"},
    config={"ops": {"validate_again": {"config": {"dealer": "", "entity": "", "dms_numbers": []}}}},
)
def quarantine_retry() -> None:
    """Validate rejected records anew."""
    validate_again()
