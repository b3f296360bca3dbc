"""How a delivery is asked for, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

ErrorKind = Literal["guard", "configuration", "busy", "transport"]
STATES = ("created", "updated", "unchanged", "pending", "waiting", "held", "rejected", "failed")


@dataclass(frozen=True)
class DeliveryOptions:
    """What to deliver, and how.

    ``window``: only appointments of these days, both inclusive (a run over months); ``deliver_history``: billed ones
    of the window too. ``numbers``: only these appointments. ``force``: although rejected, waiting, held or equal.
    ``open_list_emptied``: the DMS's open list was empty when last read whole. ``ask_held_again``: ask Claire for the
    status of held appointments although their documents are as they were. ``patient``: send nothing to a Claire that
    did not answer lately before its next try is due.
    """

    dry_run: bool = False
    allow_mass_change: bool = False
    deliver_history: bool = False
    window: tuple[date, date] | None = None
    numbers: frozenset[str] | None = None
    force: bool = False
    open_list_emptied: bool = False
    ask_held_again: bool = False
    patient: bool = False

    @property
    def is_tick(self) -> bool:
        """Whether the whole dealer is delivered, not a window or a few."""
        return self.window is None and self.numbers is None


@dataclass
class DealerDelivery:
    """What came of delivering for one dealer.

    ``changes``: {dms_number, fields_changed, result} of what was sent (in a dry run, would be). ``next_due_at``: when
    a waiting appointment goes although nothing changes; ``retry_at``: when what a Claire that did not answer left
    behind is tried again. ``retries``: requests beyond the first of a document.
    """

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))
    error: str | None = None
    error_kind: ErrorKind | None = None
    changes: list[dict[str, Any]] = field(default_factory=list)
    next_due_at: datetime | None = None
    retry_at: datetime | None = None
    retries: int = 0
