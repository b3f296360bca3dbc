"""What changed: open, worse, recovered. Each route is told once, by a message that is written in the same transaction.

A route is told what differs from what it was last told, so it does not matter how often or by whom this is called.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from autoflex_pipeline.alerts.kinds import KINDS, SEVERITIES, WORSE_AFTER, Watched, rank
from autoflex_pipeline.alerts.wording import Message, message_of
from autoflex_pipeline.settings import AlertSettings, Settings
from autoflex_pipeline.state import alerts as store
from autoflex_pipeline.state.alerts import AlertKey
from autoflex_pipeline.state.marks import set_mark

LAST_WATCHED = "alerts_watched"
"""The mark that says when it was last looked at what is wrong."""


def keep(connection: Connection, settings: Settings, watched: Iterable[Watched], now: datetime) -> list[AlertKey]:
    """Write what was found, and a message for every change that a route has not been told; gives what is open."""
    store.forget_dealers_but(connection, settings.dealer_ids)
    store.forget_routes_but(connection, [route.name for route in settings.alerts])
    known = store.alerts(connection)
    for found in watched:
        _keep_one(connection, found, known.get(found.key), now)
    current = store.alerts(connection)
    told = store.told(connection)
    for route in settings.alerts:
        for key, alert in current.items():
            message = _due(settings, route, key, alert, told.get((route.name, key)), now)
            if message is not None:
                store.tell(connection, route.name, key, now=now, size=alert["size"], **message.columns)
    set_mark(connection, LAST_WATCHED, now.isoformat())
    return [key for key, alert in current.items() if alert["closed_at"] is None]


def _keep_one(connection: Connection, found: Watched, known: dict[str, Any] | None, now: datetime) -> None:
    was_open = known is not None and known["closed_at"] is None
    if found.trouble is None:
        if known is not None and was_open:
            values = {name: known[name] for name in ("severity", "size", "detail", "opened_at")}
            store.keep_alert(connection, found.key, **values, closed_at=now)
        return
    opened_at: datetime = known["opened_at"] if known is not None and was_open else now
    store.keep_alert(
        connection,
        found.key,
        severity=_severity(found, now - opened_at),
        size=found.trouble.size,
        detail=found.trouble.detail,
        opened_at=opened_at,
        closed_at=None,
    )


def _severity(found: Watched, lasted: timedelta) -> str:
    assert found.trouble is not None
    kind = KINDS[found.key.kind]  # type: ignore[index]
    place = rank(found.trouble.severity) + (kind.worsens and lasted >= WORSE_AFTER)
    return SEVERITIES[min(place, len(SEVERITIES) - 1)]


def _due(
    settings: Settings,
    route: AlertSettings,
    key: AlertKey,
    alert: dict[str, Any],
    told: dict[str, Any] | None,
    now: datetime,
) -> Message | None:
    """What the route is to be told of the alert now, if anything."""
    is_open = alert["closed_at"] is None
    was_told_open = told is not None and bool(told["is_open"])
    if not is_open:
        return message_of(settings, key, alert, "recovered") if was_told_open else None
    if not _wants(settings, route, key, alert["severity"]):
        return None
    if told is None or not was_told_open:
        quiet = timedelta(minutes=_quiet_minutes(settings, route, key))
        if told is not None and now - told["told_at"] < quiet:
            return None
        return message_of(settings, key, alert, "opened")
    grown = told["size"] > 0 and alert["size"] >= 2 * told["size"]
    if rank(alert["severity"]) > rank(told["severity"]) or grown:
        return message_of(settings, key, alert, "worse")
    return None


def _wants(settings: Settings, route: AlertSettings, key: AlertKey, severity: str) -> bool:
    """Whether the route takes alerts of this dealer, kind and severity."""
    least = route.min_severity
    if key.dealer_id:
        own = settings.dealer(key.dealer_id).alerts
        if own.routes is not None and route.name not in own.routes:
            return False
        least = own.min_severity or least
    if route.dealers and key.dealer_id not in route.dealers:
        return False
    return (not route.kinds or key.kind in route.kinds) and rank(severity) >= rank(least)


def _quiet_minutes(settings: Settings, route: AlertSettings, key: AlertKey) -> float:
    own = settings.dealer(key.dealer_id).alerts.quiet_minutes if key.dealer_id else None
    return route.quiet_minutes if own is None else own
