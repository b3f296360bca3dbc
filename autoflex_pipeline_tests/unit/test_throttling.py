"""How long a vendor's ``Retry-After`` asks to wait, which answers may pass, and the rate."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoflex_pipeline.throttling import RateLimit, may_pass, retry_after_seconds

NOW = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("0.25", 0.25),
        ("0", 0),
        ("-5", 0),
        ("3600", 60),
        ("Tue, 06 May 2031 07:08:29 GMT", 20),
        ("Tue, 06 May 2031 09:08:29 +0200", 20),
        ("Tue, 06 May 2031 07:08:29 -0000", 20),
        ("Tue, 06 May 2031 07:00:00 GMT", 0),
        ("Wed, 07 May 2031 07:00:00 GMT", 60),
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        (f"Tue, 06 May {10**20} 07:08:29 GMT", None),
    ],
)
def test_a_retry_after_is_seconds_up_to_the_cap_or_nothing(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, NOW, longest=60) == seconds


@given(st.text(max_size=60) | st.datetimes(timezones=st.just(UTC)).map(format_datetime))
def test_whatever_a_retry_after_says_it_asks_for_nothing_beyond_the_cap(value: str) -> None:
    seconds = retry_after_seconds(value, NOW, longest=60)
    assert seconds is None or 0 <= seconds <= 60


def test_only_answers_that_may_be_better_next_time_are_worth_a_retry() -> None:
    worth_it = {status for status in (*range(1000), 17_000) if may_pass(status)}
    assert worth_it == {408, 425, 429, *range(500, 600)}


@pytest.mark.parametrize(("per_second", "within_seconds"), [(5.0, 1.0), (0.5, 2.0)])
def test_no_more_requests_go_than_the_rate_allows(per_second: float, within_seconds: float) -> None:
    rate = RateLimit(per_second)
    assert rate._limiter is not None
    try:
        went = [rate._limiter.try_acquire("request", blocking=False) for _ in range(20)]
    finally:
        rate.close()
    assert sum(map(bool, went)) == per_second * within_seconds


@pytest.mark.parametrize(
    ("per_second", "requests", "milliseconds"),
    [(5.0, 5, 1000), (1.0, 1, 1000), (0.5, 1, 2000), (2.5, 2, 800), (3000.5, 3000, 1000)],
)
def test_a_rate_that_is_no_whole_number_is_kept_by_the_time(
    per_second: float, requests: int, milliseconds: int
) -> None:
    rate = RateLimit(per_second)
    assert rate._limiter is not None
    try:
        (bucket,) = rate._limiter.buckets()
        assert [(each.limit, each.interval) for each in bucket.rates] == [(requests, milliseconds)]
    finally:
        rate.close()


def test_a_closed_rate_leaves_the_limiters_thread_nothing_to_do_so_that_it_ends() -> None:
    rate = RateLimit(5.0)
    assert rate._limiter is not None
    rate.close()
    assert rate._limiter.buckets() == []


def test_without_a_limit_nobody_waits() -> None:
    rate = RateLimit(0)
    for _ in range(10_000):
        rate.wait_for_turn()
    rate.close()


def test_whoever_waits_for_a_turn_takes_one() -> None:
    """A mutant that asked for no turn went unnoticed."""
    rate = RateLimit(5.0)
    assert rate._limiter is not None
    try:
        for _ in range(5):
            rate.wait_for_turn()
        assert not rate._limiter.try_acquire("request", blocking=False)
    finally:
        rate.close()
