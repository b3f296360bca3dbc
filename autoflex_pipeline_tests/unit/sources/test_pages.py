from __future__ import annotations

import itertools
from collections.abc import Callable

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoflex_pipeline.errors import SourceError
from autoflex_pipeline.sources.autoflex_api import pages
from autoflex_pipeline.sources.autoflex_api.pages import Page, Record, Row, crawl, unite
from autoflex_pipeline.sources.autoflex_api.workers import Workers
from autoflex_pipeline_tests.unit.sources.fake_autoflex import FakeAutoflex, answers, error, fields_of, keys, order

ONE_BY_ONE = Workers(1, "test")
PAGE_SIZE = 3


def rows_of(*numbers: int, version: int = 0) -> list[tuple[str, int]]:
    return [(str(number), version) for number in numbers]


def server(rows: list[tuple[str, int]], before: Callable[[int], None] = lambda _: None, *, bare: bool = False):  # type: ignore[no-untyped-def]
    def fetch(number: int) -> Page:
        before(number)
        start = (number - 1) * PAGE_SIZE
        shown = rows[start : start + PAGE_SIZE]
        return Page(
            number=number,
            found=[Row(f"{key}/{version}", key, None, f"order?page={number}", ()) for key, version in shown],
            rows=len(shown),
            keys=frozenset(key for key, _ in shown),
            keyless=frozenset(),
            has_next=None if bare else start + PAGE_SIZE < len(rows),
        )

    return fetch


def test_row_that_moved_up_over_a_page_break_is_found_by_reading_again() -> None:
    rows = rows_of(*range(9))

    def move(number: int) -> None:
        if number == 2 and len(rows) == 9:
            del rows[0]  # 3 moves to page 1, which was read already
            rows.append(("2", 1))  # and 2 comes again, at the end: evidence

    result = crawl("order", server(rows, move), ONE_BY_ONE)
    assert result.complete
    assert {record.key for record in result.records} == {str(number) for number in range(9)}
    assert next(record.text for record in result.records if record.key == "2") == "2/1"


def test_a_row_that_comes_again_later_keeps_its_place_and_has_its_last_content() -> None:
    """Lines with one line_number stood in Claire in the order of their repetition; a random history found it."""
    rows = [*rows_of(1, 2, 3, 4), ("1", 1), ("2", 0)]
    result = crawl("order_line", server(rows), ONE_BY_ONE)
    assert [record.text for record in result.records] == ["1/1", "2/0", "3/0", "4/0"]


def test_a_line_that_moves_to_another_order_while_they_are_read_stands_where_that_order_has_it() -> None:
    def line(key: str, order: str) -> Record:
        return Record("order_line", key, order, f"{key} of {order}", "order_line?filter=order_id", 1)

    read = unite("order_line", [[line("m", "x"), line("a", "y"), line("m", "y"), line("c", "y")]])
    assert [record.text for record in read] == ["a of y", "m of y", "c of y"]


def test_list_that_never_stops_moving_is_read_three_times_at_most() -> None:
    rows = rows_of(*range(9))
    asked = []

    def move(number: int) -> None:
        asked.append(number)
        if number == 2:
            rows.insert(0, (f"new-{len(asked)}", 0))

    result = crawl("order", server(rows, move), ONE_BY_ONE)
    assert result.complete
    assert asked.count(1) == 3
    assert len({record.key for record in result.records}) == len(result.records) >= 11


def test_bare_array_that_is_not_paged_ends_where_it_repeats() -> None:
    def fetch(number: int) -> Page:
        return server(rows_of(1, 2), bare=True)(1)

    result = crawl("order", fetch, ONE_BY_ONE)
    assert result.complete
    assert [record.key for record in result.records] == ["1", "2"]


def test_promise_of_a_next_page_that_never_ends_is_partial() -> None:
    dms = FakeAutoflex()
    page = httpx.Response(200, json={"data": [order(1), order(2)], "nextpage": True})
    dms.call_faults = answers(*[page] * 50)
    with dms.api() as api:
        reading = api.open_orders()
    assert keys(reading) == ["1", "2"]
    assert not reading.complete
    assert "bring nothing new" in (reading.error or "")
    assert len(dms.calls) < 10


def test_more_pages_than_the_limit_are_partial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAX_PAGES", 2)
    result = crawl("order", server(rows_of(*range(9))), ONE_BY_ONE)
    assert [record.key for record in result.records] == ["0", "1", "2", "3", "4", "5"]
    assert "more than 2 pages" in (result.error or "")


@pytest.mark.parametrize("width", [1, 4])
def test_crawl_that_breaks_off_keeps_what_it_read(width: int) -> None:
    dms = FakeAutoflex(order=[order(number) for number in range(30)])
    with dms.api(max_concurrency=width) as api:
        assert api.open_orders().complete
        dms.call_faults = [lambda _: None] * 4 + answers(*[httpx.Response(503)] * 100)
        reading = api.open_orders()
    assert not reading.complete
    assert reading.pages is None
    assert 12 <= len(reading.records) < 30
    assert "503" in (reading.error or "")


@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("failing", [{2}, {2, 5}, {8}])
def test_a_page_that_fails_costs_no_other_page(width: int, failing: set[int]) -> None:
    rows = rows_of(*range(24))

    def fail(number: int) -> None:
        if number in failing:
            raise SourceError(f"page {number} cannot be read")

    result = crawl("order", server(rows, fail), Workers(width, "test"), expected_pages=8)
    assert not result.complete
    assert result.error in {f"page {number} cannot be read" for number in failing}
    lost = {str(row) for page in failing for row in range((page - 1) * PAGE_SIZE, page * PAGE_SIZE)}
    assert {record.key for record in result.records} == {str(number) for number in range(24)} - lost


@pytest.mark.parametrize("gone_at", [1, 3])
def test_a_dms_that_is_gone_is_given_up_after_two_pages(gone_at: int) -> None:
    asked = []

    def fail(number: int) -> None:
        asked.append(number)
        if number >= gone_at:
            raise SourceError("out of reach")

    result = crawl("order", server(rows_of(*range(24)), fail), ONE_BY_ONE)
    assert not result.complete
    assert asked == list(range(1, gone_at + (1 if gone_at > 1 else 0) + 1))


def test_pages_refused_beyond_a_shrunken_list_do_no_harm() -> None:
    dms = FakeAutoflex(order=[order(number) for number in range(30)])

    def refuse_beyond(request: httpx.Request) -> httpx.Response | None:
        page = int(request.url.params["page"])
        return error(404, "no such page") if page > 4 else None

    with dms.api(max_concurrency=4) as api:
        assert api.open_orders().pages == 10
        del dms.rows["order"][12:]
        dms.call_faults = [refuse_beyond] * 20
        reading = api.open_orders()
    assert reading.complete
    assert len(reading.records) == 12


def test_pages_in_waves_ask_at_most_a_quarter_in_vain() -> None:
    dms = FakeAutoflex(order=[order(number) for number in range(90)])
    with dms.api(max_concurrency=4) as api:
        reading = api.open_orders()
    assert len(reading.records) == 90
    assert reading.pages == 30
    assert 30 <= len(dms.calls) <= 37


def test_last_version_read_wins_through_the_whole_api() -> None:
    dms = FakeAutoflex(order=[order(number) for number in range(6)])

    def shift(entity: str, page: int) -> None:
        if page == 2 and len(dms.rows["order"]) == 6:
            dms.rows["order"][2]["notes"] = "changed"
            dms.rows["order"].insert(0, order(6))

    dms.before_page = shift
    with dms.api() as api:
        reading = api.open_orders()
    assert reading.complete
    assert sorted(key for key in keys(reading) if key) == [str(number) for number in range(7)]
    assert next(fields_of(record) for record in reading.records if record.key == "2")["notes"] == "changed"


Change = tuple[int, str, int]
changes = st.lists(
    st.tuples(st.integers(1, 12), st.sampled_from(["insert", "delete", "touch"]), st.integers(0, 30)), max_size=8
)


def play(rows: list[tuple[str, int]], script: list[Change]) -> Callable[[int], None]:
    """Before the n-th request the list is changed as scripted; new rows have new keys, touched ones a new version."""
    asked = 0
    fresh = itertools.count()

    def before(_: int) -> None:
        nonlocal asked
        asked += 1
        for at, kind, place in script:
            if at != asked:
                continue
            if kind == "insert":
                rows.insert(min(place, len(rows)), (f"new-{next(fresh)}", 0))
            elif rows:
                where = place % len(rows)
                key, version = rows[where]
                if kind == "delete":
                    del rows[where]
                else:
                    rows[where] = (key, version + 1)

    return before


@settings(max_examples=200, deadline=None)
@given(count=st.integers(0, 14), script=changes, bare=st.booleans(), expected=st.none() | st.integers(1, 6))
def test_whatever_moves_each_record_comes_once_and_numbered(
    count: int, script: list[Change], bare: bool, expected: int | None
) -> None:
    rows = rows_of(*range(count))
    result = crawl("order", server(rows, play(rows, script), bare=bare), ONE_BY_ONE, expected_pages=expected)
    assert len({record.key for record in result.records}) == len(result.records)
    assert [record.ordinal for record in result.records] == list(range(1, len(result.records) + 1))


@settings(max_examples=200, deadline=None)
@given(count=st.integers(0, 14), script=changes.map(lambda all_: [one for one in all_ if one[1] != "delete"]))
def test_rows_that_only_move_down_are_never_missed(count: int, script: list[Change]) -> None:
    rows = rows_of(*range(count))
    result = crawl("order", server(rows, play(rows, script)), ONE_BY_ONE)
    if result.complete:
        assert {record.key for record in result.records} >= {str(number) for number in range(count)}


@settings(max_examples=200, deadline=None)
@given(count=st.integers(1, 14), script=changes)
def test_after_evidence_of_moving_and_a_quiet_second_reading_nothing_is_missing_or_old(
    count: int, script: list[Change]
) -> None:
    rows = rows_of(*range(count))
    rounds = 0
    move = play(rows, script)

    def first_round_only(number: int) -> None:
        nonlocal rounds
        rounds += number == 1
        if rounds == 1:
            move(number)

    result = crawl("order", server(rows, first_round_only), ONE_BY_ONE)
    if rounds > 1 and result.complete:
        assert {record.text for record in result.records} >= {f"{key}/{version}" for key, version in rows}
        ordered = [record.key for record in result.records if record.key in dict(rows)]
        assert len(ordered) == len(rows)
