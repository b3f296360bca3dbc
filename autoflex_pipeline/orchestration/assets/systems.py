"""What is no step of a run: the systems at both ends, and the reports that jobs leave."""

from __future__ import annotations

import dagster as dg

from autoflex_pipeline.orchestration import estimate_job, quarantine_job, reports, status_job, trace_job

REPORTS = (
    status_job.REPORT,
    trace_job.REPORT,
    estimate_job.REPORT,
    quarantine_job.REPORT,
    reports.RESEND_REPORT,
)


def external_assets() -> list[dg.AssetSpec]:
    """The DMS, Claire, and the reports."""
    systems = [dg.AssetSpec("autoflex"), dg.AssetSpec("claire", deps=["claire_deliveries"])]
    return [*systems, *(dg.AssetSpec(name) for name in REPORTS)]
