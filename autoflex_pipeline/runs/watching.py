"""Whether it is as usual: the verdicts of ``autoflex_pipeline.quality`` for the dealers of an installation."""

from __future__ import annotations

from autoflex_pipeline.quality import JudgedDealer, Verdict, judge
from autoflex_pipeline.runs.context import RunContext


def verdicts(context: RunContext) -> list[Verdict]:
    """Every verdict over all dealers, whichever the run takes, as of the run's moment."""
    dealers = [JudgedDealer(dealer.id, dealer.timezone, dealer.waiting_hours) for dealer in context.settings.dealers]
    with context.warehouse.open() as connection:
        return judge(connection, dealers, context.clock())
