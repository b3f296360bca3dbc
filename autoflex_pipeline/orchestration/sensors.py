"""The sensors: what is wrong is told once per change of state. What that is, `autoflex_pipeline.alerts` decides."""

# Dagster reads annotations of configuration and resources as objects: no `from __future__ import annotations` here.

from collections.abc import Iterator, Sequence

import dagster as dg

from autoflex_pipeline.alerts.kinds import Trouble, Watched, trouble
from autoflex_pipeline.alerts.watching import watch
from autoflex_pipeline.errors import PipelineError
from autoflex_pipeline.orchestration.checks import ACCOUNTS_CHECK, DEALER_CHECK
from autoflex_pipeline.orchestration.jobs import NIGHTLY, SYNC
from autoflex_pipeline.orchestration.resources import Installation
from autoflex_pipeline.orchestration.stopped import ENDED, is_accounts, stopping_checks, stops_run
from autoflex_pipeline.settings import Severity
from autoflex_pipeline.state.alerts import AlertKey

FROM_THE_UI = "__ASSET_JOB"
"""Dagster's own name for runs that materialize chosen assets."""


def sensors(
    *, running: bool, job_names: Sequence[str], check_keys: Sequence[dg.AssetCheckKey]
) -> list[dg.SensorDefinition]:
    """All sensors over these jobs and checks; ``running``: switched on from the start, like the schedules."""
    status = dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED

    def tell(installation: Installation, instance: dg.DagsterInstance) -> dg.SkipReason:
        """Look, and send what is to be told."""
        also = [*_jobs(instance, job_names), *_checks(instance, check_keys)]
        try:
            open_now, sent = watch(installation.settings, installation.state, clock=installation.clock, also=also)
        except PipelineError as error:
            return dg.SkipReason(f"nothing was looked at: {error}")
        told = ", ".join(" ".join(part for part in key if part) for key in open_now) or "nothing"
        return dg.SkipReason(f"open: {told}; {sent.sent} messages sent, {sent.left} still to go")

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=60,
        default_status=status,
        description=(
            "Looks each minute at every dealer's last run and deliveries, at the newest result of every check and job, "
            "and at feeds that have gone silent; tells each [[alerts]] route once per change (opened, worse, "
            "recovered) and sends again what did not go. Starts no run; `autoflex-pipeline alerts list` shows what is "
            "open."
        ),
    )
    def alerts(context: dg.SensorEvaluationContext, installation: dg.ResourceParam[Installation]) -> dg.SkipReason:
        return tell(installation, context.instance)

    @dg.run_failure_sensor(
        name="run_failures",
        minimum_interval_seconds=30,
        default_status=status,
        description=(
            "When a run has failed as a whole, tells it at once instead of at the next look of the sensor `alerts`; "
            "neither tells what the other has told. A dealer that fails inside a run is told by `alerts`."
        ),
    )
    def run_failures(
        context: dg.RunFailureSensorContext, installation: dg.ResourceParam[Installation]
    ) -> dg.SkipReason:
        return tell(installation, context.instance)

    return [alerts, run_failures]


def _jobs(instance: dg.DagsterInstance, job_names: Sequence[str]) -> Iterator[Watched]:
    """How the newest run of each job that came to its end did; a job without one tells nothing.

    Neither does one that a check stopped and tells of: whether an earlier failure is over is not known.
    """
    for name in (*job_names, FROM_THE_UI):
        newest = instance.get_run_records(dg.RunsFilter(job_name=name, statuses=ENDED), limit=1)
        for record in newest:
            failed = record.dagster_run.status == dg.DagsterRunStatus.FAILURE
            if failed and _is_told_by_checks(name, stopping_checks(instance, record.dagster_run.run_id)):
                continue
            detail = f"run {record.dagster_run.run_id[:8]}"
            subject = "chosen assets" if name == FROM_THE_UI else name
            yield Watched(AlertKey("", "run_failed", subject), trouble("run_failed", detail=detail) if failed else None)


def _is_told_by_checks(job_name: str, checks: Sequence[str]) -> bool:
    """Whether what these checks stopped is told already: by themselves, or of the tick's dealers by the state store."""
    others = [check for check in checks if not is_accounts(check)]
    return bool(others) or (bool(checks) and job_name in (SYNC, NIGHTLY))


def _checks(instance: dg.DagsterInstance, check_keys: Sequence[dg.AssetCheckKey]) -> Iterator[Watched]:
    """The newest result of each check, without those of which the state store knows more: for which dealer, and why."""
    for key in check_keys:
        if key.name.startswith(DEALER_CHECK) or key.name == ACCOUNTS_CHECK:
            continue
        record = instance.get_latest_asset_check_evaluation_record(key)
        evaluation = record.evaluation if record else None
        if record is None or not isinstance(evaluation, dg.AssetCheckEvaluation):  # a run is about to check it
            continue
        wrong = None
        if not evaluation.passed:
            severity: Severity = "warning" if evaluation.severity == dg.AssetCheckSeverity.WARN else "error"
            stops = "; it stopped the run, nothing was sent" if stops_run(evaluation) else ""
            wrong = Trouble(severity, detail=f"run {record.run_id[:8]}{stops}")
        yield Watched(AlertKey("", "check_failed", f"{key.asset_key.to_user_string()}: {key.name}"), wrong)
