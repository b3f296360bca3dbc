"""Reads the records that belong to given ids: vehicles by vehicle_id, the lines of orders by order_id."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from autoflex_pipeline.errors import SourceError
from autoflex_pipeline.sources.autoflex_api import names
from autoflex_pipeline.sources.autoflex_api.body import as_text
from autoflex_pipeline.sources.autoflex_api.client import Tally
from autoflex_pipeline.sources.autoflex_api.connection import Connection
from autoflex_pipeline.sources.autoflex_api.effort import by_value_is_cheaper
from autoflex_pipeline.sources.autoflex_api.pages import Crawl, Record, Row, unite
from autoflex_pipeline.sources.autoflex_api.question import Filter, Question

MAX_REFUSALS = 10
"""After so many refused ids it is the filter that is refused, not a strange id."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found. ``read`` ids were read completely; ``empty`` ones had no row at all in an honoured filter."""

    records: tuple[Record, ...]
    read: frozenset[str] = frozenset()
    empty: frozenset[str] = frozenset()
    error: str | None = None
    pages: int | None = None
    filter_ignored: bool = False


def read_records(connection: Connection, entity: str, ids: Sequence[str], tally: Tally) -> Found:
    """The records with these ids. Those that whole pages do not bring are asked for by id, because only an empty answer
    to an honoured filter says that a record does not exist.
    """
    by_id = _choose(connection, entity, ids, tally, force=False)
    if isinstance(by_id, Found):
        return by_id
    if by_id:
        asked = _ask_each(connection, entity, ids, tally)
        return asked if not asked.filter_ignored else _records_in_pages(connection, entity, ids, tally)
    whole = _records_in_pages(connection, entity, ids, tally)
    missing = [value for value in ids if value not in whole.read]
    if whole.error or not missing:
        return whole
    asked = _ask_each(connection, entity, missing, tally)
    if asked.filter_ignored:
        return whole
    return Found(
        unite(entity, [whole.records + asked.records]), whole.read | asked.read, asked.empty, asked.error, whole.pages
    )


def read_lines(connection: Connection, order_ids: Sequence[str], tally: Tally, *, force_by_id: bool) -> Found:
    """All lines of these orders. By whole pages an order counts as read when every page was."""
    by_id = _choose(connection, names.ORDER_LINE.text, order_ids, tally, force=force_by_id)
    if isinstance(by_id, Found):
        return by_id
    if by_id:
        asked = _ask_each(connection, names.ORDER_LINE.text, order_ids, tally)
        if not asked.filter_ignored:
            return asked
    return _lines_in_pages(connection, order_ids, tally)


def _choose(connection: Connection, entity: str, ids: Sequence[str], tally: Tally, *, force: bool) -> bool | Found:
    """Whether to ask by id; an empty Found with the error when even that could not be told."""
    try:
        return force or by_value_is_cheaper(connection, entity, len(ids), tally)
    except SourceError as error:
        return Found((), error=str(error))


def _ask_each(connection: Connection, entity: str, ids: Sequence[str], tally: Tally) -> Found:
    """One request (or more, where the answer has pages) an id; stops at the first one that fails."""
    field = names.parent_field(entity) or names.id_field(entity)
    by_key = names.parent_field(entity) is None
    refusals: list[Crawl] = []

    def ask(value: str) -> Crawl:
        question = Question(
            entity, Filter(field, value), judged=(field,), contradicts=lambda row: _is_of_another(row, value)
        )
        return connection.read_few(question, tally, enough=(lambda page: value in page.keys) if by_key else None)

    def is_the_end(crawl: Crawl) -> bool:
        if not crawl.refused:
            return not crawl.complete
        refusals.append(crawl)
        return len(refusals) >= MAX_REFUSALS

    outcomes = connection.workers.map(ask, ids, stop_after=is_the_end)
    asked = [(outcome.item, outcome.value) for outcome in outcomes if outcome.value is not None]
    done = [(value, crawl) for value, crawl in asked if crawl.complete]
    return Found(
        records=unite(entity, [[record for _, crawl in asked for record in crawl.records]]),
        read=frozenset(
            value
            for value, crawl in done
            if not (by_key and crawl.rows) or any(record.key == value for record in crawl.records)
        ),
        empty=frozenset(value for value, crawl in done if by_key and not crawl.rows),
        error=_first_error(asked),
        filter_ignored=any(crawl.filter_ignored for _, crawl in asked),
    )


def _first_error(asked: Sequence[tuple[str, Crawl]]) -> str | None:
    """What broke the reading off; a refusal of one id only when there is nothing worse."""
    failed = sorted((crawl for _, crawl in asked if crawl.error), key=lambda crawl: crawl.refused)
    return failed[0].error if failed else None


def _is_of_another(row: Row, value: str) -> bool:
    found = as_text(row.values[0])
    return found is not None and found != value


def _records_in_pages(connection: Connection, entity: str, ids: Sequence[str], tally: Tally) -> Found:
    wanted = frozenset(ids)
    usable = threading.Event()

    def in_scope(row: Row) -> bool:
        if row.key is not None:
            usable.set()
        return row.key in wanted

    crawl = connection.crawl(Question(entity, in_scope=in_scope), tally)
    return Found(
        crawl.records,
        read=frozenset(record.key for record in crawl.records if record.key is not None),
        error=crawl.error or _nothing_to_go_by(crawl, usable, entity, names.id_field(entity)),
        pages=crawl.pages,
    )


def _lines_in_pages(connection: Connection, order_ids: Sequence[str], tally: Tally) -> Found:
    wanted = frozenset(order_ids)
    usable = threading.Event()
    entity = names.ORDER_LINE.text

    def in_scope(row: Row) -> bool:
        if row.parent is not None:
            usable.set()
        return row.parent in wanted

    crawl = connection.crawl(Question(entity, in_scope=in_scope), tally)
    error = crawl.error or _nothing_to_go_by(crawl, usable, entity, names.parent_field(entity) or "")
    return Found(crawl.records, read=frozenset() if error else wanted, error=error, pages=crawl.pages)


def _nothing_to_go_by(crawl: Crawl, usable: threading.Event, entity: str, field: str) -> str | None:
    """An error when no row at all names what it is, so that what is missing from the answer means nothing."""
    if usable.is_set() or not crawl.rows:
        return None
    return f"{entity}: none of {crawl.rows} rows holds a usable {field}; compare the names with doctor"
