"""Reads a list page by page: to its end, in waves, and again when rows moved between its pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from autoflex_pipeline.errors import SourceError
from autoflex_pipeline.sources.autoflex_api.failures import FilterIgnoredError, RefusedRequestError
from autoflex_pipeline.sources.autoflex_api.workers import Workers

MAX_PAGES = 20_000
MAX_STALLED_PAGES = 3
"""Pages in a row that bring nothing new, after which a list is taken to repeat itself for ever."""

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


@dataclass(frozen=True, slots=True)
class Page:
    """One page: the records in scope, and of all its rows the keys, and the texts of those without a key.

    ``has_next`` is None where the answer does not say (a bare array).
    """

    number: int
    records: tuple[Record, ...]
    rows: int
    keys: frozenset[str]
    keyless: frozenset[str]
    has_next: bool | None

    @property
    def is_last(self) -> bool:
        """Whether nothing follows: the DMS says so, or an answer that never says so is empty."""
        return self.has_next is False or (self.has_next is None and not self.rows)


@dataclass(frozen=True, slots=True)
class Crawl:
    """A list as it was read: the records in scope, whether its end was reached, and why not.

    ``rows`` counts those of the last reading, also out of scope; ``refused``: the DMS refused the very first page.
    """

    records: tuple[Record, ...]
    pages: int | None
    error: str | None
    rows: int
    shifted: bool = False
    filter_ignored: bool = False
    refused: bool = False

    @property
    def complete(self) -> bool:
        """Whether every page was read."""
        return self.error is None and not self.filter_ignored


Fetch = Callable[[int], Page]


def crawl(
    fetch: Fetch,
    workers: Workers,
    *,
    expected_pages: int | None = None,
    enough: Callable[[Page], bool] | None = None,
) -> Crawl:
    """Read all pages, or up to one that is ``enough``. ``expected_pages`` (how many there were the last time) are asked
    for at once.

    A key on two pages shows that rows moved meanwhile, and one that moved up may have been missed: then the list is
    read again (up to twice) and the readings are united, the last one read winning.
    """
    rounds: list[Crawl] = []
    while True:
        latest = _read_once(fetch, workers, expected_pages, enough)
        rounds.append(latest)
        if not latest.complete or not latest.shifted or len(rounds) == MAX_CRAWLS:
            return replace(latest, records=unite([one.records for one in rounds]))
        expected_pages = latest.pages


def _read_once(
    fetch: Fetch, workers: Workers, expected_pages: int | None, enough: Callable[[Page], bool] | None
) -> Crawl:
    pages: list[Page] = []
    seen: tuple[set[str], set[str]] = (set(), set())
    stalled = 0
    while True:
        first = len(pages) + 1
        numbers = range(first, min(first + _wave(len(pages), expected_pages, workers.width), MAX_PAGES + 1))
        if not numbers:
            return _result(pages, f"there are more than {MAX_PAGES} pages; the rest was not read")
        # Pages of a wave may lie beyond the end, where a DMS may refuse them: that says nothing about the others.
        outcomes = workers.map(fetch, numbers, go_on_after=(RefusedRequestError,))
        for place, outcome in enumerate(outcomes):
            if outcome.value is None:
                later = [other.value for other in outcomes[place:] if other.value is not None]
                return _broken_off(pages + later, [other.error for other in outcomes[place:]])
            page = outcome.value
            pages.append(page)
            stalled = stalled + 1 if seen[0] >= page.keys and seen[1] >= page.keyless else 0
            seen[0].update(page.keys)
            seen[1].update(page.keyless)
            if page.is_last or (enough is not None and enough(page)):
                return _result(pages, None)
            if stalled >= MAX_STALLED_PAGES:
                return _repeating(pages)


def _wave(pages_read: int, expected_pages: int | None, width: int) -> int:
    """How many pages to ask for at once: what is expected, else so few that at most a quarter is asked in vain."""
    if expected_pages is not None and pages_read < expected_pages:
        return expected_pages - pages_read
    return max(1, min(width, pages_read // 4))


def _repeating(pages: list[Page]) -> Crawl:
    """Pages that bring nothing new: a bare array that is not paged ends there, a list that promises more is broken."""
    if all(page.has_next is None for page in pages):
        return _result(pages[:-MAX_STALLED_PAGES], None)
    return _result(
        pages,
        f"page {pages[-1].number} and those before it bring nothing new, yet the DMS says that more follow; "
        "what came is used, the next run tries again",
    )


def _broken_off(pages: list[Page], errors: list[SourceError | None]) -> Crawl:
    """A reading that failed: with its first error, or, where pages were asked for at once, with the ignored filter."""
    known = [error for error in errors if error is not None]
    ignored = next((error for error in known if isinstance(error, FilterIgnoredError)), None)
    return replace(
        _result(pages, str(ignored or known[0])),
        filter_ignored=ignored is not None,
        refused=not pages and isinstance(known[0], RefusedRequestError),
    )


def _result(pages: list[Page], error: str | None) -> Crawl:
    on_pages = Counter(key for page in pages for key in page.keys)
    return Crawl(
        records=tuple(record for page in pages for record in page.records),
        pages=len(pages) if error is None else None,
        error=error,
        rows=sum(page.rows for page in pages),
        shifted=any(count > 1 for count in on_pages.values()),
    )


def unite(rounds: Sequence[Sequence[Record]]) -> tuple[Record, ...]:
    """Distinct records in the order the DMS gave them, numbered from 1; of one key the last one read.

    Records without a key are told apart by their text: as many equal ones stay as one reading held.
    """
    if len(rounds) == 1 and None not in (keys := {record.key for record in rounds[0]}) and len(keys) == len(rounds[0]):
        return _numbered(rounds[0])  # nearly always so, and a look at a dealer does little else
    latest: dict[tuple[str | None, str, int], tuple[int, int, Record]] = {}
    for number, records in enumerate(rounds):
        keyless: Counter[str] = Counter()
        for place, record in enumerate(records):
            keyless[record.text] += record.key is None
            identity = (record.key, "", 0) if record.key is not None else (None, record.text, keyless[record.text])
            latest[identity] = (place, number, record)
    return _numbered([record for _, _, record in sorted(latest.values(), key=lambda entry: entry[:2])])


def _numbered(records: Sequence[Record]) -> tuple[Record, ...]:
    return tuple(
        record
        if record.ordinal == place
        else Record(record.entity, record.key, record.parent, record.text, record.source, place)
        for place, record in enumerate(records, start=1)
    )
