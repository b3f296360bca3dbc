"""Which orders lie in a window, judged from the raw record."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from autoflex_pipeline.sources.autoflex_api.pages import Record
from autoflex_pipeline.sources.window import appointment_day, is_open, month_bounds, months_between


def order(**values: Any) -> Record:
    return Record("order", "7", None, json.dumps(values), "order?page=1", 1)


@pytest.mark.parametrize(
    "planned", ["20260903", "20260903T083000", "2026-09-03", "2026-09-03T08:30:00", "03-09-2026", "03-09-2026 08:30"]
)
def test_the_planned_day_decides_in_every_form_of_a_date(planned: str) -> None:
    assert appointment_day(order(plan_date_from=planned, order_date="20250101")) == date(2026, 9, 3)


@pytest.mark.parametrize("planned", [None, "", "  "])
def test_without_a_planned_day_the_day_of_the_order_decides(planned: object) -> None:
    assert appointment_day(order(plan_date_from=planned, order_date="20260903")) == date(2026, 9, 3)


@pytest.mark.parametrize("planned", ["soon", "20261399", 0])
def test_an_unreadable_planned_day_is_not_replaced_by_the_day_of_the_order(planned: object) -> None:
    assert appointment_day(order(plan_date_from=planned, order_date="20260903")) is None


def test_an_order_without_any_readable_day_has_none() -> None:
    assert appointment_day(order(order_date="x")) is None
    assert appointment_day(Record("order", "7", None, "[]", "order?page=1", 1)) is None


@pytest.mark.parametrize(
    ("flag", "expected"), [(0, True), (None, True), ("0", True), (1, False), ("1", False), (True, False)]
)
def test_an_order_is_open_unless_it_is_invoiced(flag: object, expected: bool) -> None:
    assert is_open(order(is_invoiced=flag)) is expected


def test_months_run_over_the_year() -> None:
    assert months_between("2025-11", "2026-02") == ["2025-11", "2025-12", "2026-01", "2026-02"]
    assert month_bounds("2024-02") == (date(2024, 2, 1), date(2024, 2, 29))


@pytest.mark.parametrize("wrong", ["2026-13", "2026-00", "2026", "26-01", "2026-1", "2026-01-01", ""])
def test_what_is_no_month_is_refused_with_its_form(wrong: str) -> None:
    with pytest.raises(ValueError, match="YYYY-MM"):
        month_bounds(wrong)


def test_months_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match="exchange"):
        months_between("2026-02", "2026-01")
