"""Everything that Dagster is told, listed in one place; used by the server, the tests and the commands alike."""

from __future__ import annotations

import warnings

import dagster as dg

from autoflex_pipeline.errors import ConfigurationError
from autoflex_pipeline.orchestration.estimate_job import estimate_job
from autoflex_pipeline.orchestration.jobs import asset_jobs, trim
from autoflex_pipeline.orchestration.months import months_check
from autoflex_pipeline.orchestration.quality_checks import quality_checks
from autoflex_pipeline.orchestration.quarantine_job import quarantine_retry
from autoflex_pipeline.orchestration.resources import Installation, RunOptionsResource
from autoflex_pipeline.orchestration.schedules import schedules
from autoflex_pipeline.orchestration.sensors import sensors
from autoflex_pipeline.orchestration.status_job import status
from autoflex_pipeline.orchestration.trace_job import trace
from autoflex_pipeline.settings import OrchestrationSettings

NO_DEALERS = ("not-configured",)
"""The dealers of a code location whose configuration cannot be read: it loads all the same, and its runs say why."""


def build_definitions(installation: Installation) -> dg.Definitions:
    """The code location of one installation."""
    try:
        dealer_ids = installation.settings.dealer_ids
        settings = installation.settings.orchestration
    except ConfigurationError:
        dealer_ids, settings = NO_DEALERS, OrchestrationSettings()
    with warnings.catch_warnings():
        # Single-run backfills work as measured (2026-11); the parameter is still marked beta.
        warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning)
        # Links to the source: the classes are marked beta, their place in the UI is not in doubt (2026-11).
        warnings.filterwarnings("ignore", message="Class `.*CodeReference", category=dg.BetaWarning)
        from autoflex_pipeline.orchestration.assets import all_assets

        assets = all_assets(dealer_ids, settings)
    moving, checks = asset_jobs(), [quality_checks(settings), months_check(settings)]
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=[*moving, estimate_job, quarantine_retry, status, trace, trim],
        schedules=schedules(running=settings.schedules_running),
        sensors=sensors(
            running=settings.schedules_running,
            # Not `trace` and `quarantine_retry`: they fail when they find nothing, which is an answer.
            job_names=[*(job.name for job in moving), trim.name],
            check_keys=[
                key
                for asset in (*assets, *checks)
                if isinstance(asset, dg.AssetsDefinition)
                for key in asset.check_keys
            ],
        ),
        resources={"installation": installation, "options": RunOptionsResource()},
        executor=dg.in_process_executor,
    )
