"""How long a list is, from a handful of requests."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest

from autoflex_pipeline.sources.window import day_in
from autoflex_pipeline_tests.unit.sources.fake_autoflex import FakeAutoflex, order, vehicle


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 6, 7, 30, 31, 100, 299])
def test_the_pages_and_rows_of_a_list_are_found_exactly(count: int, bare: bool) -> None:
    fake = FakeAutoflex(vehicle=[vehicle(number) for number in range(count)])
    fake.bare = bare
    with fake.api() as api:
        size, requests = api.size_of("vehicle")
    assert (size.pages, size.rows) == (max(1, -(-count // 3)), count)
    assert requests <= 24


def test_a_long_list_costs_few_looks() -> None:
    fake = FakeAutoflex(vehicle=[vehicle(number) for number in range(6000)])
    with fake.api() as api:
        size, requests = api.size_of("vehicle")
    assert (size.pages, size.rows) == (2000, 6000)
    assert requests <= 30


def test_a_server_that_does_not_page_has_one_page() -> None:
    fake = FakeAutoflex(vehicle=[vehicle(number) for number in range(5)])
    fake.page_size, fake.bare, fake.ignores_pages = 5, True, True
    with fake.api() as api:
        size, _ = api.size_of("vehicle")
    assert (size.pages, size.rows) == (1, 5)


YEARS = (date(2016, 1, 1), date(2026, 12, 31))


@pytest.mark.parametrize(
    ("first", "last"), [(date(2021, 3, 1), date(2021, 3, 31)), (date(2017, 1, 1), date(2018, 6, 30))]
)
def test_a_month_in_ten_years_is_counted_about_right_in_a_list_that_follows_the_time(first: date, last: date) -> None:
    days = [date(2016, 1, 1) + timedelta(days=number) for number in range(3900) for _ in range(3)]
    fake = FakeAutoflex(
        order=[order(number, plan_date_from=day.isoformat()) for number, day in enumerate(days, start=1)]
    )
    fake.page_size = 10
    with fake.api() as api:
        (size,), requests = api.size_of_work_orders((first, last), day_in)
    meant = sum(first <= day <= last for day in days)
    counted = size.count(lambda text: first <= (day_in(text) or date.min) <= last)
    assert size.rows == len(days)
    assert 0.6 * meant <= counted <= 1.5 * meant, (counted, meant)
    assert requests <= 50


def test_months_are_counted_about_right_in_a_list_in_no_order() -> None:
    chance = random.Random(7)
    planned = [f"2026{chance.randint(1, 12):02d}15" for _ in range(2000)]
    fake = FakeAutoflex(order=[order(number, plan_date_from=day) for number, day in enumerate(planned, start=1)])
    fake.page_size = 20
    quarter = (date(2026, 4, 1), date(2026, 6, 30))
    with fake.api() as api:
        (size,), _ = api.size_of_work_orders(quarter, day_in)
    meant = sum(day[4:6] in ("04", "05", "06") for day in planned)
    counted = size.count(lambda text: quarter[0] <= (day_in(text) or date.min) <= quarter[1])
    assert 0.6 * meant <= counted <= 1.5 * meant, (counted, meant)


@pytest.mark.parametrize("ranges", ["ignored", "refused"])
def test_range_filters_that_do_not_work_measure_all_work_orders(ranges: str) -> None:
    fake = FakeAutoflex(
        order=[order(number, plan_date_from="20200101", order_date="20200101") for number in range(1, 11)]
    )
    fake.ranges = ranges
    with fake.api(range_filters=True) as api:
        sizes, _ = api.size_of_work_orders((date(2026, 1, 1), YEARS[1]), day_in)
    assert [size.rows for size in sizes] == [10]


def test_range_filters_that_work_measure_both_lists() -> None:
    orders = [order(number, plan_date_from="20260901", order_date="20200101") for number in range(1, 8)]
    orders += [order(number, plan_date_from="20200901", order_date="20260801") for number in range(8, 10)]
    fake = FakeAutoflex(order=orders)
    with fake.api(range_filters=True) as api:
        sizes, _ = api.size_of_work_orders((date(2026, 7, 1), YEARS[1]), day_in)
    assert [size.rows for size in sizes] == [7, 2]
