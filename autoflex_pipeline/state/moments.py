"""The latest moment that the store knows: a clock that is behind it is wrong, or was ahead when it was written."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select

from autoflex_pipeline.state.dealers import dealer_state
from autoflex_pipeline.state.outbox import intent


def newest_moment(connection: Connection) -> datetime | None:
    """When a run last ended for a dealer, or made an intent, whichever is later; None for a new store."""
    newest_intent = select(intent.c.created_at).order_by(intent.c.id.desc()).limit(1)
    moments = (connection.scalar(select(func.max(dealer_state.c.last_attempt_at))), connection.scalar(newest_intent))
    return max((moment for moment in moments if moment is not None), default=None)
