"""A month that would lose rows is not believed: the measure of the mass-change guard, over each month by itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

from autoflex_pipeline.claire.policies import EMPTIED_AT_LEAST, GUARD_AT_LEAST
from autoflex_pipeline.settings import DealerSettings

Month = tuple[date, date]
"""First and last day."""


def lost_months(
    dealer: DealerSettings, staged: Mapping[Month, Collection[str]], lost: Collection[str]
) -> dict[Month, int]:
    """The months that lose too many of the orders ``staged`` in them to be believed, with how many.

    Too many is more than ``guard_max_change`` of them and at least 5; or all of them, and at least 3.
    """
    counts = {month: len(set(lost).intersection(orders)) for month, orders in staged.items()}
    return {
        month: count
        for month, count in counts.items()
        if (count >= GUARD_AT_LEAST and count > dealer.guard_max_change * len(staged[month]))
        or (count >= EMPTIED_AT_LEAST and count == len(staged[month]))
    }


def disbelief(dealer: DealerSettings, staged: Mapping[Month, Collection[str]], months: Mapping[Month, int]) -> str:
    """Why nothing is concluded, and what to do."""
    told = ", ".join(
        f"{count} of the {len(staged[month])} orders staged in {month[0]:%Y-%m}" for month, count in months.items()
    )
    return (
        f"dealer {dealer.id!r}: Autoflex's list of work orders lacks {told}: not believed, nothing is concluded from "
        "what it lacks; look in Autoflex, and if it is right, run the same months with --allow-mass-change"
    )
