"""Read orders: the open list of a tick with what left it, or the months of a backfill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import duckdb

from autoflex_pipeline.runs.after_restore import compare_restored
from autoflex_pipeline.runs.asking import ReadReport, ask_dealers, read_again, report_of, store
from autoflex_pipeline.runs.context import RunContext
from autoflex_pipeline.runs.month_guard import Month, disbelief, lost_months
from autoflex_pipeline.runs.spans import step
from autoflex_pipeline.settings import DealerSettings
from autoflex_pipeline.sources.absence import known_to_be_gone, note_missing, open_in_claire_only, orders_to_ask_for
from autoflex_pipeline.sources.autoflex_api import AutoflexApi, Reading, Record, digest_of
from autoflex_pipeline.sources.extract import Extract
from autoflex_pipeline.sources.months import MonthRead, month_of, note_months
from autoflex_pipeline.sources.unstaged import orders_to_be_staged
from autoflex_pipeline.sources.window import appointment_day, is_open
from autoflex_pipeline.state.dealers import remember
from autoflex_pipeline.state.runs import problems


@step
def read_open_orders(context: RunContext) -> ReadReport:
    """The tick: the open list of each dealer, those that left it by id, and what hides from it on a full pass."""
    compare_restored(context)
    listed = ask_dealers(
        context, context.readable_dealers(), "api:open_orders", lambda api, _: api.open_orders(), first=True
    )
    _hold_refused(context, listed)
    crawled = _crawl_hidden(context, listed) if context.options.full else {}
    wanted = _orders_to_ask_for(context, listed, crawled)
    found = ask_dealers(
        context,
        [dealer for dealer in context.dealers if wanted.get(dealer.id)],
        "api:orders_by_id",
        lambda api, dealer: api.by_ids("order", wanted[dealer.id]),
    )
    known = _another_known_order(context, listed, found)
    extracts = [*listed.values(), *crawled.values(), *found.values()]
    gone: dict[str, list[str]] = {}
    with context.warehouse.open() as connection:
        only_in_claire = {dealer_id: open_in_claire_only(connection, dealer_id) for dealer_id in found}
        outdated = store(context, connection, extracts)
        for dealer_id, extract in found.items():
            gone[dealer_id] = _note_missing(
                context, connection, extract, outdated, another_was_found=known.get(dealer_id, False)
            )
    extracts += _read_outdated_again(context, outdated)
    for dealer_id, extract in found.items():
        _tell_of_strays(context, dealer_id, only_in_claire[dealer_id] & extract.not_found)
    _remember_list(context, listed)
    report = report_of(context, extracts)
    report.gone = {dealer_id: numbers for dealer_id, numbers in gone.items() if numbers}
    return report


def _hold_refused(context: RunContext, listed: Mapping[str, Extract]) -> None:
    """A login that works without the right to see orders, or a wrong address, is not tried every minute either."""
    for dealer_id, extract in listed.items():
        if extract.is_refused:
            context.hold(context.settings.dealer(dealer_id), "configuration", str(extract.error))


def _tell_of_strays(context: RunContext, dealer_id: str, numbers: Collection[str]) -> None:
    """Appointments that only Claire has left: no document can be made of them, so a person has to cancel them."""
    if numbers:
        context.note(
            dealer_id,
            "source",
            f"Claire has {len(numbers)} open appointments that are neither in staging nor, asked for by id, in "
            f"Autoflex: {', '.join(sorted(numbers)[:20])}; cancel them in Claire by hand (said once)",
        )


@step
def read_months(context: RunContext, months: Mapping[str, Sequence[tuple[date, date]]]) -> ReadReport:
    """Every work order, billed or not, whose appointment lies in one of the dealer's months (first and last days).

    A month whose reading broke off costs no other month anything: what came is stored, and the report says which
    months were read whole.
    """
    staged_in = _staged_in(context, months)
    staged = {dealer_id: set().union(*by_month.values()) for dealer_id, by_month in staged_in.items()}

    def ask(api: AutoflexApi, dealer: DealerSettings) -> Reading:
        return api.work_orders_since(min(first for first, _ in months[dealer.id]))

    def in_scope(dealer: DealerSettings, record: Record) -> bool:
        day = appointment_day(record)
        if day is None or record.key in staged[dealer.id]:
            return True
        return any(first <= day <= last for first, last in months[dealer.id])

    def window(dealer: DealerSettings) -> tuple[date, date]:
        spans = months[dealer.id]
        return min(first for first, _ in spans), max(last for _, last in spans)

    dealers = [dealer for dealer in context.readable_dealers() if dealer.id in months]
    asked = ask_dealers(context, dealers, "api:orders_by_month", ask, in_scope=in_scope, window=window, first=True)
    lacking = {
        dealer_id: sorted(staged[dealer_id].difference(record.key or "" for record in extract.records))
        for dealer_id, extract in asked.items()
        if extract.is_complete
    }
    found = ask_dealers(
        context,
        [dealer for dealer in dealers if lacking.get(dealer.id)],
        "api:orders_by_id",
        lambda api, dealer: api.by_ids("order", lacking[dealer.id]),
    )
    doubted = _doubted_months(context, staged_in, found)
    asked |= {dealer_id: replace(asked[dealer_id], is_complete=False, error=why) for dealer_id, why in doubted.items()}
    extracts = [*asked.values(), *found.values()]
    report = report_of(context, extracts)
    for dealer_id, by_month in staged_in.items():
        unread = set(lacking.get(dealer_id, ()))
        if dealer_id in found:
            unread -= found[dealer_id].read_ids | found[dealer_id].not_found
        report.months += _months_read(context, dealer_id, by_month, asked.get(dealer_id), unread)
    with context.warehouse.open() as connection:
        outdated = store(context, connection, extracts)
        note_months(connection, report.months, run_id=context.run_id, now=context.clock())
        for dealer_id, extract in found.items():
            if dealer_id in doubted:
                continue
            another = bool(asked[dealer_id].records or extract.records)
            _note_missing(context, connection, extract, outdated, another_was_found=another)
    for extract in _read_outdated_again(context, outdated):
        report.add(extract)
    return report


def _read_outdated_again(context: RunContext, outdated: Mapping[str, frozenset[str]]) -> list[Extract]:
    """Ask by id for the orders that another run came to know otherwise while this one read them."""
    again = read_again(context, outdated, "api:orders_by_id", lambda api, numbers: api.by_ids("order", numbers))
    missing = [extract for extract in again if extract.not_found]
    if missing:
        with context.warehouse.open() as connection:
            for extract in missing:
                # A first question: no proof is needed that another order is found, and none is there.
                _note_missing(context, connection, extract, {}, another_was_found=False)
    return again


def _note_missing(
    context: RunContext,
    connection: duckdb.DuckDBPyConnection,
    extract: Extract,
    outdated: Mapping[str, frozenset[str]],
    *,
    another_was_found: bool,
) -> list[str]:
    """Note what was not found by id, but for what another run saw meanwhile; gives those known to be gone by that."""
    dealer_id = extract.dealer_id
    return note_missing(
        connection,
        dealer_id,
        extract.not_found - outdated.get(dealer_id, frozenset()),
        now=context.clock(),
        dms_now=context.apis.get(context.settings.dealer(dealer_id)).told_time,
        confirm_after=timedelta(minutes=context.settings.dealer(dealer_id).absence_confirm_minutes),
        another_was_found=another_was_found,
    )


def _months_read(
    context: RunContext, dealer_id: str, staged: Mapping[Month, set[str]], extract: Extract | None, unread: set[str]
) -> list[MonthRead]:
    """How each month of a dealer went; ``unread`` are staged orders of which nothing is known."""
    days = Counter(month_of(day) for record in extract.records if (day := appointment_day(record))) if extract else {}
    broke_off: str | None = None
    if extract is None:
        with context.state.begin() as connection:
            noted = problems(connection, context.run_id).get(dealer_id, [])
        broke_off = "; ".join(problem["message"] for problem in noted) or "the dealer has no API to read months from"
    elif not extract.is_complete:
        broke_off = extract.error or "the answer broke off"
    read = []
    for (first, _), orders in staged.items():
        error, lost = broke_off, len(orders & unread)
        if error is None and lost:
            error = f"{lost} of its staged orders were not in the list and could not be asked for by their numbers"
        read.append(MonthRead(dealer_id, month_of(first), days.get(month_of(first), 0), error))
    return read


def _doubted_months(
    context: RunContext, staged_in: Mapping[str, Mapping[Month, set[str]]], found: Mapping[str, Extract]
) -> dict[str, str]:
    """The dealers whose months would lose too many orders to be believed, and why; each is noted as failed.

    Lost are those that are not found by id, and those that are found where the list, said to be complete, lacked them.
    """
    doubted: dict[str, str] = {}
    if context.options.allow_mass_change:
        return doubted
    for dealer_id, extract in found.items():
        staged = _without_confirmed_gone(context, dealer_id, staged_in[dealer_id])
        days = {record.key: appointment_day(record) for record in extract.records}
        lost = set(extract.not_found)
        for first, last in staged:
            lost |= {key for key, day in days.items() if key and day is not None and first <= day <= last}
        dealer = context.settings.dealer(dealer_id)
        if months := lost_months(dealer, staged, lost):
            doubted[dealer_id] = disbelief(dealer, staged, months)
            context.note(dealer_id, "source", doubted[dealer_id])
    return doubted


def _without_confirmed_gone(
    context: RunContext, dealer_id: str, staged: Mapping[Month, set[str]]
) -> dict[Month, set[str]]:
    """The orders staged in each month, without those that are known to be gone."""
    with context.warehouse.open() as connection:
        gone = known_to_be_gone(connection, dealer_id)
    return {month: orders - gone for month, orders in staged.items()}


def _crawl_hidden(context: RunContext, listed: Mapping[str, Extract]) -> dict[str, Extract]:
    """All work orders that are open or were seen before: some have no is_invoiced and hide from the open list."""
    with context.warehouse.open() as connection:
        seen = {
            dealer_id: {
                row[0]
                for row in connection.execute(
                    "SELECT record_key FROM sighting WHERE dealer_id = ? AND entity = 'order'", [dealer_id]
                ).fetchall()
            }
            for dealer_id in listed
        }
    in_list = {dealer_id: {record.key for record in extract.records} for dealer_id, extract in listed.items()}

    def in_scope(dealer: DealerSettings, record: Record) -> bool:
        if record.key in in_list[dealer.id]:
            return False
        return record.key in seen[dealer.id] or is_open(record)

    dealers = [dealer for dealer in context.readable_dealers() if dealer.id in listed]
    return ask_dealers(context, dealers, "api:work_orders", lambda api, _: api.work_orders(), in_scope=in_scope)


def _orders_to_ask_for(
    context: RunContext, listed: Mapping[str, Extract], crawled: Mapping[str, Extract]
) -> dict[str, list[str]]:
    """Per dealer with a complete list: the known open orders that it lacks."""
    wanted: dict[str, list[str]] = {}
    with context.warehouse.open() as connection:
        for dealer_id, extract in listed.items():
            if extract.is_complete:
                there = {record.key for record in extract.records if record.key}
                if dealer_id in crawled:
                    there |= {record.key for record in crawled[dealer_id].records if record.key}
                wanted[dealer_id] = orders_to_ask_for(connection, dealer_id, there)
    return wanted


def _another_known_order(
    context: RunContext, listed: Mapping[str, Extract], found: Mapping[str, Extract]
) -> dict[str, bool]:
    """Per dealer with missing orders: whether asking by id finds another known order; else "not found" says nothing."""
    proven = {dealer_id: True for dealer_id, extract in found.items() if extract.records}
    unproven = {dealer_id: extract for dealer_id, extract in found.items() if dealer_id not in proven}
    if not any(extract.not_found for extract in unproven.values()):
        return proven
    doubtful: dict[str, str] = {}
    with context.warehouse.open() as connection:
        for dealer_id, extract in unproven.items():
            row = connection.execute(
                """
                SELECT record_key FROM sighting
                WHERE dealer_id = ? AND entity = 'order' AND record_key IS NOT NULL
                  AND record_key NOT IN (SELECT unnest(?::VARCHAR[]))
                ORDER BY seen_at DESC, record_key DESC LIMIT 1
                """,
                [dealer_id, sorted(extract.not_found)],
            ).fetchone()
            in_list = [record.key for record in listed[dealer_id].records if record.key]
            candidate = in_list[0] if in_list else (row[0] if row else None)
            if candidate and extract.not_found:
                doubtful[dealer_id] = candidate
    dealers = [context.settings.dealer(dealer_id) for dealer_id in doubtful]
    answers = context.for_each(dealers, lambda dealer: context.apis.get(dealer).by_ids("order", [doubtful[dealer.id]]))
    return proven | {dealer.id: bool(reading.records) for dealer, reading in answers}


def _remember_list(context: RunContext, listed: Mapping[str, Extract]) -> None:
    """Keep the digest of the list; closing the run makes it the look to compare with when all went well.

    A list that was not read whole says nothing of how many orders are open: that stays as the last whole one said.
    """
    with context.state.begin() as connection:
        for dealer_id, extract in listed.items():
            whole: dict[str, Any] = {"read_digest": None}
            if extract.is_complete:
                whole = {"read_digest": digest_of(extract), "read_count": len(extract.records)}
            remember(connection, dealer_id, read_run_id=context.run_id, **whole)


def _staged_in(context: RunContext, months: Mapping[str, Sequence[Month]]) -> dict[str, dict[Month, set[str]]]:
    """Per dealer and month the orders staged in it, and those that this run would stage in it as they are stored.

    They stay in scope when they have moved elsewhere.
    """
    staged: dict[str, dict[Month, set[str]]] = {dealer_id: {} for dealer_id in months}
    with context.warehouse.open() as connection:
        for dealer_id, spans in months.items():
            unstaged = [(order.number, order.day) for order in orders_to_be_staged(connection, dealer_id)]
            for first, last in spans:
                rows = connection.execute(
                    "SELECT dms_number FROM appointment WHERE dealer_id = ? AND appointment_date BETWEEN ? AND ?",
                    [dealer_id, first, last],
                ).fetchall()
                staged[dealer_id][first, last] = {number for (number,) in rows} | {
                    number for number, day in unstaged if day is not None and first <= day <= last
                }
    return staged
