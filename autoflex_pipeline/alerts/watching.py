"""What is wrong now: found in the state store, on the disk and, for the silent feed, in the warehouse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from autoflex_pipeline.alerts.keeping import keep
from autoflex_pipeline.alerts.kinds import KINDS, Trouble, Watched, trouble
from autoflex_pipeline.alerts.sending import Sent, send_due
from autoflex_pipeline.alerts.silence import changes_by_dealer, silence
from autoflex_pipeline.alerts.wording import told
from autoflex_pipeline.errors import PipelineError, StoreBusyError
from autoflex_pipeline.runs.guards import check_early, check_warehouse
from autoflex_pipeline.settings import AlertKind, DealerSettings, Settings
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.state.alerts import AlertKey, alerts
from autoflex_pipeline.state.dealers import dealer_row
from autoflex_pipeline.state.holds import current_hold
from autoflex_pipeline.state.marks import mark, set_mark
from autoflex_pipeline.state.outbox import dispositions
from autoflex_pipeline.state.runs import problems
from autoflex_pipeline.warehouse import Warehouse

LATE_AFTER = timedelta(hours=1)
"""A dealer with an API is read anew every ten minutes, also when nothing changes."""

FRESH = timedelta(minutes=30)
"""Nothing is said of a silent feed unless it was looked at so recently."""

SILENCE_EVERY = timedelta(minutes=10)
"""The warehouse's history is read no more often than this."""

SILENCE_WATCHED = "silence_watched"
REFUSED = AlertKey("", "run_refused")
PROBLEMS: tuple[AlertKind, ...] = ("login", "configuration", "guard", "source", "transport", "busy", "accounts")

OWN_WORDS: tuple[AlertKind, ...] = ("login", "guard", "busy", "accounts")
"""Kinds whose messages are this program's own words throughout; others may quote a vendor, who may quote anyone."""

WAIT_SECONDS = 5.0
"""So long the warehouse is waited for; a silent feed is not more silent for being told ten minutes later."""


def watch(
    settings: Settings, state: StateStore, *, clock: Callable[[], datetime], also: Iterable[Watched] = ()
) -> tuple[list[AlertKey], Sent]:
    """Look at everything, tell what changed, send what is to go; ``also`` is what others found. Gives what is open."""
    now = clock()
    found = [*also, *_runs_refused(settings, state, now), *_silent_feeds(settings, state, now)]
    with state.begin() as connection:
        for dealer in settings.dealers:
            found += _dealer(connection, dealer, now)
        open_now = keep(connection, settings, found, now)
    return open_now, send_due(settings, state, clock)


def _runs_refused(settings: Settings, state: StateStore, now: datetime) -> list[Watched]:
    """Whether a run would be refused now; the schedule starts none then, so no run would tell."""
    try:
        check_early(settings, lambda: state, now)
        check_warehouse(settings, now)
    except StoreBusyError:
        return []
    except PipelineError as error:
        return [_refused(error)]
    return [Watched(REFUSED, None)]


def _refused(error: PipelineError) -> Watched:
    return Watched(REFUSED, trouble("run_refused", detail=str(error)))


def _dealer(connection: Connection, dealer: DealerSettings, now: datetime) -> Iterator[Watched]:
    """What the dealer's last run and its deliveries tell; nothing of a dealer that no run has taken yet."""
    row = dealer_row(connection, dealer.id)
    if row["last_attempt_at"] is None:
        return
    noted = problems(connection, row["last_run_id"]).get(dealer.id, [])
    held = current_hold(connection, dealer.id)
    if row["error"] is None or noted:  # else the record of that run was trimmed: what it was is not known any more
        by_kind = {problem["kind"]: problem["message"] for problem in noted} if row["error"] else {}
        for kind in PROBLEMS:
            wrong = trouble(kind, detail=_own_words(kind, by_kind[kind])) if kind in by_kind else None
            yield Watched(AlertKey(dealer.id, kind), wrong)
    states = Counter(kept["state"] for kept in dispositions(connection, dealer.id).values())
    left = states["pending"] + states["failed"]
    yield _counted(dealer, "undelivered", left if row["error"] is None else 0)
    yield _counted(dealer, "rejected", states["rejected"])
    if dealer.api is not None:
        is_late = row["error"] is None and held is None and now - row["last_attempt_at"] >= LATE_AFTER
        detail = f"the last run was at {told(row['last_attempt_at'], dealer.zone)}"
        yield Watched(AlertKey(dealer.id, "late"), trouble("late", detail=detail) if is_late else None)


def _counted(dealer: DealerSettings, kind: AlertKind, count: int) -> Watched:
    wrong = Trouble(KINDS[kind].severity, count, f"{count} appointments") if count else None
    return Watched(AlertKey(dealer.id, kind), wrong)


def _own_words(kind: AlertKind, message: str) -> str:
    return message if kind in OWN_WORDS or message.startswith("environment variable ") else ""


def _silent_feeds(settings: Settings, state: StateStore, now: datetime) -> list[Watched]:
    """The feeds that could be judged; nothing when it is not time yet, and what a run would meet when none could be."""
    with state.begin() as connection:
        last = mark(connection, SILENCE_WATCHED)
        if last is not None and timedelta() <= now - datetime.fromisoformat(last) < SILENCE_EVERY:
            return []
        rows = {dealer.id: dealer_row(connection, dealer.id) for dealer in settings.dealers}
        known = alerts(connection)
    looked_at = [dealer for dealer in settings.dealers if _is_fresh(rows[dealer.id], now)]
    if not looked_at:
        return []
    try:
        with Warehouse(settings.warehouse.path, wait_seconds=WAIT_SECONDS).open() as warehouse:
            changes = changes_by_dealer(warehouse, now)
    except StoreBusyError:
        return []
    except PipelineError as error:
        return [_refused(error)]
    with state.begin() as connection:
        set_mark(connection, SILENCE_WATCHED, now.isoformat())
    return [
        found
        for dealer in looked_at
        if (found := _silent_feed(dealer, changes.get(dealer.id, []), known, now)) is not None
    ]


def _is_fresh(row: dict[str, Any], now: datetime) -> bool:
    success: datetime | None = row["last_success_at"]
    return row["error"] is None and success is not None and now - success <= FRESH


def _silent_feed(
    dealer: DealerSettings, changes: list[datetime], known: dict[AlertKey, dict[str, Any]], now: datetime
) -> Watched | None:
    """What the history tells of the dealer's feed; None when it tells nothing that was not known."""
    key = AlertKey(dealer.id, "silent_feed")
    if not dealer.alerts.silent_feed:
        return Watched(key, None)
    found = silence(changes, now, dealer.zone, enough=dealer.alerts.silent_feed_changes)
    if found is not None:
        detail = (
            f"no change since {told(found.last_change, dealer.zone)}; usually {found.usual:g} runs bring changes in "
            f"these hours of this weekday (over {found.weeks} weeks)"
        )
        return Watched(key, trouble("silent_feed", detail=detail))
    opened = known.get(key)
    # The night ends no silence: only a change does.
    if opened is not None and max(changes, default=opened["opened_at"]) <= opened["opened_at"]:
        return None
    return Watched(key, None)
