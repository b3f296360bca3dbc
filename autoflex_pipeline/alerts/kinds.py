"""The kinds of trouble: what each means, how bad it is, and what to do. No text here or made from it is personal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, get_args

from autoflex_pipeline.settings import AlertKind, Severity
from autoflex_pipeline.state.alerts import AlertKey

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Least first."""

WORSE_AFTER = timedelta(hours=1)
"""Trouble that lasts so long is one severity worse."""


@dataclass(frozen=True, slots=True)
class Kind:
    """``title`` in a few words, ``next_step`` for the person, ``severity`` at first, whether lasting makes it worse."""

    title: str
    next_step: str
    severity: Severity
    worsens: bool = True


KINDS: dict[AlertKind, Kind] = {
    "login": Kind(
        "Autoflex refuses the login",
        "Correct the variables of the login, restart the code location; `autoflex-pipeline sync` tries at once.",
        "error",
    ),
    "configuration": Kind(
        "a connection is configured wrongly",
        "`autoflex-pipeline status` says what is wrong; `autoflex-pipeline doctor` tries the connection.",
        "error",
    ),
    "guard": Kind(
        "the mass-change guard stopped the deliveries",
        "Look at `autoflex-pipeline sync --dry-run`; if it is right, `autoflex-pipeline sync --allow-mass-change`.",
        "error",
    ),
    "source": Kind(
        "Autoflex was read only in part",
        "Nothing was concluded from what is missing and every run reads again; `autoflex-pipeline status` says more.",
        "warning",
    ),
    "transport": Kind(
        "Autoflex or Claire cannot be reached",
        "Every run tries again; `autoflex-pipeline doctor` tells which of them does not answer.",
        "warning",
    ),
    "busy": Kind(
        "another run has been delivering for too long",
        "See in the Dagster UI which run is not finished, and end it if it hangs.",
        "warning",
    ),
    "accounts": Kind(
        "records that were read are accounted for nowhere",
        "Nothing is sent for this dealer. It is a defect of this program: report it with the id of the run.",
        "error",
    ),
    "undelivered": Kind(
        "deliveries are left pending or failed",
        "Every run tries again; `autoflex-pipeline trace` tells of one work order why.",
        "warning",
    ),
    "rejected": Kind(
        "Claire rejects documents",
        "`autoflex-pipeline trace` shows Claire's message; correct the work order in Autoflex, or `resend`.",
        "warning",
        worsens=False,
    ),
    "late": Kind(
        "no run has succeeded for an hour",
        "See whether the daemon runs and the schedule every_minute is on; its skip reasons say what it waits for.",
        "error",
    ),
    "silent_feed": Kind(
        "Autoflex shows no changes, although it usually does at this time",
        "Ask the dealer whether work goes on; if it does, whether the vendor's service still passes changes on.",
        "warning",
        worsens=False,
    ),
    "run_refused": Kind(
        "runs are refused",
        "Do what the message says (make room, set the clock, `restore`, upgrade); nothing was touched.",
        "error",
    ),
    "run_failed": Kind(
        "a run failed",
        "Open the newest run of this job in the Dagster UI: the failed step says why and what to do.",
        "error",
        worsens=False,
    ),
    "check_failed": Kind(
        "a check fails",
        "Open the check in the Dagster UI: its description says what it means and what to do.",
        "warning",
        worsens=False,
    ),
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something is wrong: how bad, how much of it (0: cannot be counted), and what is known, without personal data."""

    severity: Severity
    size: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Watched:
    """What was looked at and found: trouble, or None when all is well. What is not known is not watched."""

    key: AlertKey
    trouble: Trouble | None


def rank(severity: str) -> int:
    """A number that is higher for what is worse."""
    return SEVERITIES.index(severity)


def trouble(kind: AlertKind, **values: Any) -> Trouble:
    """Trouble of the kind's own severity."""
    return Trouble(KINDS[kind].severity, **values)
