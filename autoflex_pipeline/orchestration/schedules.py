"""The schedules. The minute's tick starts a run only when a dealer has something to do, and says what it looked at."""

# Dagster reads annotations of configuration and resources as objects: no `from __future__ import annotations` here.

from collections.abc import Sequence

import dagster as dg

from autoflex_pipeline.alerts.wording import INSTALLATION_ZONE, told
from autoflex_pipeline.errors import PipelineError, StoreBusyError
from autoflex_pipeline.orchestration.jobs import NIGHTLY, SYNC, TRIM
from autoflex_pipeline.orchestration.resources import Installation
from autoflex_pipeline.orchestration.stopped import stopped
from autoflex_pipeline.runs.guards import check_early, check_warehouse
from autoflex_pipeline.runs.outlook import Outlook, outlooks

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
REASON_LENGTH = 2000


def schedules(*, running: bool) -> list[dg.ScheduleDefinition]:
    """All schedules; ``running``: switched on from the start, as in the demo."""
    status = dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED

    @dg.schedule(
        name="every_minute",
        job_name=SYNC,
        cron_schedule="* * * * *",
        default_status=status,
        description=(
            "Looks at every dealer's open orders each minute and starts a sync of those that have changes or due work. "
            "When none has, the skip reason says what was looked at. Never two at once. After a run that the check "
            "follows_the_model stopped it waits 5, then 15, then 60 minutes; a sync that a person launches goes at "
            "once."
        ),
    )
    def every_minute(
        context: dg.ScheduleEvaluationContext, installation: dg.ResourceParam[Installation]
    ) -> dg.RunRequest | dg.SkipReason:
        unfinished = _unfinished(context.instance)
        if unfinished:
            return dg.SkipReason(f"run {unfinished} is not finished yet; never two at once")
        now = installation.clock()
        last = stopped(context.instance, SYNC)
        if last is not None and now < last.next_try_at:
            return dg.SkipReason(
                f"run {last.run_id[:8]} was stopped by {', '.join(last.checks)}; tried again at "
                f"{told(last.next_try_at, INSTALLATION_ZONE)} ({last.times} in a row so far). Look at the check; "
                "a sync that a person launches goes at once"
            )
        try:
            check_early(installation.settings, lambda: installation.state, now)
            seen = outlooks(installation.settings, installation.state, installation.apis, now=now)
        except PipelineError as error:
            return dg.SkipReason(f"nothing was looked at: {error}")
        busy = [outlook for outlook in seen if outlook.has_work]
        if not busy:
            return dg.SkipReason(_told(seen))
        refused = _refused(installation)
        if refused is not None:
            return dg.SkipReason(f"a run would be refused: {refused}; it would be for {_told(busy)}"[:REASON_LENGTH])
        options = {"dealers": [outlook.dealer_id for outlook in busy], "patient": True}
        return dg.RunRequest(
            run_config={"resources": {"options": {"config": options}}},
            tags={"autoflex/reason": _told(busy)},
        )

    return [
        every_minute,
        dg.ScheduleDefinition(
            name="every_night",
            job_name=NIGHTLY,
            cron_schedule="30 3 * * *",
            execution_timezone="Europe/Amsterdam",
            default_status=status,
            description="The full pass, each night at 03:30 Dutch time.",
        ),
        dg.ScheduleDefinition(
            name="every_night_trim",
            job_name=TRIM,
            cron_schedule="30 4 * * *",
            execution_timezone="Europe/Amsterdam",
            default_status=status,
            description="Deletes old runs and their events, each night at 04:30 Dutch time.",
        ),
    ]


def _unfinished(instance: dg.DagsterInstance) -> str | None:
    """A run of the tick or the full pass that is queued or running."""
    for job_name in (SYNC, NIGHTLY):
        records = instance.get_run_records(dg.RunsFilter(job_name=job_name, statuses=UNFINISHED), limit=1)
        if records:
            return records[0].dagster_run.run_id[:8]
    return None


def _refused(installation: Installation) -> PipelineError | None:
    """What is wrong with the warehouse; nothing of one that is in use, for which the run waits."""
    try:
        check_warehouse(installation.settings, installation.clock())
    except StoreBusyError:
        return None
    except PipelineError as error:
        return error
    return None


def _told(seen: Sequence[Outlook]) -> str:
    """One line per dealer."""
    text = "; ".join(f"{outlook.dealer_id}: {outlook.reason}" for outlook in seen)
    return text if len(text) <= REASON_LENGTH else text[: REASON_LENGTH - 1] + "…"
