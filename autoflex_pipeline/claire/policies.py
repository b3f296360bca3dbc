"""Whether a document may go now: waiting for its parts or its order, its status in Claire, the mass-change guard.

Pure functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from autoflex_pipeline.claire.api import work_started
from autoflex_pipeline.settings import DealerSettings

GUARD_AT_LEAST = 5
EMPTIED_AT_LEAST = 3

Hindrance = Literal["held", "absent"]
"""Work has started on the appointment, and that holds it back; or Claire does not have what is to be canceled."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An appointment whose document may have to go, with what the policies ask about it.

    ``is_missing``: the DMS, asked by its number, did not have it, which is not confirmed yet; ``is_gone``: it is.
    ``is_unanswered``: a try had no answer, and none since tells whether Claire took it.
    """

    dms_number: str
    document_hash: str
    appointment_date: date
    first_seen_at: datetime
    is_open: bool
    is_canceled: bool
    is_missing: bool
    is_gone: bool
    has_lines: bool
    has_car: bool
    has_contractor: bool
    is_acknowledged: bool
    was_canceled: bool | None
    was_dated: date | None
    is_unanswered: bool

    @property
    def is_known_to_claire(self) -> bool:
        """Whether Claire has it, or may have it."""
        return self.is_acknowledged or self.is_unanswered

    @property
    def cancels_or_redates(self) -> bool:
        """Whether an open appointment that Claire has would be canceled, or change its day."""
        if not (self.is_acknowledged and self.is_open) or self.was_canceled:
            return False
        return self.is_canceled or self.appointment_date != self.was_dated


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a new appointment waits for, and when it goes without."""

    part: Literal["lines", "car", "contractor"]
    until: datetime


def is_not_to_be_made(candidate: Candidate) -> bool:
    """Whether it is missing and Claire did not acknowledge it: it waits until it is there again, or known to be gone.

    Also where a try had no answer: Claire is asked whether it has it when that is known, and not while it may change.
    """
    return candidate.is_missing and not candidate.is_acknowledged


def waiting(candidate: Candidate, dealer: DealerSettings, now: datetime) -> Waiting | None:
    """What the appointment waits for; None when it may go.

    Only one that Claire does not have waits, not when it is dated today or tomorrow (the dealer's days), and never
    longer than ``waiting_hours`` after it was first seen.
    """
    if candidate.is_known_to_claire:
        return None
    today = now.astimezone(dealer.zone).date()
    if candidate.appointment_date in (today, today + timedelta(days=1)):
        return None
    until = candidate.first_seen_at + timedelta(hours=dealer.waiting_hours)
    if candidate.appointment_date > today:
        until = min(until, _start_of(candidate.appointment_date - timedelta(days=1), dealer.zone))
    if now >= until:
        return None
    if not candidate.has_lines:
        return Waiting("lines", until)
    if not candidate.has_car:
        return Waiting("car", until)
    return None if candidate.has_contractor else Waiting("contractor", until)


def depends_on_status(candidate: Candidate, dealer: DealerSettings) -> bool:
    """Whether the status that Claire has for the appointment decides if its document goes: then it is asked first."""
    return _may_be_held(candidate, dealer) or _may_be_absent(candidate)


def hindrance(candidate: Candidate, dealer: DealerSettings, status: str | None) -> Hindrance | None:
    """Why the document does not go, now that Claire has told the status (None: it does not have the appointment)."""
    if _may_be_held(candidate, dealer) and work_started(status):
        return "held"
    if _may_be_absent(candidate) and status is None:
        return "absent"
    return None


def _may_be_held(candidate: Candidate, dealer: DealerSettings) -> bool:
    return candidate.is_known_to_claire and not dealer.keep_importing


def _may_be_absent(candidate: Candidate) -> bool:
    """Whether it is gone from the DMS, and Claire may never have had it."""
    return candidate.is_gone and not candidate.is_acknowledged


def mass_change(changing: int, of_open: int, dealer: DealerSettings) -> str | None:
    """Why the guard stops the run; None when it does not. ``of_open`` are the open appointments that Claire has."""
    if changing < GUARD_AT_LEAST or changing <= dealer.guard_max_change * of_open:
        return None
    return (
        f"dealer {dealer.id!r}: {changing} of {of_open} open appointments would be canceled or change their date, more "
        f"than guard_max_change ({dealer.guard_max_change:.0%}) allows: nothing was sent; look at them in Autoflex, "
        "and if they are right, run sync with --allow-mass-change"
    )


def emptied(were_open: int, dealer: DealerSettings) -> str | None:
    """Why an open list that came back empty stops the run; None when too few were open to tell."""
    if were_open < EMPTIED_AT_LEAST:
        return None
    return (
        f"dealer {dealer.id!r}: Autoflex gave no open work order at all where {were_open} were open: nothing was sent; "
        "look in Autoflex, and if it is right, run sync with --allow-mass-change"
    )


def _start_of(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)
