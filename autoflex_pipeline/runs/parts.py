"""Read the parts that orders call for: their lines, cars and parties."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import duckdb

from autoflex_pipeline.claire.policies import GUARD_AT_LEAST
from autoflex_pipeline.runs.asking import ReadReport, ask_dealers, read_again, report_of, store
from autoflex_pipeline.runs.context import RunContext
from autoflex_pipeline.runs.spans import step
from autoflex_pipeline.settings import DealerSettings
from autoflex_pipeline.sources import needs, rereading
from autoflex_pipeline.sources.extract import Extract
from autoflex_pipeline.state.dealers import dealer_row, remember

REREAD_EVERY = timedelta(minutes=10)


@step
def read_lines(context: RunContext) -> ReadReport:
    """The lines of orders that are new or changed, and of unchanged ones whose changes the DMS does not announce."""
    dealers = context.readable_dealers()
    follow: dict[str, needs.Needs] = {}
    with context.warehouse.open() as connection:
        for dealer in dealers:
            assert dealer.api is not None
            want = needs.lines_to_follow(connection, dealer.id)
            if context.options.window is None:
                want.reread = rereading.lines_to_reread(
                    connection,
                    dealer.id,
                    today=context.today(dealer),
                    budget=dealer.api.reread_budget,
                    everything=context.options.full,
                )
            follow[dealer.id] = want
    asked = [dealer for dealer in dealers if follow[dealer.id].numbers]
    if not asked:
        return report_of(context, [])
    readings = ask_dealers(context, asked, "api:order_lines", lambda api, d: api.lines_of(follow[d.id].numbers))
    known = _known_lines(context, readings)
    doubted = _orders_that_lost_lines(readings, known)
    again = ask_dealers(
        context,
        [dealer for dealer in asked if doubted.get(dealer.id)],
        "api:order_lines_by_id",
        lambda api, dealer: api.lines_of(doubted[dealer.id], by_id=True),
    )
    readings = {dealer_id: _without(extract, doubted.get(dealer_id, ())) for dealer_id, extract in readings.items()}
    extracts = [
        _without(extract, _emptied_orders(context, extract, known[extract.dealer_id]))
        for extract in (*readings.values(), *again.values())
    ]
    with context.warehouse.open() as connection:
        outdated = store(context, connection, extracts)
        for extract in extracts:
            read = extract.read_ids - outdated.get(extract.dealer_id, frozenset())
            if context.options.window is None:
                read -= _read_once_by_pages(extract, known[extract.dealer_id])
            _mark_lines_read(connection, extract, read, follow[extract.dealer_id])
    again_after = read_again(
        context, outdated, "api:order_lines_by_id", lambda api, orders: api.lines_of(orders, by_id=True)
    )
    if again_after:
        with context.warehouse.open() as connection:
            for extract in again_after:
                _mark_lines_read(connection, extract, extract.read_ids, follow[extract.dealer_id])
    return report_of(context, [*extracts, *again_after])


def _mark_lines_read(
    connection: duckdb.DuckDBPyConnection, extract: Extract, orders: Collection[str], want: needs.Needs
) -> None:
    """Remember that the lines of these orders, as they are now known, were read."""
    done = [record for record in want.follow if record.key in orders]
    needs.mark_followed(connection, extract.dealer_id, "order_line", done, extract.finished_at)
    reread = [key for key in want.reread if key in orders]
    rereading.mark_reread(connection, extract.dealer_id, "order_line", reread, extract.finished_at)


@step
def read_vehicles(context: RunContext) -> ReadReport:
    """The cars of orders that are new or changed; those of today and tomorrow every 10 minutes; all on a full pass."""
    return _read_parts(context, "vehicle", needs.vehicles_to_follow, lambda cars, parties: cars)


@step
def read_relations(context: RunContext) -> ReadReport:
    """The parties of new or changed orders and cars; of today and tomorrow every 10 minutes; all on a full pass."""
    due = [dealer.id for dealer in context.readable_dealers() if _reread_due(context, dealer)]
    report = _read_parts(context, "relation", needs.relations_to_follow, lambda cars, parties: parties)
    with context.state.begin() as connection:
        for dealer_id in due:
            if dealer_id not in report.partial:
                remember(connection, dealer_id, reread_at=context.clock())
    return report


def _read_parts(
    context: RunContext,
    entity: str,
    to_follow: Callable[..., needs.Needs],
    choose: Callable[[list[str], list[str]], list[str]],
) -> ReadReport:
    dealers = context.readable_dealers()
    due = {dealer.id for dealer in dealers if _reread_due(context, dealer)}
    follow: dict[str, needs.Needs] = {}
    with context.warehouse.open() as connection:
        for dealer in dealers:
            want = to_follow(connection, dealer.id)
            if context.options.full:
                want.reread = choose(*rereading.parts_of_open_orders(connection, dealer.id))
            elif dealer.id in due:
                first, last = rereading.two_days(context.today(dealer))
                want.reread = choose(*rereading.parts_of_appointments(connection, dealer.id, first=first, last=last))
            follow[dealer.id] = want
    asked = [dealer for dealer in dealers if follow[dealer.id].numbers]
    read = ask_dealers(context, asked, f"api:{entity}s", lambda api, d: api.by_ids(entity, follow[d.id].numbers))
    if not any(want.follow or want.reread for want in follow.values()):
        return report_of(context, [])
    with context.warehouse.open() as connection:
        outdated = store(context, connection, list(read.values()))
        answered = {
            dealer.id: (read[dealer.id].read_ids if dealer.id in read else frozenset())
            - outdated.get(dealer.id, frozenset())
            for dealer in dealers
        }
        _mark_parts_read(context, connection, entity, follow, answered)
    again = read_again(context, outdated, f"api:{entity}s", lambda api, numbers: api.by_ids(entity, numbers))
    if again:
        answered |= {extract.dealer_id: answered[extract.dealer_id] | extract.read_ids for extract in again}
        with context.warehouse.open() as connection:
            _mark_parts_read(context, connection, entity, follow, answered)
    return report_of(context, [*read.values(), *again])


def _mark_parts_read(
    context: RunContext,
    connection: duckdb.DuckDBPyConnection,
    entity: str,
    follow: Mapping[str, needs.Needs],
    answered: Mapping[str, frozenset[str]],
) -> None:
    """Remember the records of which all parts were answered."""
    for dealer_id, want in follow.items():
        done = [record for record in want.follow if record.parts <= answered[dealer_id]]
        needs.mark_followed(connection, dealer_id, entity, done, context.clock())


def _reread_due(context: RunContext, dealer: DealerSettings) -> bool:
    if context.options.window is not None:
        return False
    with context.state.begin() as connection:
        last = dealer_row(connection, dealer.id)["reread_at"]
    return context.options.reread or last is None or context.clock() - last >= REREAD_EVERY


KnownLines = Mapping[str, Mapping[str, Sequence[str]]]
"""By dealer id and order, the lines as they were last read completely."""


def _known_lines(context: RunContext, readings: Mapping[str, Extract]) -> KnownLines:
    with context.warehouse.open() as connection:
        return {
            dealer_id: rereading.known_lines(connection, dealer_id, extract.read_ids)
            for dealer_id, extract in readings.items()
        }


def _orders_that_lost_lines(readings: Mapping[str, Extract], known: KnownLines) -> dict[str, list[str]]:
    """Orders of which a reading of several pages lacks a known line: rows shift, so they are asked for one by one."""
    doubted: dict[str, list[str]] = {}
    for dealer_id, extract in readings.items():
        there = {record.key for record in extract.records}
        lost = [order for order, lines in known[dealer_id].items() if not there.issuperset(lines)]
        by_page = not extract.records or any("page=" in record.source for record in extract.records)
        if lost and by_page:
            doubted[dealer_id] = lost
    return doubted


def _read_once_by_pages(extract: Extract, known: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Orders whose lines were read for the first time, from a list of several pages.

    A row that moved up a page while they were read is missed, and nothing known tells: the next run reads them again.
    Not after a backfill, where that would be all lines of its months.
    """
    if extract.pages is None or extract.pages == 1:
        return frozenset()
    return extract.read_ids - known.keys()


def _emptied_orders(context: RunContext, extract: Extract, known: Mapping[str, Sequence[str]]) -> list[str]:
    """Orders that had lines and came back without any, when they are too many to be believed: the guard's measure."""
    dealer = context.settings.dealer(extract.dealer_id)
    had = [order for order, lines in known.items() if lines and order in extract.read_ids]
    with_lines = {record.parent for record in extract.records}
    emptied = [order for order in had if order not in with_lines]
    is_mass = len(emptied) >= GUARD_AT_LEAST and len(emptied) > dealer.guard_max_change * len(had)
    if not is_mass or context.options.allow_mass_change:
        return []
    message = (
        f"{len(emptied)} of {len(had)} orders that had lines came back without any: not believed, their interventions "
        "stay; look in Autoflex, and if it is right, run sync with --allow-mass-change"
    )
    context.note(dealer.id, "source", message)
    return emptied


def _without(extract: Extract, orders: Iterable[str]) -> Extract:
    """The extract without what it says of these orders."""
    left_out = frozenset(orders)
    if not left_out:
        return extract
    return replace(
        extract,
        records=tuple(record for record in extract.records if record.parent not in left_out),
        read_ids=extract.read_ids - left_out,
    )
