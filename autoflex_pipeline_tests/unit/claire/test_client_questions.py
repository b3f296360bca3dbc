"""Questions to Claire: the status of an appointment, and the list of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from autoflex_pipeline.claire import client
from autoflex_pipeline.claire.api import work_started
from autoflex_pipeline.claire.client import (
    ClaireUnreachableError,
)
from autoflex_pipeline.runs import doctor
from autoflex_pipeline.settings import DealerSettings
from autoflex_pipeline_tests.unit.claire.answering import Claire, page


def test_the_status_is_asked_for_by_id_or_by_number(claire: Claire) -> None:
    assert claire.status(httpx.Response(200, json={"status": "Car in shop"}), claire_id="a/b?c") == "Car in shop"
    assert claire.status_by_number(page({"id": 1, "status": "Cancelled"}, {"id": 2, "status": "x"})) == "Cancelled"
    assert claire.urls == [
        "https://claire.example/v1/appointments/a%2Fb%3Fc",
        "https://claire.example/v1/appointments/list?location_id=101&dms_nr=7%268",
    ]
    assert {request.method for request in claire.requests} == {"GET"}


def test_what_claire_does_not_have_has_no_status(claire: Claire) -> None:
    assert claire.status(httpx.Response(404)) is None
    assert claire.status_by_number(page()) is None
    other, own = {"id": 1, "dms_nr": "7", "status": "Cancelled"}, {"id": 2, "dms_nr": "7&8", "status": "New entry"}
    assert claire.status_by_number(page(other, own)) == "New entry"
    assert claire.status_by_number(page(other)) is None
    assert claire.connection.gate.stopped_because is None


def test_a_list_that_is_not_found_is_a_fault_of_configuration(claire: Claire) -> None:
    with pytest.raises(ClaireUnreachableError, match="Claire answered 404"):
        claire.status_by_number(httpx.Response(404))
    assert claire.connection.gate.stopped_because == "Claire answered 404"


@pytest.mark.parametrize("body", [{"status": 7}, {"status": None}, {"id": 1}, [1]])
def test_a_status_that_is_no_text_is_no_answer(claire: Claire, body: Any) -> None:
    assert claire.status(httpx.Response(200, json=body), httpx.Response(200, json={"status": "x"})) == "x"
    assert len(claire.requests) == 2


def test_a_question_is_tried_again_until_the_deadline_or_once(claire: Claire) -> None:
    for question in (claire.status, claire.status_by_number):
        with pytest.raises(ClaireUnreachableError, match="Claire answered 503"):
            question(httpx.Response(503))
        assert len(claire.requests) > 3
        claire.connection.gate.succeeded()
        claire.requests.clear()
    for ask in (
        lambda: claire.connection.status_by_id("c1", claire.stop, once=True),
        lambda: claire.connection.status_by_number("101", "7", claire.stop, once=True),
    ):
        with pytest.raises(ClaireUnreachableError):
            ask()
    assert len(claire.requests) == 2


def test_a_list_is_read_page_by_page_to_its_end(claire: Claire) -> None:
    rows: list[dict[str, Any]] = [{"id": number, "status": "New entry"} for number in range(3)]
    assert claire.pages(page(*rows[:2], next_page=2), page(next_page=3), page(rows[2])) == [rows[:2], [], rows[2:]]
    assert claire.urls == [
        f"https://claire.example/v1/appointments/list?location_id=101&page={number}" for number in (1, 2, 3)
    ]


@pytest.mark.parametrize("following", [1, 0])
def test_a_list_that_turns_back_is_given_up(claire: Claire, following: int) -> None:
    with pytest.raises(ClaireUnreachableError, match=f"page {following} follows page 1"):
        claire.pages(page(next_page=following))


def test_a_list_without_an_end_is_given_up_at_the_pages_that_bring_nothing_new(claire: Claire) -> None:
    """A next page that only ascends was asked for endlessly, under the dealer's lock."""
    row = {"id": "c1", "status": "New entry"}
    for rows, read in (((), 3), ((row,), 4)):
        claire.requests.clear()
        with pytest.raises(ClaireUnreachableError, match=f"'101' goes on .* page {read}, .* names page {read + 1};"):
            claire.pages(*(page(*rows, next_page=number) for number in range(2, 400)))
        assert len(claire.requests) == read


def test_pages_that_bring_nothing_new_may_lie_between_others(claire: Claire) -> None:
    new = [page({"id": number, "status": "x"}, next_page=10 * number) for number in (1, 4, 7)]
    nothing = [page(next_page=10 * number) for number in (2, 3, 5, 6)]
    read = claire.pages(new[0], *nothing[:2], new[1], *nothing[2:], new[2], page())
    assert [len(rows) for rows in read] == [1, 0, 0, 1, 0, 0, 1, 0]


def test_a_list_is_read_up_to_so_many_pages(claire: Claire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_PAGES", 20)
    pages = [page({"id": number, "status": "x"}, next_page=number + 1) for number in range(1, 300)]
    with pytest.raises(ClaireUnreachableError, match="list of location '101' has more than 20 pages"):
        claire.pages(*pages)
    assert len(claire.requests) == 20
    assert len(claire.pages(*pages[:19], page())) == 20


@pytest.mark.parametrize(
    "answer",
    [
        page(next_page="2"),
        httpx.Response(200, json={"data": {}, "next_page": None}),
        httpx.Response(200, json={"data": []}),
        page({"id": None, "status": "x"}),
        page({"id": 1, "status": None}),
        page({"id": 1}),
        page({"id": 1, "status": "x"}, {"id": [], "status": "x"}),
    ],
)
def test_a_page_that_is_not_the_contracts_is_no_answer(claire: Claire, answer: httpx.Response) -> None:
    assert claire.pages(answer, page()) == [[]]
    assert len(claire.requests) == 2


def test_work_has_started_on_all_but_new_present_and_cancelled_ones() -> None:
    assert not any(work_started(status) for status in (None, "New entry", "Car in shop", "Cancelled"))
    assert all(work_started(status) for status in ("Control started", "", "Ready"))


def test_doctor_finds_out_whether_claires_list_heeds_the_number(claire: Claire) -> None:
    """Where it does not, whether Claire has an appointment could not be asked."""
    connections: Any = SimpleNamespace(get=lambda dealer: claire.connection)
    dealer = DealerSettings(id="jansen", name="Jansen", claire_location_id="101")
    claire.answers = [httpx.Response(503), page()]
    assert doctor._claire(connections, dealer).ok
    assert claire.urls == ["https://claire.example/v1/appointments/list?location_id=101&dms_nr=doctor-probe"] * 2
    claire.answers = [page({"id": 1, "status": "x"}, {"id": 2, "status": "x"}, next_page=2)]
    check = doctor._claire(connections, dealer)
    assert not check.ok
    assert check.detail.startswith(
        "its list does not heed 'dms_nr': it gave 2 appointments for a number that none has;"
    )
