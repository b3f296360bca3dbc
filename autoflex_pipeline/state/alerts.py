"""Alerts: what is wrong now and since when, what each route was last told, and the messages that are still to go.

What is told is written together with the message that tells it, so a restart neither forgets nor repeats one.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Column as SqlColumn
from sqlalchemy import Connection, Integer, String, Text, delete, func, insert, select, update
from sqlalchemy import Table as SqlTable

from autoflex_pipeline.state.store import UtcMoment, metadata


class AlertKey(NamedTuple):
    """Which alert: ``dealer_id`` is empty for the installation, ``subject`` the job or check, if any."""

    dealer_id: str
    kind: str
    subject: str = ""


def _key_columns() -> list[SqlColumn[Any]]:
    return [
        SqlColumn("dealer_id", String, primary_key=True, comment="The dealer; empty: the installation."),
        SqlColumn("kind", String, primary_key=True, comment="What kind of trouble, such as login or silent_feed."),
        SqlColumn("subject", String, primary_key=True, comment="The job or check that it is about; else empty."),
    ]


alert = SqlTable(
    "alert",
    metadata,
    *_key_columns(),
    SqlColumn("severity", String, nullable=False, comment="warning, error or critical."),
    SqlColumn("size", Integer, nullable=False, comment="How much of it there is, such as documents; else 0."),
    SqlColumn("detail", Text, nullable=False, comment="What is known of it, without personal data."),
    SqlColumn("opened_at", UtcMoment, nullable=False, comment="When it was first seen."),
    SqlColumn("closed_at", UtcMoment, comment="When it was seen to be over; empty while it is open."),
    comment="One row per trouble that was ever seen: open, or over.",
)

alert_told = SqlTable(
    "alert_told",
    metadata,
    SqlColumn("route", String, primary_key=True, comment="Name of the [[alerts]] section."),
    *_key_columns(),
    SqlColumn("is_open", Integer, nullable=False, comment="1: told as open; 0: told as recovered."),
    SqlColumn("severity", String, nullable=False, comment="The severity that was told."),
    SqlColumn("size", Integer, nullable=False, comment="The size that was told."),
    SqlColumn("told_at", UtcMoment, nullable=False, comment="When the message was made."),
    comment="One row per route and alert: what the route was last told.",
)

alert_message = SqlTable(
    "alert_message",
    metadata,
    SqlColumn("id", Integer, primary_key=True, comment="Running number."),
    SqlColumn("route", String, nullable=False, comment="Name of the [[alerts]] section."),
    SqlColumn("dealer_id", String, nullable=False, comment="The dealer; empty: the installation."),
    SqlColumn("kind", String, nullable=False, comment="What kind of trouble."),
    SqlColumn("subject", String, nullable=False, comment="The job or check that it is about; else empty."),
    SqlColumn("change", String, nullable=False, comment="opened, worse or recovered."),
    SqlColumn("severity", String, nullable=False, comment="warning, error or critical."),
    SqlColumn("title", Text, nullable=False, comment="The message in one line."),
    SqlColumn("body", Text, nullable=False, comment="The message."),
    SqlColumn("made_at", UtcMoment, nullable=False, comment="When it was made."),
    SqlColumn("attempts", Integer, nullable=False, comment="How often sending it has failed."),
    SqlColumn("next_try_at", UtcMoment, nullable=False, comment="When it is to be sent (again)."),
    SqlColumn("error", Text, comment="Why sending it failed last."),
    SqlColumn("sent_at", UtcMoment, comment="When it was sent; empty while it is to go."),
    comment="One row per message to a route: to be sent, or sent.",
    sqlite_autoincrement=True,
)


def alerts(connection: Connection) -> dict[AlertKey, dict[str, Any]]:
    """Every trouble that was ever seen, by key."""
    return {_key(row): dict(row) for row in connection.execute(select(alert)).mappings()}


def keep_alert(connection: Connection, key: AlertKey, **values: Any) -> None:
    """Write the alert as it now is; values are all columns but the key's."""
    connection.execute(delete(alert).where(*_is(alert, key)))
    connection.execute(insert(alert).values(**key._asdict(), **values))


def told(connection: Connection) -> dict[tuple[str, AlertKey], dict[str, Any]]:
    """By route and alert what was told last."""
    return {(row["route"], _key(row)): dict(row) for row in connection.execute(select(alert_told)).mappings()}


def tell(connection: Connection, route: str, key: AlertKey, *, change: str, now: datetime, **values: Any) -> None:
    """Put a message in the outbox and remember what it tells; ``values``: severity, size, title, body."""
    size = values.pop("size")
    here = (alert_told.c.route == route, *_is(alert_told, key))
    connection.execute(delete(alert_told).where(*here))
    connection.execute(
        insert(alert_told).values(
            route=route,
            **key._asdict(),
            is_open=int(change != "recovered"),
            severity=values["severity"],
            size=size,
            told_at=now,
        )
    )
    connection.execute(
        insert(alert_message).values(
            route=route, **key._asdict(), change=change, made_at=now, attempts=0, next_try_at=now, **values
        )
    )


def unsent(connection: Connection) -> list[dict[str, Any]]:
    """The messages that are still to go, oldest first."""
    query = select(alert_message).where(alert_message.c.sent_at.is_(None)).order_by(alert_message.c.id)
    return [dict(row) for row in connection.execute(query).mappings()]


def mark_sent(connection: Connection, message_id: int, now: datetime) -> None:
    """The message has gone."""
    connection.execute(update(alert_message).where(alert_message.c.id == message_id).values(sent_at=now, error=None))


def mark_failed(connection: Connection, message_id: int, error: str, next_try_at: datetime) -> None:
    """The message has not gone; it is tried again at ``next_try_at``."""
    connection.execute(
        update(alert_message)
        .where(alert_message.c.id == message_id)
        .values(error=error, next_try_at=next_try_at, attempts=alert_message.c.attempts + 1)
    )


def forget_dealers_but(connection: Connection, dealer_ids: Collection[str]) -> None:
    """Drop the alerts of dealers that are no longer there; ``dealer_ids`` are those that are."""
    for table in (alert, alert_told):
        connection.execute(delete(table).where(table.c.dealer_id.not_in([*dealer_ids, ""])))


def forget_routes_but(connection: Connection, names: Collection[str]) -> int:
    """Drop what was told, and is to be told, to routes that are no longer there; gives how many messages that were."""
    connection.execute(delete(alert_told).where(alert_told.c.route.not_in(names)))
    waiting = alert_message.c.sent_at.is_(None) & alert_message.c.route.not_in(names)
    return connection.execute(delete(alert_message).where(waiting)).rowcount


def forget_before(connection: Connection, moment: datetime) -> int:
    """Drop messages sent before ``moment``; gives their number."""
    return connection.execute(delete(alert_message).where(alert_message.c.sent_at < moment)).rowcount


def count_unsent(connection: Connection) -> int:
    """How many messages are still to go."""
    return connection.scalar(select(func.count()).where(alert_message.c.sent_at.is_(None))) or 0


def _key(row: Any) -> AlertKey:
    return AlertKey(row["dealer_id"], row["kind"], row["subject"])


def _is(table: SqlTable, key: AlertKey) -> tuple[Any, ...]:
    return tuple(table.c[name] == value for name, value in key._asdict().items())
