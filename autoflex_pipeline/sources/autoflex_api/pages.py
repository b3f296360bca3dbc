"""Reads a list page by page: to its end, in waves, and again when rows moved between its pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from autoflex_pipeline.errors import SourceError
from autoflex_pipeline.sources.autoflex_api.failures import FilterIgnoredError, RefusedRequestError
from autoflex_pipeline.sources.autoflex_api.workers import Workers

MAX_PAGES = 20_000
MAX_CRAWL_CHARACTERS = 1_000_000_000
"""Of all records of one list: a DMS that never ends must not fill the memory before it has filled the pages."""

MAX_STALLED_PAGES = 3
"""Pages in a row that bring nothing new, after which a list is taken to repeat itself for ever."""

MAX_PASSED_OVER = 10
"""Pages that fail one by one while the others come, in one reading; beyond them the list is given up."""

MAX_CRAWLS = 3
"""A crawl, and two more when rows were seen to move between its pages."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the DMS, as it came.

    ``entity`` is the DMS's kind (order, order_line, vehicle, relation); ``key`` the value of its id field as text (None
    when that is missing or unusable); ``parent`` the order of an order_line; ``text`` its JSON verbatim; ``source`` the
    request that brought it, without credentials; ``ordinal`` its place in the whole answer, from 1.
    """

    entity: str
    key: str | None
    parent: str | None
    text: str
    source: str
    ordinal: int


class Row(NamedTuple):
    """One row of an answer, on its way to a record. ``values`` are those of the fields judged (UNSET when absent)."""

    text: str
    key: str | None
    parent: str | None
    source: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """One page: the rows in scope, and of all its rows the keys, and the texts of those without a key.

    ``has_next`` is None where the answer does not say (a bare array).
    """

    number: int
    found: Sequence[Row]
    rows: int
    keys: frozenset[str]
    keyless: frozenset[str]
    has_next: bool | None

    @property
    def characters(self) -> int:
        """How much of its text is kept."""
        return sum(len(row.text) for row in self.found) + sum(map(len, self.keyless))

    @property
    def is_last(self) -> bool:
        """Whether nothing follows: the DMS says so, or an answer that never says so is empty."""
        return self.has_next is False or (self.has_next is None and not self.rows)


@dataclass(frozen=True, slots=True)
class Crawl:
    """A list as it was read: distinct records in scope, whether its end was reached, and why not.

    ``rows`` counts those of the last reading, also out of scope; ``refused``: the DMS refused the very first page.
    """

    records: tuple[Record, ...]
    pages: int | None
    error: str | None
    rows: int
    filter_ignored: bool = False
    refused: bool = False

    @property
    def complete(self) -> bool:
        """Whether every page was read."""
        return self.error is None and not self.filter_ignored


Fetch = Callable[[int], Page]


@dataclass(slots=True)
class _Round:
    """One reading of a list: its pages, and why it broke off.

    ``next_page`` is the one to go on with where a page failed.
    """

    pages: list[Page]
    error: str | None = None
    next_page: int | None = None
    filter_ignored: bool = False
    refused: bool = False

    @property
    def found(self) -> list[Row]:
        """The rows in scope, in the order of the pages."""
        return [row for page in self.pages for row in page.found]

    @property
    def shifted(self) -> bool:
        """Whether a key stands on two pages."""
        return sum(len(page.keys) for page in self.pages) > len(frozenset().union(*(page.keys for page in self.pages)))


def crawl(
    entity: str,
    fetch: Fetch,
    workers: Workers,
    *,
    expected_pages: int | None = None,
    enough: Callable[[Page], bool] | None = None,
) -> Crawl:
    """Read all pages, or up to one that is ``enough``. ``expected_pages`` (how many there were the last time) are asked
    for at once.

    A key on two pages shows that rows moved meanwhile, and one that moved up may have been missed: then the list is
    read again (up to twice) and the readings are united, the last one read winning. A page that fails costs no other:
    those after it are read too, as long as any comes; the list is then incomplete.
    """
    rounds: list[_Round] = []
    while True:
        latest = _past_failed_pages(
            _read_once(fetch, workers, expected_pages, enough),
            lambda number: _read_once(fetch, workers, None, enough, first=number),
        )
        rounds.append(latest)
        if latest.error is not None or not latest.shifted or len(rounds) == MAX_CRAWLS:
            return Crawl(
                records=unite(entity, [one.found for one in rounds]),
                pages=None if latest.error else len(latest.pages),
                error=latest.error,
                rows=sum(page.rows for page in latest.pages),
                filter_ignored=latest.filter_ignored,
                refused=latest.refused,
            )
        expected_pages = len(latest.pages)


def _past_failed_pages(begun: _Round, read_from: Callable[[int], _Round]) -> _Round:
    """A reading and what follows the pages that failed in it; two in a row end it: the DMS is gone."""
    pages, latest = begun.pages, begun
    for _ in range(MAX_PASSED_OVER):
        if latest.next_page is None or not latest.pages:
            break
        latest = read_from(latest.next_page)
        pages = pages + latest.pages
    return replace(begun, pages=pages)


def _read_once(
    fetch: Fetch,
    workers: Workers,
    expected_pages: int | None,
    enough: Callable[[Page], bool] | None,
    first: int = 1,
) -> _Round:
    pages: list[Page] = []
    seen: tuple[set[str], set[str]] = (set(), set())
    stalled = characters = 0
    while True:
        number = first + len(pages)
        numbers = range(number, min(number + _wave(len(pages), expected_pages, workers.width), MAX_PAGES + 1))
        if not numbers:
            return _Round(pages, f"there are more than {MAX_PAGES} pages; the rest was not read")
        # Pages of a wave may lie beyond the end, where a DMS may refuse them: that says nothing about the others.
        outcomes = workers.map(fetch, numbers, go_on_after=(RefusedRequestError,))
        for place, outcome in enumerate(outcomes):
            if outcome.value is None:
                later = [other.value for other in outcomes[place:] if other.value is not None]
                # One that was left out because another had failed is still to be asked for.
                next_page = outcome.item if outcome.error is None else outcome.item + 1
                return _broken_off(pages + later, next_page, [other.error for other in outcomes[place:]])
            page = outcome.value
            pages.append(page)
            characters += page.characters
            if characters > MAX_CRAWL_CHARACTERS:
                return _Round(pages, f"there are more than {MAX_CRAWL_CHARACTERS} characters; the rest was not read")
            stalled = stalled + 1 if seen[0] >= page.keys and seen[1] >= page.keyless else 0
            seen[0].update(page.keys)
            seen[1].update(page.keyless)
            if page.is_last or (enough is not None and enough(page)):
                return _Round(pages)
            if stalled >= MAX_STALLED_PAGES:
                return _repeating(pages)


def _wave(pages_read: int, expected_pages: int | None, width: int) -> int:
    """How many pages to ask for at once: what is expected, else so few that at most a quarter is asked in vain."""
    if expected_pages is not None and pages_read < expected_pages:
        return expected_pages - pages_read
    return max(1, min(width, pages_read // 4))


def _repeating(pages: list[Page]) -> _Round:
    """Pages that bring nothing new: a bare array that is not paged ends there, a list that promises more is broken."""
    if all(page.has_next is None for page in pages):
        return _Round(pages[:-MAX_STALLED_PAGES])
    return _Round(
        pages,
        f"page {pages[-1].number} and those before it bring nothing new, yet the DMS says that more follow; "
        "what came is used, the next run tries again",
    )


def _broken_off(pages: list[Page], next_page: int, errors: list[SourceError | None]) -> _Round:
    """A reading that failed: with its first error, or, where pages were asked for at once, with the ignored filter."""
    known = [error for error in errors if error is not None]
    ignored = next((error for error in known if isinstance(error, FilterIgnoredError)), None)
    return _Round(
        pages,
        str(ignored or known[0]),
        next_page=next_page if ignored is None else None,
        filter_ignored=ignored is not None,
        refused=not pages and isinstance(known[0], RefusedRequestError),
    )


def unite(entity: str, rounds: Sequence[Sequence[Row | Record]]) -> tuple[Record, ...]:
    """Distinct records in the order the DMS gave them, numbered from 1; of one key the last one read.

    One that is given twice in a round keeps its first place, unless it belongs to another order by then.
    Records without a key are told apart by their text: as many equal ones stay as one reading held.
    """
    if len(rounds) == 1 and None not in (keys := {row.key for row in rounds[0]}) and len(keys) == len(rounds[0]):
        return _numbered(entity, rounds[0])  # nearly always so, and a look at a dealer does little else
    latest: dict[tuple[str | None, str, int], tuple[int, int, Row | Record]] = {}
    for number, rows in enumerate(rounds):
        keyless: Counter[str] = Counter()
        for place, row in enumerate(rows):
            keyless[row.text] += row.key is None
            identity = (row.key, "", 0) if row.key is not None else (None, row.text, keyless[row.text])
            before = latest.get(identity)
            keeps = before is not None and before[1] == number and before[2].parent == row.parent
            latest[identity] = (before[0] if before is not None and keeps else place, number, row)
    return _numbered(entity, [row for _, _, row in sorted(latest.values(), key=lambda entry: entry[:2])])


def _numbered(entity: str, rows: Sequence[Row | Record]) -> tuple[Record, ...]:
    return tuple(
        [Record(entity, row.key, row.parent, row.text, row.source, place) for place, row in enumerate(rows, start=1)]
    )
