"""Send what the outbox holds: each message until it has gone, in order for each route. At least once, never lost.

A process that dies between the sending and the note of it sends the message once more; the message's own id (in a
header) lets the receiver tell.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from filelock import FileLock, Timeout

from autoflex_pipeline.alerts.email import send_email
from autoflex_pipeline.alerts.webhook import send_webhook
from autoflex_pipeline.errors import PipelineError
from autoflex_pipeline.settings import AlertSettings, Settings
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.state import alerts as store

BACKOFF_MINUTES = (1, 5, 15, 60)
SECONDS = 40.0
"""No message is begun after so long: a sensor's evaluation has 60 seconds, and a message takes up to 15."""

log = logging.getLogger("autoflex_pipeline.alerts")


@dataclass(frozen=True, slots=True)
class Sent:
    """How many messages have gone, and how many are still to go."""

    sent: int
    left: int


def send_due(settings: Settings, state: StateStore, clock: Callable[[], datetime]) -> Sent:
    """Send the messages whose time has come; one that fails holds up its route only."""
    sent = 0
    with _alone(state) as is_alone:
        if is_alone:
            began = time.monotonic()
            with state.begin() as connection:
                waiting = store.unsent(connection)
            for route in settings.alerts:
                for message in (message for message in waiting if message["route"] == route.name):
                    if message["next_try_at"] > clock() or time.monotonic() - began > SECONDS:
                        break
                    if not _send_one(state, route, message, clock):
                        break
                    sent += 1
    with state.begin() as connection:
        return Sent(sent, store.count_unsent(connection))


def send(route: AlertSettings, message: dict[str, Any]) -> None:
    """Send one message; a PipelineError, without address or secret, when it has not gone."""
    if route.webhook is not None:
        send_webhook(route.webhook, message)
    elif route.email is not None:
        send_email(route.email, message)
    else:
        level = logging.INFO if message["change"] == "recovered" else logging.WARNING
        log.log(level, "%s", message["body"].replace("\n", " | "))


def trial(now: datetime) -> dict[str, Any]:
    """A message to try a route with."""
    title = "[TEST] autoflex_pipeline: this route works"
    return {
        "id": f"test-{secrets.token_hex(4)}",
        "dealer_id": "",
        "kind": "test",
        "subject": "",
        "change": "opened",
        "severity": "warning",
        "title": title,
        "body": f"{title}\nSent by `autoflex-pipeline alerts test`; nothing is wrong.",
        "made_at": now,
    }


def _send_one(state: StateStore, route: AlertSettings, message: dict[str, Any], clock: Callable[[], datetime]) -> bool:
    try:
        send(route, message)
    except PipelineError as error:
        minutes = BACKOFF_MINUTES[min(message["attempts"], len(BACKOFF_MINUTES) - 1)]
        wait = max(timedelta(minutes=minutes), timedelta(seconds=getattr(error, "retry_after", None) or 0))
        log.warning("alert %s did not go to %s: %s; it is tried again", message["id"], route.name, error)
        with state.begin() as connection:
            store.mark_failed(connection, message["id"], str(error), clock() + wait)
        return False
    with state.begin() as connection:
        store.mark_sent(connection, message["id"], clock())
    return True


@contextmanager
def _alone(state: StateStore) -> Iterator[bool]:
    """Whether no other process is sending: two would send each message twice."""
    lock = FileLock(state.path.with_name(state.path.name + ".alerts.lock"), timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
