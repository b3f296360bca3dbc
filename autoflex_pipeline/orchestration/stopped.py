"""Runs that a check stopped or failed: the check tells of them, and the schedule does not repeat them every minute."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile

import dagster as dg

from autoflex_pipeline.orchestration.checks import ACCOUNTS_CHECK
from autoflex_pipeline.orchestration.months import CHECK as MONTHS_CHECK
from autoflex_pipeline.state.holds import backoff

ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
MOST_COUNTED = 3
"""After so many in a row the schedule waits no longer than it does already."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The newest run of a job, when a check stopped it: which checks, how often in a row, when it is tried again."""

    run_id: str
    checks: tuple[str, ...]
    times: int
    next_try_at: datetime


def stops_run(evaluation: dg.AssetCheckEvaluation) -> bool:
    """Whether nothing comes after it: Dagster goes on after a blocking check that only warns."""
    return bool(evaluation.blocking) and not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR


def stopping_checks(instance: dg.DagsterInstance, run_id: str) -> tuple[str, ...]:
    """The checks because of which the run failed, as ``asset: check``."""
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records
    found = (record.event_log_entry.dagster_event for record in records)
    judged = [event.asset_check_evaluation_data for event in found if event is not None]
    return tuple(
        f"{one.asset_key.to_user_string()}: {one.check_name}"
        for one in judged
        if stops_run(one) or (one.check_name == MONTHS_CHECK and not one.passed)
    )


def is_accounts(check: str) -> bool:
    """Whether it is the check that holds back its own dealers, ``check`` as in ``asset: check``."""
    return check.endswith(f": {ACCOUNTS_CHECK}")


def stopped(instance: dg.DagsterInstance, job_name: str) -> Stopped | None:
    """How the newest runs of the job were stopped, so that the next has to wait; None when the newest was not.

    Not by records that do not add up: those hold back their own dealers, and the schedule goes on with the others.
    """
    records = instance.get_run_records(dg.RunsFilter(job_name=job_name, statuses=ENDED), limit=MOST_COUNTED)
    found = list(takewhile(bool, (_stopping(instance, record.dagster_run) for record in records)))
    if not found:
        return None
    newest = records[0]
    ended = datetime.fromtimestamp(newest.end_time or newest.update_timestamp.timestamp(), UTC)
    return Stopped(newest.dagster_run.run_id, found[0], len(found), ended + backoff(len(found)))


def _stopping(instance: dg.DagsterInstance, run: dg.DagsterRun) -> tuple[str, ...]:
    found = stopping_checks(instance, run.run_id) if run.status == dg.DagsterRunStatus.FAILURE else ()
    return tuple(check for check in found if not is_accounts(check))
