"""The jobs: sync, nightly full pass, backfill, trimming. All run in one process: ten small steps need no more."""

# Dagster reads annotations of configuration and resources as objects: no `from __future__ import annotations` here.

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from autoflex_pipeline.orchestration.partitions import PARTITION, RANGE_START
from autoflex_pipeline.orchestration.preview import REPORT
from autoflex_pipeline.orchestration.resources import Installation
from autoflex_pipeline.state import alerts, runs, summaries

KIND_TAG = "autoflex/kind"
"""``dagster.yaml`` limits how many runs of a kind there are at once."""

SYNC, NIGHTLY, BACKFILL, RESEND, TRIM = "sync", "nightly", "backfill", "resend", "trim"
PREVIEW = "preview"

_READ_FIRST = ("open_orders", "orders_by_month", "autoflex", "claire", "backup")
_DOWNSTREAM = (
    dg.AssetSelection.all() - dg.AssetSelection.assets(*_READ_FIRST, REPORT) - dg.AssetSelection.groups("reports")
)
_SENT = dg.AssetSelection.assets("claire_deliveries", "analytics")


def asset_jobs() -> list[Any]:
    """The jobs that move records."""
    tick = dg.AssetSelection.assets("open_orders") | _DOWNSTREAM
    return [
        dg.define_asset_job(
            SYNC,
            selection=tick,
            description=(
                "The regular tick: reads every open work order of the dealers, stages what is new and delivers what "
                "differs. In the Launchpad, resources → options narrows it to dealers, makes it a dry run, or lets a "
                "mass change through; the defaults are safe."
            ),
            tags={KIND_TAG: "sync"},
            config=_options(),
        ),
        dg.define_asset_job(
            NIGHTLY,
            selection=tick | dg.AssetSelection.assets("backup"),
            description=(
                "The nightly full pass: reads lines, cars and parties of all open orders anew, finds orders that hide "
                "from the open list, and validates everything in quarantine again. And the nightly backup."
            ),
            tags={KIND_TAG: "sync"},
            config=_options(full=True),
        ),
        dg.define_asset_job(
            PREVIEW,
            selection=(tick - _SENT) | dg.AssetSelection.assets(REPORT),
            description=(
                "A dry run: reads and stages like a sync and shows field by field what it would send; nothing is sent, "
                "and the next sync goes as if there had been no preview. In the Launchpad, resources → options → "
                "dealers narrows it. Then open the materialization of preview_report in the run: difference → Show "
                "Table. allow_mass_change shows what the guard would stop."
            ),
            tags={KIND_TAG: "sync"},
            config=_options(dry_run=True, reread=True),
        ),
        dg.define_asset_job(
            BACKFILL,
            selection=dg.AssetSelection.assets("orders_by_month") | _DOWNSTREAM,
            description=(
                "Stages every work order of the chosen dealers and months, billed or not, in one run. History goes to "
                "Claire only with resources → options → deliver_history; what Claire already has is kept in step."
            ),
            tags={KIND_TAG: "backfill"},
        ),
        dg.define_asset_job(
            RESEND,
            selection=dg.AssetSelection.assets("claire_deliveries", "analytics"),
            description=(
                "Sends appointments again without reading the DMS. In the Launchpad, resources → options takes one "
                "dealer in dealers and the DMS numbers in numbers; force (on) sends also what Claire rejected or "
                "already holds. The run leaves a report: open its materialization of resend_report, then appointments "
                "→ Show Table."
            ),
            tags={KIND_TAG: "sync"},
            config={"resources": {"options": {"config": {"dealers": [], "numbers": [], "force": True}}}},
        ),
    ]


def _options(**values: Any) -> dict[str, Any]:
    """Launchpad configuration that shows what can be asked of a run."""
    shown = {"dealers": [], "dry_run": False, "allow_mass_change": False} | values
    return {"resources": {"options": {"config": shown}}}


class TrimConfig(dg.Config):
    """How long the records of runs are kept."""

    keep_days: int = 14
    """Finished runs older than this many days are deleted; those that filled a partition stay."""


@dg.op(description="Delete finished runs that are older than keep_days, with their events; backfilled months stay.")
def delete_old_runs(
    context: dg.OpExecutionContext, config: TrimConfig, installation: dg.ResourceParam[Installation]
) -> None:
    """Dagster never does it by itself: a run a minute would fill the disk."""
    before = datetime.now(UTC) - timedelta(days=config.keep_days)
    finished = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    filters = dg.RunsFilter(statuses=finished, created_before=before)
    deleted = 0
    for run in context.instance.get_runs(filters=filters):
        if not _fills_cells(run) and run.run_id != context.run_id:
            context.instance.delete_run(run.run_id)
            deleted += 1
    with installation.state.begin() as connection:
        forgotten = sum(kept.forget_before(connection, before) for kept in (runs, summaries, alerts))
    context.log.info(f"deleted {deleted} runs and {forgotten} of their records older than {config.keep_days} days")


def _fills_cells(run: dg.DagsterRun) -> bool:
    """Whether the grid of dealer × month is painted by it: a backfill, from its job's page or the asset's."""
    return run.job_name == BACKFILL or any(tag in run.tags for tag in (RANGE_START, PARTITION))


@dg.job(
    name=TRIM,
    description="Deletes old runs and their events, so that Dagster's storage does not grow without end.",
    executor_def=dg.in_process_executor,
    tags={KIND_TAG: "trim"},
)
def trim() -> None:
    """Delete old runs."""
    delete_old_runs()
