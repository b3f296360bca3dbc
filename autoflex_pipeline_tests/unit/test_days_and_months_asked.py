"""Days and months as people give them on the command line: what is wrong is repeated, with what to do."""

from __future__ import annotations

import pytest

from autoflex_pipeline.cli.month_range import both_ends
from autoflex_pipeline.errors import ConfigurationError
from autoflex_pipeline.orchestration.resources import day_of


def test_a_day_that_is_none_is_repeated() -> None:
    with pytest.raises(ConfigurationError, match=r"^--day '2026-13-01' must be YYYY-MM-DD, such as 2026-11-27$"):
        day_of("2026-13-01", "--day")


@pytest.mark.parametrize(
    ("first", "last", "meant"),
    [
        ("2026-09", "2026-10", ("2026-09", "2026-10")),
        ("2026-09", None, ("2026-09", "2026-11")),
        (None, "2027-01", ("2026-11", "2027-01")),
    ],
)
def test_an_end_that_is_left_out_is_the_current_month(first: str, last: str, meant: tuple[str, str]) -> None:
    assert both_ends(first, last, current="2026-11") == meant


def test_one_end_alone_on_the_wrong_side_of_the_current_month_says_which_is_missing() -> None:
    """Regression: it said that the two were to be exchanged, and there was only one."""
    with pytest.raises(
        ConfigurationError,
        match=r"^--to is missing, and is then the current month, 2026-11, which lies before --from 2027-06: give --to",
    ):
        both_ends("2027-06", None, current="2026-11")
    with pytest.raises(
        ConfigurationError,
        match=r"^--from is missing, and is then the current month, 2026-11, which lies after --to 2026-09: give --from",
    ):
        both_ends(None, "2026-09", current="2026-11")


def test_a_month_that_is_none_is_repeated() -> None:
    with pytest.raises(ConfigurationError, match=r"^--from/--to: month '2026-13' must be YYYY-MM"):
        both_ends("2026-13", None, current="2026-11")
