"""Run the same jobs as the schedule, headless, for the commands: in this process, recorded in the Dagster instance."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from autoflex_pipeline.orchestration.build import build_definitions
from autoflex_pipeline.orchestration.jobs import BACKFILL, NIGHTLY, RESEND, SYNC
from autoflex_pipeline.orchestration.partitions import RANGE_END, RANGE_START, partition_key
from autoflex_pipeline.orchestration.resources import Installation
from autoflex_pipeline.orchestration.stopped import stops_run


@dataclass(slots=True)
class Outcome:
    """What became of a headless run: its ids (months of several dealers may take several), and why it stopped."""

    run_ids: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def run_headless(
    installation: Installation,
    options: dict[str, Any],
    *,
    months: tuple[str, str] | None = None,
    ranges: Mapping[str, tuple[str, str]] | None = None,
) -> Outcome:
    """Run ``sync``, ``nightly`` (option ``full``), ``resend`` (option ``numbers``) or ``backfill`` (``months``).

    ``ranges`` are the months of each dealer, where they are not the same for all.
    """
    definitions = build_definitions(installation)
    outcome = Outcome()
    with _instance() as instance:
        if months is None:
            job = RESEND if options.get("numbers") else NIGHTLY if options.get("full") else SYNC
            _run(definitions, instance, job, options, {}, outcome)
            return outcome
        for dealers in _dealer_ranges(installation, options.get("dealers", [])):
            first, last = months if ranges is None else ranges[dealers[0]]
            tags = {RANGE_START: partition_key(dealers[0], first), RANGE_END: partition_key(dealers[-1], last)}
            _run(definitions, instance, BACKFILL, options | {"dealers": list(dealers)}, tags, outcome)
    return outcome


def _dealer_ranges(installation: Installation, chosen: Sequence[str]) -> list[tuple[str, ...]]:
    """All dealers make one range; chosen ones a range each, so that no other dealer's months count as read."""
    if not chosen:
        return [installation.settings.dealer_ids]
    return [(dealer.id,) for dealer in installation.settings.select(list(chosen))]


def _run(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    job: str,
    options: dict[str, Any],
    tags: dict[str, str],
    outcome: Outcome,
) -> None:
    result = definitions.resolve_job_def(job).execute_in_process(
        instance=instance,
        raise_on_error=False,
        tags=tags,
        run_config={
            "resources": {"options": {"config": options | {"from_command_line": True}}},
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
    )
    outcome.run_ids.append(result.run_id)
    if not result.success:
        outcome.errors.append(_first_failure(result))


def _first_failure(result: dg.ExecuteInProcessResult) -> str:
    """The blocking check or the step that failed first, and the last cause of it in one line."""
    for check in result.get_asset_check_evaluations():
        if stops_run(check):
            return (
                f"check {check.check_name} of {check.asset_key.to_user_string()} failed, nothing was sent: "
                f"{check.description or 'its description in the Dagster UI says what to do'}"
            )
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            description = event.step_failure_data.user_failure_data
            message = description.description if description else (error.message if error else "")
            return (
                f"step {event.step_key} failed: {(message or '').strip().splitlines()[0] if message else 'no message'}"
            )
    return "the run failed outside its steps; the Dagster UI shows why"


@contextmanager
def _instance() -> Iterator[dg.DagsterInstance]:
    """The Dagster instance of $DAGSTER_HOME; without one, a passing one that leaves nothing behind."""
    logging.getLogger("dagster").setLevel(logging.ERROR)
    if os.environ.get("DAGSTER_HOME"):
        with dg.DagsterInstance.get() as instance:
            yield instance
    else:
        with dg.DagsterInstance.ephemeral() as instance:
            yield instance
