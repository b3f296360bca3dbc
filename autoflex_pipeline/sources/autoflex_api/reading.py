"""The reading questions: what a dealer's DMS can be asked, and what is known after the answer.

Errors never lose what was read: the reading is then not complete and says why. Only refused or missing credentials are
raised.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import TracebackType
from typing import Self

import httpx

from autoflex_pipeline.model import dms_name
from autoflex_pipeline.settings import Credentials, DealerSettings
from autoflex_pipeline.sources.autoflex_api import names
from autoflex_pipeline.sources.autoflex_api.body import as_text, read_list
from autoflex_pipeline.sources.autoflex_api.by_value import Found, read_lines, read_records
from autoflex_pipeline.sources.autoflex_api.client import DEADLINE_SECONDS, Tally
from autoflex_pipeline.sources.autoflex_api.connection import Connection, utc_now
from autoflex_pipeline.sources.autoflex_api.failures import FilterIgnoredError, RefusedRequestError
from autoflex_pipeline.sources.autoflex_api.pages import Crawl, Record, unite
from autoflex_pipeline.sources.autoflex_api.question import Filter, Question, is_absent, is_flag_set
from autoflex_pipeline.sources.autoflex_api.sizing import DayOf, Days, ListSize, measure

ORDER = names.ORDER.text


@dataclass(frozen=True, slots=True)
class Reading:
    """The answer to one question.

    ``records`` are distinct by key (the last one read wins; those without a key are all kept), in the DMS's order.
    ``complete``: every page was read, and the filter is known to be honoured or was applied here. ``error``: why it
    broke off. ``pages``: how many pages a whole crawl had. ``not_found``: ids asked for by id that the DMS says do not
    exist. ``read_ids``: ids asked for of which everything was read, or which do not exist. ``refused``: the DMS refused
    the list as a whole.
    """

    entity: str
    records: tuple[Record, ...]
    complete: bool
    error: str | None
    requests: int
    pages: int | None
    not_found: frozenset[str] = frozenset()
    read_ids: frozenset[str] = frozenset()
    refused: bool = False


class AutoflexApi:
    """One dealer's Autoflex; thread-safe; keeps its token and its connections until it is closed.

    ``deadline_seconds`` bounds what one call spends on trying again (and on waiting for a free session).
    """

    def __init__(
        self,
        dealer: DealerSettings,
        credentials: Credentials,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], object] | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self.connection = Connection(
            dealer,
            credentials,
            transport=transport,
            clock=clock,
            sleep=sleep,
            deadline_seconds=deadline_seconds,
        )

    def __repr__(self) -> str:
        return f"<AutoflexApi of dealer {self.connection.dealer.id!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give up what still runs, close the connections, forget the token."""
        self.connection.close()

    @property
    def told_time(self) -> datetime | None:
        """The moment on the DMS's own clock, as its newest answer told it; None when it tells none."""
        return self.connection.told_time

    def open_orders(self) -> Reading:
        """The orders that are not invoiced, of every type; invoiced ones that come all the same are left out."""
        billed = dms_name("appointment", "is_billed")
        question = Question(
            ORDER, Filter(billed, "0"), judged=(billed,), in_scope=lambda row: not is_flag_set(row.values[0])
        )
        return self._crawl(question, Tally())

    def work_orders(self) -> Reading:
        """Every work order, invoiced or not, and every order without a type; other types are left out."""
        return self._work_orders(Tally())

    def work_orders_since(self, first: date) -> Reading:
        """Every work order planned on ``first`` or later, or made then; possibly more.

        With ``range_filters`` two crawls, by planned date and by order date. A DMS that ignores or refuses the
        operator, or answers with nothing at all, is asked for all work orders instead.
        """
        tally = Tally()
        if not self.connection.api.range_filters:
            return self._work_orders(tally)
        crawls: list[Crawl] = []
        for field in ("scheduled_in_at", "created_at"):
            crawl = self.connection.crawl(_since(dms_name("appointment", field), first), tally)
            if crawl.filter_ignored or crawl.refused or (crawl.complete and not crawl.rows):
                return self._work_orders(tally)
            crawls.append(crawl)
            if crawl.error:
                break
        return _reading(ORDER, crawls, tally)

    def size_of_work_orders(self, days: Days, day_of: DayOf) -> tuple[list[ListSize], int]:
        """How long the lists are that ``work_orders_since`` would read, and the requests that it took to find out.

        They are looked at closer where ``days`` (first and last) may lie; ``day_of`` gives the day of an order's text.
        SourceError when the DMS does not answer.
        """
        tally = Tally()

        def measured(question: Question) -> ListSize:
            return measure(self.connection, question, tally, days=days, day_of=day_of)

        if self.connection.api.range_filters:
            questions = [_since(dms_name("appointment", field), days[0]) for field in ("scheduled_in_at", "created_at")]
            try:
                sizes = [measured(question) for question in questions]
            except (FilterIgnoredError, RefusedRequestError):
                sizes = []
            if sizes and all(size.rows for size in sizes):
                return sizes, tally.requests
        return [measured(_all_work_orders())], tally.requests

    def size_of(self, entity: str) -> tuple[ListSize, int]:
        """How long the whole list of ``entity`` is, and the requests that it took to find out."""
        tally = Tally()
        return measure(self.connection, Question(entity), tally), tally.requests

    def by_ids(self, entity: str, ids: Collection[str]) -> Reading:
        """The records of ``entity`` with these ids, by id or by whole pages, whichever is fewer requests."""
        tally = Tally()
        wanted = _distinct(ids)
        found = read_records(self.connection, entity, wanted, tally) if wanted else Found(())
        return _found(entity, found, tally, not_found=found.empty)

    def lines_of(self, order_ids: Collection[str], *, by_id: bool = False) -> Reading:
        """All lines of these orders, by order or by whole pages, whichever is fewer requests.

        ``read_ids`` are the orders whose lines were read completely. ``by_id`` asks order by order in any case: rows
        that move between the pages of a whole list can be missed.
        """
        tally = Tally()
        wanted = _distinct(order_ids)
        found = read_lines(self.connection, wanted, tally, force_by_id=by_id) if wanted else Found(())
        return _found(names.ORDER_LINE.text, found, tally, not_found=frozenset())

    def find(self, entity: str, field: str, value: str) -> Reading:
        """The records whose ``field`` (the DMS's name) equals ``value``, capitals aside: an order_number, a plate."""
        wanted = value.strip()
        question = Question(
            entity,
            Filter(field, wanted),
            judged=(field,),
            in_scope=lambda row: (as_text(row.values[0]) or "").casefold() == wanted.casefold(),
        )
        return self._crawl(question, Tally())

    def code_list(self, name: str) -> dict[str, int] | None:
        """A list of codes in either shape; None when the answer has neither. SourceError when it cannot be read."""
        path = names.UTIL_LIST.text
        answer = self.connection.call(path, f"{names.LIST.text}={name}", f"{path}?{names.LIST.text}={name}", Tally())
        return read_list(answer.payload, name)

    def _work_orders(self, tally: Tally) -> Reading:
        return self._crawl(_all_work_orders(), tally)

    def _crawl(self, question: Question, tally: Tally) -> Reading:
        return _reading(question.entity, [self.connection.crawl(question, tally)], tally)


def _all_work_orders() -> Question:
    type_field = names.ORDER_TYPE.text
    return Question(
        ORDER,
        Filter(type_field, str(names.KNOWN_ORDER_TYPES[names.WORKSHOP])),
        judged=(type_field,),
        in_scope=lambda row: not _is_other_type(row.values[0]),
    )


def _since(field: str, first: date) -> Question:
    return Question(
        ORDER,
        Filter(field, first.strftime(names.DATE_IN_FILTER.text), names.GTE.text),
        judged=(names.ORDER_TYPE.text, field),
        in_scope=lambda row: not _is_other_type(row.values[0]),
        contradicts=lambda row: is_absent(row.values[1]) or _is_before(row.values[1], first),
    )


def _is_other_type(value: object) -> bool:
    """Whether the order is of a known type other than WORKSHOP, by code or by name."""
    text = (as_text(value) or "").upper()
    return any(text in (name, str(code)) for name, code in names.KNOWN_ORDER_TYPES.items() if name != names.WORKSHOP)


def _is_before(value: object, first: date) -> bool:
    """Whether a date of the DMS lies before ``first``; False for one that is unreadable."""
    digits = (as_text(value) or "").replace("-", "")[:8]
    return len(digits) == 8 and digits.isdecimal() and digits < first.isoformat().replace("-", "")


def _distinct(ids: Collection[str]) -> list[str]:
    return [value for value in dict.fromkeys(text.strip() for text in ids) if value]


def _reading(entity: str, crawls: Sequence[Crawl], tally: Tally) -> Reading:
    error = next((crawl.error for crawl in crawls if crawl.error), None)
    return Reading(
        entity=entity,
        records=unite(entity, [crawl.records for crawl in crawls]) if len(crawls) > 1 else crawls[0].records,
        complete=error is None,
        error=error,
        requests=tally.requests,
        pages=None if error else sum(crawl.pages or 0 for crawl in crawls),
        refused=all(crawl.refused for crawl in crawls),
    )


def _found(entity: str, found: Found, tally: Tally, *, not_found: frozenset[str]) -> Reading:
    return Reading(
        entity=entity,
        records=found.records,
        complete=found.error is None,
        error=found.error,
        requests=tally.requests,
        pages=found.pages,
        not_found=not_found,
        read_ids=found.read,
    )
