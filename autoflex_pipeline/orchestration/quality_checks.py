"""The checks of ``autoflex_pipeline.quality`` as asset checks: all in one step, because they share one look.

None of them blocks: what is odd may still be right, and what is certainly wrong was sorted out by staging.
"""

# Dagster reads annotations of configuration and resources as objects: no `from __future__ import annotations` here.

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import dagster as dg

from autoflex_pipeline.errors import PipelineError
from autoflex_pipeline.orchestration.checks import check_spec
from autoflex_pipeline.orchestration.resources import Installation, failure
from autoflex_pipeline.quality import CHECKS, Verdict
from autoflex_pipeline.runs.context import RunOptions
from autoflex_pipeline.runs.watching import verdicts
from autoflex_pipeline.settings import OrchestrationSettings

SEVERITIES = {"warn": dg.AssetCheckSeverity.WARN, "error": dg.AssetCheckSeverity.ERROR}

if TYPE_CHECKING:
    Judged: TypeAlias = Iterator[dg.AssetCheckResult]
else:
    Judged = Iterator


def quality_checks(settings: OrchestrationSettings) -> dg.AssetChecksDefinition:
    """One step that judges all, or those of the assets that the run makes."""
    specs = [
        check_spec(settings, check.name, check.subject, f"{check.asks} When it fails: {check.to_do}")
        for check in CHECKS
    ]

    @dg.multi_asset_check(
        name="as_usual",
        specs=specs,
        can_subset=True,
        op_tags={"dagster/priority": "-1"},  # after the delivery, which need not wait for it
        description="Compares what came from the DMS with each dealer's own past. Reads the warehouse only.",
    )
    def as_usual(context: dg.AssetCheckExecutionContext, installation: dg.ResourceParam[Installation]) -> Judged:
        if installation.on_step:
            installation.on_step("as_usual")
        try:
            run = installation.run_context(context.run.run_id, RunOptions())
        except PipelineError as error:
            raise failure(error) from None
        wanted = context.selected_asset_check_keys
        for verdict in verdicts(run):
            if dg.AssetCheckKey(dg.AssetKey(verdict.check.subject), verdict.check.name) in wanted:
                yield _result(verdict)

    return as_usual


def _result(verdict: Verdict) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = dict(verdict.numbers)
    if verdict.rows:
        metadata["found"] = dg.MetadataValue.table([dg.TableRecord(row) for row in verdict.rows])
    return dg.AssetCheckResult(
        asset_key=verdict.check.subject,
        check_name=verdict.check.name,
        passed=verdict.passed,
        severity=SEVERITIES[verdict.severity],
        description=verdict.told if verdict.passed else f"{verdict.told}. {verdict.check.to_do}",
        metadata=metadata,
    )
