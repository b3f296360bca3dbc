"""After a restore, a run begins by learning what Claire holds, so that it can ask the DMS for what it lacks itself."""

from __future__ import annotations

from autoflex_pipeline.claire import comparing, mirror
from autoflex_pipeline.claire.client import ClaireUnreachableError
from autoflex_pipeline.errors import PipelineError
from autoflex_pipeline.runs.context import RunContext
from autoflex_pipeline.settings import DealerSettings
from autoflex_pipeline.state.locks import dealer_lock


def compare_restored(context: RunContext) -> None:
    """Compare each dealer of the run for which that is due; who cannot be compared now is when it is delivered."""
    with context.state.begin() as state:
        due = [dealer for dealer in context.dealers if comparing.is_due(state, dealer.id)]
    if not due:
        return

    def compare(dealer: DealerSettings) -> None:
        try:
            with dealer_lock(context.state.path, dealer.id):
                comparing.compare(dealer, context.claire.get(dealer), context.state, now=context.clock())
        except (ClaireUnreachableError, PipelineError):
            return  # it stays due, and delivery tells of it

    context.for_each(due, compare)
    with context.warehouse.open() as connection, context.state.begin() as state:
        mirror.bring_up(connection, state)
