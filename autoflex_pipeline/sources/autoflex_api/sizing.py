"""How long a list of the DMS is, and how much of it lies in some days, from a handful of requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from autoflex_pipeline.sources.autoflex_api.client import Tally
from autoflex_pipeline.sources.autoflex_api.connection import Connection
from autoflex_pipeline.sources.autoflex_api.failures import RefusedRequestError
from autoflex_pipeline.sources.autoflex_api.pages import MAX_PAGES, Page
from autoflex_pipeline.sources.autoflex_api.question import Question

SPREAD = 8
"""Pages looked at all over the list."""

CLOSER = 12
"""More of them where the days may lie: lists mostly follow the time, and a month is a small part of ten years."""

Days = tuple[date, date]
DayOf = Callable[[str], date | None]


@dataclass(frozen=True, slots=True)
class ListSize:
    """A list: its pages, its rows (about), and the rows in scope of some pages as JSON texts.

    Each page looked at stands for those around it, as many as ``stands_for`` says.
    """

    pages: int
    rows: int
    sample: tuple[tuple[str, ...], ...]
    stands_for: tuple[float, ...]

    def count(self, is_meant: Callable[[str], bool]) -> int:
        """About how many rows of the whole list are meant."""
        each = (sum(map(is_meant, texts)) for texts in self.sample)
        return round(sum(number * weight for number, weight in zip(each, self.stands_for, strict=True)))


class _Looked:
    """The pages that were looked at; a page beyond the end of the list is None."""

    def __init__(self, connection: Connection, question: Question, tally: Tally) -> None:
        self._connection, self._question, self._tally = connection, question, tally
        self.pages: dict[int, Page] = {}

    def page(self, number: int) -> Page | None:
        if number not in self.pages:
            try:
                found = self._connection.fetch_page(self._question, number, self._tally)
            except RefusedRequestError:  # some servers refuse a page beyond the end
                if number == 1:
                    raise
                return None
            # A server that does not page gives the first page again and again.
            if number > 1 and (not found.rows or found.keys == self.pages[1].keys):
                return None
            self.pages[number] = found
        return self.pages[number]


def measure(
    connection: Connection, question: Question, tally: Tally, *, days: Days | None = None, day_of: DayOf | None = None
) -> ListSize:
    """Find the last page by doubling and halving, then look at some between, closer where ``days`` may lie.

    SourceError when a request fails.
    """
    looked = _Looked(connection, question, tally)
    last = _last_page(looked.page)
    if days is not None and day_of is not None:
        for part in range(1, SPREAD):
            looked.page(max(1, round(last * part / SPREAD)))
        for _ in range(CLOSER):
            gap = _widest_gap(looked.pages, last, days, day_of)
            if gap is None:
                break
            looked.page((gap[0] + gap[1]) // 2)
    numbers = sorted(looked.pages)
    a_page = max(page.rows for page in looked.pages.values())
    return ListSize(
        pages=last,
        rows=a_page * (last - 1) + looked.pages[last].rows,
        sample=tuple(tuple(row.text for row in looked.pages[number].found) for number in numbers),
        stands_for=_stretches(numbers, last),
    )


def _last_page(page: Callable[[int], Page | None]) -> int:
    """The number of the last page that has rows; 1 for an empty list."""
    known, beyond = 1, 2
    first = page(1)
    if first is None or first.is_last:
        return 1
    while beyond <= MAX_PAGES and (found := page(beyond)) is not None:
        if found.is_last:
            return beyond
        known, beyond = beyond, beyond * 2
    while beyond - known > 1:
        middle = (known + beyond) // 2
        found = page(middle)
        if found is None:
            beyond = middle
        elif found.is_last:
            return middle
        else:
            known = middle
    return known


def _widest_gap(pages: dict[int, Page], last: int, days: Days, day_of: DayOf) -> tuple[int, int] | None:
    """The pages around the widest stretch not looked at that may hold the days, if the list follows the time."""
    spans = {number: [day for row in page.found if (day := day_of(row.text))] for number, page in pages.items()}
    gaps = []
    for before, after in pairwise(sorted(number for number in pages if number <= last)):
        around = spans[before] + spans[after]
        may_hold = not around or (min(around) <= days[1] and max(around) >= days[0])
        if after - before > 1 and may_hold:
            gaps.append((before, after))
    return max(gaps, key=lambda gap: gap[1] - gap[0], default=None)


def _stretches(numbers: list[int], last: int) -> tuple[float, ...]:
    """How many pages each page looked at stands for: itself, and half of those on the way to its neighbours.

    The last page may be a short one: it stands for itself alone.
    """
    if len(numbers) == 1:
        return (1.0,)
    stretches = dict.fromkeys(numbers, 1.0)
    for before, after in pairwise(numbers):
        between = after - before - 1
        if after == last:
            stretches[before] += between
        else:
            stretches[before] += between / 2
            stretches[after] += between / 2
    return tuple(stretches[number] for number in numbers)
