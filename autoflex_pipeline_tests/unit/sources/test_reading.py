from __future__ import annotations

from datetime import date

import httpx
import pytest

from autoflex_pipeline.model import dms_names
from autoflex_pipeline.sources.autoflex_api import digest_of, look, names
from autoflex_pipeline.sources.autoflex_api.pages import MAX_STALLED_PAGES
from autoflex_pipeline_tests.unit.sources.fake_autoflex import (
    FakeAutoflex,
    answers,
    error,
    fields_of,
    keys,
    line,
    order,
    vehicle,
)


def test_records_are_the_exact_text_that_the_dms_sent() -> None:
    body = (
        b'\xef\xbb\xbf{"nextpage": false, "data": [ {"order_id" : 7, "notes":"\\u20ac \xe2\x82\xac\\r\\n", "x":1.50} ,'
        b'{"order_id":"8"}]}'
    )
    dms = FakeAutoflex()
    dms.call_faults = answers(httpx.Response(200, content=body))
    with dms.api() as api:
        reading = api.open_orders()
    assert [record.text for record in reading.records] == [
        '{"order_id" : 7, "notes":"\\u20ac €\\r\\n", "x":1.50}',
        '{"order_id":"8"}',
    ]
    assert keys(reading) == ["7", "8"]


def test_half_a_surrogate_pair_does_not_lose_the_page() -> None:
    body = rb'[{"order_id":1,"notes":"caf\\ud83d \ud83d\ude00 \ud83d"},{"order_id":2}]'
    dms = FakeAutoflex()
    dms.call_faults = answers(httpx.Response(200, content=body), httpx.Response(200, json=[]))
    with dms.api() as api:
        reading = api.open_orders()
    assert keys(reading) == ["1", "2"]
    assert fields_of(reading.records[0])["notes"] == "caf\\ud83d 😀 \ufffd"


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (5, "5"),
        ("5", "5"),
        (" 5 ", "5"),
        ("i5", "i5"),
        (None, None),
        ("", None),
        (True, None),
        (5.0, None),
        ([5], None),
    ],
)
def test_key_is_the_id_as_text(value: object, key: str | None) -> None:
    dms = FakeAutoflex(order=[order(1) | {"order_id": value}])
    with dms.api() as api:
        assert keys(api.open_orders()) == [key]


def test_rows_that_are_no_objects_or_have_no_id_are_kept() -> None:
    dms = FakeAutoflex()
    rows = ["text", None, 5, {"notes": "x"}, {"notes": "x"}]
    dms.call_faults = answers(httpx.Response(200, json={"data": rows, "nextpage": False}))
    with dms.api() as api:
        reading = api.open_orders()
    assert [record.text for record in reading.records] == ['"text"', "null", "5", '{"notes":"x"}', '{"notes":"x"}']
    assert keys(reading) == [None] * 5


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 40])
def test_open_orders_come_whole_in_both_shapes_of_a_list(count: int, width: int, bare: bool) -> None:
    dms = FakeAutoflex(order=[order(number) for number in range(count)])
    dms.bare = bare
    with dms.api(max_concurrency=width) as api:
        for _ in range(2):  # the second time the number of pages is known
            reading = api.open_orders()
            assert reading.complete
            assert keys(reading) == [str(number) for number in range(count)]
            assert [record.ordinal for record in reading.records] == list(range(1, count + 1))


def test_asks_for_exactly_the_fields_of_the_model_and_the_type() -> None:
    dms = FakeAutoflex()
    with dms.api() as api:
        api.open_orders()
        api.by_ids("vehicle", ["1"])
    assert dms.urls[1].params["fields"].split(",") == [*dms_names("appointment"), "order_type"]
    assert dms.urls[2].params["fields"].split(",") == [*dms_names("car")]
    assert b"filter=is_invoiced%5Beq%5D%3A0" in dms.urls[1].query


def test_dms_that_refuses_to_be_asked_for_last_modified_is_asked_without() -> None:
    dms = FakeAutoflex(order=[order(number) for number in range(5)])
    dms.unknown_fields = {"last_modified"}
    with dms.api() as api:
        assert len(api.open_orders().records) == 5
        assert api.open_orders().requests == 2  # learnt
    assert len(dms.calls) == 5


def test_open_orders_leave_out_invoiced_ones_when_the_filter_is_ignored() -> None:
    dms = FakeAutoflex(order=[order(1), order(2, is_invoiced=1), order(3, is_invoiced=None), order(4, is_invoiced="1")])
    dms.ignores_filters = True
    with dms.api() as api:
        reading = api.open_orders()
    assert keys(reading) == ["1", "3"]
    assert reading.complete


def test_work_orders_leave_out_known_other_types_when_the_filter_is_ignored() -> None:
    types = [1, "1", "WORKSHOP", 2, "INTERNAL_REVERSAL", None, 99, "BPM"]
    dms = FakeAutoflex(order=[order(number, order_type=kind) for number, kind in enumerate(types)])
    dms.ignores_filters = True
    with dms.api() as api:
        assert keys(api.work_orders()) == ["0", "1", "2", "5", "6"]


def dated(number: int, planned: str | None, made: str = "20260101") -> dict[str, object]:
    return order(number, plan_date_from=planned, order_date=made)


DATED = [
    dated(1, "20260901T080000"), dated(2, "2026-10-01T08:00:00"), dated(3, None, "20261005"),
    dated(4, "20260801", "20261101"), dated(5, None, "20260901"), dated(6, "geen", "20261101"),
]  # fmt: skip


def test_range_filters_read_planned_and_made_since() -> None:
    dms = FakeAutoflex(order=[row for row in DATED if row["plan_date_from"] != "2026-10-01T08:00:00"])
    dms.rows["order"].append(dated(7, "20261001"))
    with dms.api(range_filters=True) as api:
        reading = api.work_orders_since(date(2026, 10, 1))
    assert sorted(key for key in keys(reading) if key) == ["3", "4", "6", "7"]
    assert reading.complete
    assert all("gte" in call for call in dms.calls)


@pytest.mark.parametrize("ranges", ["ignored", "refused"])
def test_ignored_or_refused_range_filters_fall_back_to_all_work_orders(ranges: str) -> None:
    dms = FakeAutoflex(order=DATED)
    dms.ranges = ranges
    with dms.api(range_filters=True) as api:
        reading = api.work_orders_since(date(2026, 10, 1))
    assert sorted(key for key in keys(reading) if key) == ["1", "2", "3", "4", "5", "6"]
    assert reading.complete


def test_range_filter_that_brings_nothing_is_not_believed() -> None:
    dms = FakeAutoflex(order=DATED)
    with dms.api(range_filters=True) as api:
        assert len(api.work_orders_since(date(2027, 10, 1)).records) == len(DATED)


def test_without_range_filters_all_work_orders_are_read() -> None:
    dms = FakeAutoflex(order=DATED)
    with dms.api() as api:
        assert len(api.work_orders_since(date(2026, 10, 1)).records) == len(DATED)
    assert not any("gte" in call for call in dms.calls)


def test_few_are_read_by_id_and_what_is_not_there_is_said() -> None:
    dms = FakeAutoflex(vehicle=[vehicle(number) for number in range(30)])
    with dms.api() as api:
        reading = api.by_ids("vehicle", ["7", "99", " 7 ", ""])
    assert keys(reading) == ["7"]
    assert reading.records[0].source == "vehicle?filter=vehicle_id[eq]:7"
    assert reading.not_found == {"99"}
    assert reading.read_ids == {"7", "99"}
    assert reading.complete
    assert reading.requests == 3  # with the login


@pytest.mark.parametrize("odd", ["i-12", "a b", "a&page=2", "é]:x", "100%", "a+b", "x#y", 'q"', "\x00", "a,b"])
def test_odd_ids_are_asked_for_safely(odd: str) -> None:
    dms = FakeAutoflex(vehicle=[vehicle(1), vehicle(odd), vehicle("other")])
    with dms.api() as api:
        reading = api.by_ids("vehicle", [odd])
    assert keys(reading) == [odd]


def test_many_are_read_by_whole_pages_and_the_missing_ones_by_id() -> None:
    dms = FakeAutoflex(vehicle=[vehicle(number) for number in range(30)])
    dms.page_size = 10
    wanted = [str(number) for number in range(20, 35)]
    with dms.api() as api:
        reading = api.by_ids("vehicle", wanted)
    assert keys(reading) == [str(number) for number in range(20, 30)]
    assert reading.not_found == {"30", "31", "32", "33", "34"}
    assert reading.read_ids == set(wanted)
    assert reading.pages == 3
    assert reading.requests == 1 + 1 + 3 + 5  # login, probe, pages, the missing ones


def test_many_are_not_asked_for_one_by_one_of_a_server_that_does_not_page() -> None:
    """It gives its one page again and again, as if the list had no end."""
    dms = FakeAutoflex(vehicle=[vehicle(number) for number in range(50)])
    dms.page_size, dms.bare, dms.ignores_pages = 50, True, True
    with dms.api() as api:
        reading = api.by_ids("vehicle", [str(number) for number in range(40)])
        assert len(reading.records) == 40
        assert reading.requests == 1 + 2 + 1 + MAX_STALLED_PAGES  # login, probe, the page, and again
        assert api.by_ids("vehicle", [str(number) for number in range(40)]).requests <= 1 + MAX_STALLED_PAGES


def test_choice_takes_the_fewer_requests_and_learns_from_a_probe_and_a_crawl() -> None:
    dms = FakeAutoflex(vehicle=[vehicle(number) for number in range(60)])  # 20 pages
    with dms.api() as api:
        assert api.by_ids("vehicle", [str(number) for number in range(10)]).requests == 1 + 1 + 10
        assert api.by_ids("vehicle", [str(number) for number in range(8)]).requests == 8
        assert api.by_ids("vehicle", [str(number) for number in range(30)]).requests == 1 + 20
        assert api.by_ids("vehicle", [str(number) for number in range(21)]).requests == 20
        assert api.by_ids("vehicle", [str(number) for number in range(20)]).requests == 20


def test_probe_that_is_refused_beyond_the_end_means_whole_pages() -> None:
    dms = FakeAutoflex(vehicle=[vehicle(number) for number in range(9)])
    dms.call_faults = answers(error(404, "no such page"))
    with dms.api() as api:
        reading = api.by_ids("vehicle", [str(number) for number in range(9)])
    assert len(reading.records) == 9
    assert reading.pages == 3


@pytest.mark.parametrize("count", [1, 20])
def test_ignored_id_filter_never_means_not_found(count: int) -> None:
    dms = FakeAutoflex(vehicle=[vehicle(number) for number in range(12)])
    dms.ignores_filters = True
    with dms.api() as api:
        reading = api.by_ids("vehicle", ["11", *[str(number) for number in range(100, 100 + count)]])
    assert keys(reading) == ["11"]
    assert reading.not_found == frozenset()
    assert reading.read_ids == {"11"}
    assert reading.complete


def test_failed_request_by_id_concludes_nothing_about_it() -> None:
    dms = FakeAutoflex(vehicle=[vehicle(1)])
    dms.call_faults = [lambda _: None, *answers(*[httpx.Response(500)] * 50)]
    with dms.api() as api:
        reading = api.by_ids("vehicle", ["1", "2", "3"])
    assert keys(reading) == ["1"]
    assert (reading.read_ids, reading.not_found, reading.complete) == ({"1"}, frozenset(), False)


def test_id_that_the_dms_refuses_does_not_stop_the_others() -> None:
    dms = FakeAutoflex(vehicle=[vehicle(1), vehicle(2)])
    dms.call_faults = answers(error(400, "bad value"))
    with dms.api() as api:
        reading = api.by_ids("vehicle", ["n.v.t.", "1", "2"])
    assert reading.read_ids == {"1", "2"}
    assert reading.not_found == frozenset()
    assert not reading.complete
    assert "bad value" in (reading.error or "")


def test_record_by_id_that_comes_without_its_id_is_kept_and_nothing_concluded() -> None:
    dms = FakeAutoflex()
    dms.call_faults = answers(httpx.Response(200, json={"data": [{"brand": "Fiat"}], "nextpage": False}))
    with dms.api() as api:
        reading = api.by_ids("vehicle", ["1"])
    assert keys(reading) == [None]
    assert reading.read_ids | reading.not_found == frozenset()


def test_no_ids_cost_no_request() -> None:
    dms = FakeAutoflex()
    with dms.api() as api:
        assert api.by_ids("vehicle", []).complete
        assert api.lines_of([""]).complete
    assert dms.urls == []


def some_lines() -> list[dict[str, object]]:
    return [line(10 * number + place, number) for number in range(1, 9) for place in (3, 1, 2, 0)]


def test_lines_of_few_orders_come_by_order_page_after_page() -> None:
    dms = FakeAutoflex(order_line=some_lines())
    with dms.api() as api:
        reading = api.lines_of(["2", "1", "77"])
    assert keys(reading) == ["23", "21", "22", "20", "13", "11", "12", "10"]
    assert [record.parent for record in reading.records] == ["2"] * 4 + ["1"] * 4
    assert reading.read_ids == {"1", "2", "77"}
    assert reading.not_found == frozenset()
    assert reading.records[3].source == "order_line?filter=order_id[eq]:2&page=2"


@pytest.mark.parametrize("ignored", [False, True])
def test_lines_of_many_orders_come_by_whole_pages(ignored: bool) -> None:
    dms = FakeAutoflex(order_line=some_lines())
    dms.page_size = 16
    dms.ignores_filters = ignored
    with dms.api() as api:
        reading = api.lines_of(["1", "2", "3", "4", "5", "6", "77"], by_id=ignored)
    assert len(reading.records) == 24
    assert reading.read_ids == {"1", "2", "3", "4", "5", "6", "77"}
    assert reading.pages == 2


def test_by_id_is_forced_even_where_whole_pages_are_fewer() -> None:
    dms = FakeAutoflex(order_line=some_lines())
    dms.page_size = 100
    with dms.api() as api:
        assert api.lines_of([str(number) for number in range(1, 9)], by_id=True).requests == 1 + 8


def test_lines_by_whole_pages_that_broke_off_leave_no_order_read() -> None:
    dms = FakeAutoflex(order_line=some_lines())
    dms.page_size = 8
    dms.call_faults = [lambda _: None, lambda _: None, *answers(*[httpx.Response(500)] * 50)]
    with dms.api() as api:
        reading = api.lines_of(["1", "2", "3", "4", "5", "6"])
    assert len(reading.records) == 8
    assert (reading.complete, reading.read_ids) == (False, frozenset())


def test_lines_that_come_without_their_order_are_still_those_of_the_order_asked_for() -> None:
    dms = FakeAutoflex()
    dms.call_faults = answers(httpx.Response(200, json={"data": [{"order_line_id": 5}], "nextpage": False}))
    with dms.api() as api:
        reading = api.lines_of(["1"])
    assert [(record.key, record.parent) for record in reading.records] == [("5", "1")]


def test_whole_pages_of_lines_that_name_no_order_conclude_nothing() -> None:
    dms = FakeAutoflex(order_line=[{"order_line_id": number} for number in range(5)])
    with dms.api() as api:
        reading = api.lines_of([str(number) for number in range(9)])
    assert (reading.complete, reading.read_ids) == (False, frozenset())
    assert "order_id" in (reading.error or "")


@pytest.mark.parametrize("ignored", [False, True])
def test_find_brings_only_what_fits_and_stores_no_plate_in_the_source(ignored: bool) -> None:
    dms = FakeAutoflex(vehicle=[vehicle(number) | {"license_plate": f"12AB{number}C"} for number in range(9)])
    dms.ignores_filters = ignored
    with dms.api() as api:
        reading = api.find("vehicle", "license_plate", "12AB7C")
        assert keys(api.find("order", "order_number", "2026-00001")) == []
    assert keys(reading) == ["7"]
    assert "12AB7C" not in reading.records[0].source


def test_both_shapes_of_a_list_of_codes_are_read() -> None:
    with FakeAutoflex().api() as api:
        assert api.code_list("ordertypes") == names.KNOWN_ORDER_TYPES
        assert api.code_list("fuelcode") == {"Benzine": 1, "Diesel": 2}


def test_list_of_codes_of_neither_shape_is_none() -> None:
    dms = FakeAutoflex()
    dms.call_faults = answers(httpx.Response(200, json={"ordertypes": "none"}))
    with dms.api() as api:
        assert api.code_list("ordertypes") is None


def test_look_changes_with_the_open_list_and_with_nothing_else() -> None:
    dms = FakeAutoflex(order=[order(number) for number in range(7)])
    with dms.api() as api:
        first = look(api)
        assert (first.open_count, first.complete, first.error) == (7, True, None)
        assert first.digest == digest_of(api.open_orders())
        dms.rows["order"].reverse()
        assert look(api).digest == first.digest
        dms.rows["order"][2]["notes"] = "changed"
        assert look(api).digest != first.digest
        dms.rows["order"][2].pop("notes")
        assert look(api).digest == first.digest
        dms.rows["order"].pop()
        assert look(api).digest != first.digest
