"""When the analysts' copy is published: after a command that changed something, by the schedule every five minutes."""

from __future__ import annotations

from datetime import datetime, timedelta

from autoflex_pipeline.runs.context import RunContext
from autoflex_pipeline.runs.spans import last_step
from autoflex_pipeline.state.marks import PUBLISH_WANTED, mark, set_mark
from autoflex_pipeline.warehouse.publishing import Published, publish

PUBLISH_EVERY = timedelta(minutes=5)
LAST_PUBLISHED = "last_published"


@last_step
def publish_when_due(context: RunContext, *, from_command_line: bool) -> Published | None:
    """Publish when something changed and it is time to; None when not."""
    analytics = context.settings.warehouse.analytics_path
    with context.state.begin() as connection:
        wanted = mark(connection, PUBLISH_WANTED)
        last = mark(connection, LAST_PUBLISHED)
    now = context.clock()
    is_due = from_command_line or last is None or now - datetime.fromisoformat(last) >= PUBLISH_EVERY
    if analytics.exists() and not (wanted and is_due):
        return None
    published = publish(context.settings, context.warehouse, run_id=context.run_id, now=now)
    with context.state.begin() as connection:
        set_mark(connection, PUBLISH_WANTED, False)
        set_mark(connection, LAST_PUBLISHED, now.isoformat())
    return published
