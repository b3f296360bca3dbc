from __future__ import annotations

import httpx
import pytest

from autoflex_pipeline.sandbox.control import AutoflexControl
from autoflex_pipeline.sandbox.server import RunningAutoflex
from autoflex_pipeline_tests.unit.sandbox.conftest import Caller, login


@pytest.fixture(autouse=True)
def _orders(autoflex: RunningAutoflex, control: AutoflexControl) -> None:
    orders = [{"order_id": number, "order_type": 1, "notes": "x"} for number in range(150)]
    control.load("jansen", {"order": orders})
    control.load("vries", {"order": orders})


def ids(caller: Caller, page: int = 1) -> list[int]:
    return [row["order_id"] for row in caller.get("order", page=page)["data"]]


def test_no_session_free_is_202_as_often_as_set(
    autoflex: RunningAutoflex, client: httpx.Client, control: AutoflexControl
) -> None:
    control.set_fault("login_busy", times=2, retry_ms=20)
    answers = [login(autoflex, client) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 200]
    assert answers[0].json() == {"retry": 20}


def test_a_fault_hits_one_dealer_and_endpoint_only(jansen: Caller, vries: Caller, control: AutoflexControl) -> None:
    control.set_fault("status", status=503, dealer="jansen", endpoint="order", times=1)
    assert vries.response("order").status_code == 200
    assert jansen.response("vehicle").status_code == 200
    assert [jansen.response("order").status_code for _ in range(2)] == [503, 200]


def test_a_fault_can_strike_later_and_on_one_page(jansen: Caller, control: AutoflexControl) -> None:
    control.set_fault("status", page=2, after=1)
    assert [jansen.response("order", page=page).status_code for page in (1, 2, 2)] == [200, 200, 503]


def test_429_says_when_to_come_back(jansen: Caller, control: AutoflexControl) -> None:
    control.set_fault("status", status=429, retry_after=3, times=1)
    control.set_fault("status", status=429, retry_after=3, retry_after_as_date=True, times=1)
    assert jansen.response("order").headers["Retry-After"] == "3"
    assert jansen.response("order").headers["Retry-After"].endswith("GMT")


def test_an_error_in_a_200_and_a_refused_token(jansen: Caller, control: AutoflexControl) -> None:
    control.set_fault("error", code=500, message="Oops", times=1)
    control.set_fault("token_refused", times=1)
    answers = [jansen.response("order") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert answers[0].json() == {"errorCode": 500, "errorMessage": "Oops"}
    assert answers[1].json()["errorCode"] == 401
    assert "data" in answers[2].json()


def test_connections_are_reset(jansen: Caller, control: AutoflexControl) -> None:
    control.set_fault("reset", times=1)
    with pytest.raises(httpx.TransportError):
        jansen.response("order")
    assert jansen.response("order").status_code == 200


def test_no_answer_at_all(jansen: Caller, control: AutoflexControl) -> None:
    control.set_fault("timeout", times=1)
    with pytest.raises(httpx.ReadTimeout):
        jansen.client.get(f"{jansen.api_url}/order", headers={"token": jansen.token}, timeout=0.2)
    assert jansen.response("order").status_code == 200


def test_half_bodies_and_pages_for_people(jansen: Caller, control: AutoflexControl) -> None:
    control.set_fault("truncated", times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        jansen.response("order")
    control.set_fault("half_json", times=1)
    with pytest.raises(ValueError):
        jansen.get("order")
    control.set_fault("html", times=1)
    assert jansen.response("order").headers["content-type"].startswith("text/html")


def test_slow_answers_come(jansen: Caller, control: AutoflexControl) -> None:
    control.set_fault("slow", latency_ms=150, times=1)
    assert jansen.response("order").elapsed.total_seconds() >= 0.15


def test_rows_shift_between_pages_either_way(jansen: Caller, control: AutoflexControl) -> None:
    control.set_fault("shift", rows=2, times=2)
    assert ids(jansen, 1)[-2:] == [98, 99]
    assert ids(jansen, 2)[:3] == [98, 99, 100]
    control.clear_faults()
    control.set_fault("shift", rows=-2)
    assert ids(jansen, 2)[0] == 102


def test_rows_come_twice(jansen: Caller, control: AutoflexControl) -> None:
    control.set_fault("duplicate", rows=3, times=1)
    assert ids(jansen)[-3:] == [0, 1, 2]


def test_a_field_is_missing_or_of_another_type(jansen: Caller, control: AutoflexControl) -> None:
    control.set_fault("field_missing", field="notes", times=1)
    assert "notes" not in jansen.get("order")["data"][0]
    control.set_fault("field_type", field="notes", to="object", rows=1, times=1)
    rows = jansen.get("order")["data"]
    assert rows[0]["notes"] == {"value": "x"}
    assert rows[1]["notes"] == "x"


def test_an_unknown_order_type_and_an_empty_dealer(jansen: Caller, control: AutoflexControl) -> None:
    control.set_fault("unknown_order_type", value=77, rows=1, times=1)
    assert jansen.get("order")["data"][0]["order_type"] == 77
    control.set_fault("empty", dealer="jansen", times=1)
    assert jansen.get("order") == {"data": [], "nextpage": False}


def test_an_unknown_kind_of_fault_is_refused(control: AutoflexControl) -> None:
    with pytest.raises(RuntimeError, match="kind"):
        control.set_fault("nonsense")
