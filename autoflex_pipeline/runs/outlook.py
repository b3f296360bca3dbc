"""What a tick of the schedule decides by: does a dealer have changes or due work? Cheap, and without the warehouse.

The look is an optimisation: correctness never depends on it. A dealer that cannot be looked at gets a run, which fails
for that dealer and says why; after that its hold, if any, keeps it from being tried every minute. One whose DMS has not
answered in time gets none this minute: a run would wait for it as long, and the others with it. What is due of it, and
the full pass, try it all the same.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from autoflex_pipeline.errors import PipelineError, unexpected
from autoflex_pipeline.runs.holding import CLAIRE_CAUSE, claire_fingerprint
from autoflex_pipeline.settings import DealerSettings, Settings
from autoflex_pipeline.sources.autoflex_api import look
from autoflex_pipeline.sources.connections import DMS_CAUSE, ApiConnections, login_fingerprint
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.state.dealers import dealer_row
from autoflex_pipeline.state.holds import current_hold

LOOK_SECONDS = 45
"""Below the 60 seconds that Dagster gives a schedule's evaluation."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """Whether a dealer has something to do, and why (not)."""

    dealer_id: str
    has_work: bool
    reason: str


def outlooks(
    settings: Settings, state: StateStore, apis: ApiConnections, *, now: datetime, look_seconds: float = LOOK_SECONDS
) -> list[Outlook]:
    """The outlook of every dealer; all are looked at at once, none longer than ``look_seconds`` in all."""
    known: dict[str, dict[str, Any]] = {}
    decided: dict[str, Outlook] = {}
    with state.begin() as connection:
        for dealer in settings.dealers:
            known[dealer.id] = dealer_row(connection, dealer.id)
            held = current_hold(connection, dealer.id)
            early = _without_a_look(settings, dealer, known[dealer.id], held, now)
            if early is not None:
                decided[dealer.id] = early
    to_look_at = [dealer for dealer in settings.dealers if dealer.id not in decided]
    if to_look_at:
        pool = ThreadPoolExecutor(max_workers=min(32, len(to_look_at)), thread_name_prefix="look")
        futures = {dealer.id: pool.submit(_look, dealer, apis, known[dealer.id]) for dealer in to_look_at}
        in_time, _ = wait(futures.values(), timeout=look_seconds)
        late = (
            f"could not be looked at: its DMS did not answer within {look_seconds:g} s; the run asks with more patience"
        )
        for dealer_id, future in futures.items():
            decided[dealer_id] = future.result() if future in in_time else Outlook(dealer_id, True, late)
        pool.shutdown(wait=False, cancel_futures=True)
    return [decided[dealer.id] for dealer in settings.dealers]


def _cause_changed(settings: Settings, dealer: DealerSettings, cause: str) -> bool:
    """Whether somebody mended what the dealer is held for."""
    if cause.startswith(DMS_CAUSE):
        return cause != login_fingerprint(dealer)
    return cause.startswith(CLAIRE_CAUSE) and cause != claire_fingerprint(settings, dealer)


def _without_a_look(
    settings: Settings, dealer: DealerSettings, known: dict[str, Any], held: dict[str, Any] | None, now: datetime
) -> Outlook | None:
    """What can be decided from the state store alone; None when the DMS has to be looked at."""
    if held is not None:
        if _cause_changed(settings, dealer, held["cause"]):
            return Outlook(dealer.id, True, "the cause of its hold was changed")
        if now < held["next_try_at"]:
            until = held["next_try_at"].astimezone(dealer.zone).strftime("%H:%M")
            return Outlook(dealer.id, False, f"held until {until} ({held['kind']}): {held['message']}")
        return Outlook(dealer.id, True, f"its hold ended ({held['kind']})")
    if dealer.api is None:
        return Outlook(dealer.id, False, "has no source that can be looked at")
    if known["due_at"] is not None and known["due_at"] <= now:
        return Outlook(dealer.id, True, str(known["due_reason"]))
    if known["look_digest"] is None:
        return Outlook(dealer.id, True, "has no successful look to compare with")
    return None


def _look(dealer: DealerSettings, apis: ApiConnections, known: dict[str, Any]) -> Outlook:
    try:
        seen = look(apis.get(dealer))
    except PipelineError as error:
        return Outlook(dealer.id, True, f"could not be looked at: {error}")
    except Exception as error:  # one dealer's oddity must not cost the others their look
        return Outlook(dealer.id, True, f"could not be looked at: {unexpected(error)}")
    if not seen.complete:
        return Outlook(dealer.id, True, f"could not be looked at whole: {seen.error}")
    if seen.digest != known["look_digest"]:
        return Outlook(dealer.id, True, f"its {seen.open_count} open orders are not as last staged")
    return Outlook(dealer.id, False, f"{seen.open_count} open orders, as last staged")
