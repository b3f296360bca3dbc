"""What a month may lose and still be believed."""

from __future__ import annotations

from datetime import date

import pytest

from autoflex_pipeline.runs.month_guard import lost_months
from autoflex_pipeline.settings import DealerSettings

SEPTEMBER, OCTOBER = (date(2026, 9, 1), date(2026, 9, 30)), (date(2026, 10, 1), date(2026, 10, 31))


@pytest.mark.parametrize(
    ("of", "lost", "is_believed"),
    [(10, 3, True), (16, 4, True), (16, 5, False), (17, 5, True), (3, 3, False), (2, 2, True), (4, 3, True)],
)
def test_a_month_may_lose_some_and_not_many(of: int, lost: int, is_believed: bool) -> None:
    dealer = DealerSettings(id="d", name="d", claire_location_id="1")
    orders = [str(number) for number in range(of)]
    found = lost_months(dealer, {SEPTEMBER: orders}, orders[:lost])
    assert found == ({} if is_believed else {SEPTEMBER: lost})


def test_each_month_is_measured_by_itself() -> None:
    """One month that broke is hidden by eleven that did not."""
    dealer = DealerSettings(id="d", name="d", claire_location_id="1")
    staged = {SEPTEMBER: [f"9-{number}" for number in range(6)], OCTOBER: [f"10-{number}" for number in range(100)]}
    assert lost_months(dealer, staged, staged[SEPTEMBER]) == {SEPTEMBER: 6}
