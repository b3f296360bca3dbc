from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from autoflex_pipeline.errors import LoginRefusedError
from autoflex_pipeline_tests.unit.sources.fake_autoflex import (
    API_KEY,
    PASSWORD,
    USERNAME,
    FakeAutoflex,
    answers,
    error,
    keys,
    order,
)


def test_login_sends_the_credentials_and_later_calls_go_to_the_api_url_with_token_and_key() -> None:
    dms = FakeAutoflex(order=[order(1)])
    with dms.api(organization_name="Jansen & Zn") as api:
        assert api.open_orders().complete
    login, call = dms.urls
    assert login.copy_with(query=None) == "https://login.example/v2/authenticate"
    assert dict(login.params) == {
        "api_key": API_KEY,
        "username": USERNAME,
        "password": PASSWORD,
        "organization_name": "Jansen & Zn",
    }
    assert call.copy_with(query=None) == "https://api.example/data/order"
    assert (dms.headers[1]["token"], dms.headers[1]["apikey"]) == ("planted-token-1", API_KEY)
    assert "token" not in dms.headers[0]


def test_one_login_serves_all_readings() -> None:
    dms = FakeAutoflex(order=[order(1)])
    with dms.api() as api:
        api.open_orders()
        api.work_orders()
        api.code_list("ordertypes")
    assert dms.logins == 1


def test_one_login_serves_all_threads_that_need_one_at_once() -> None:
    dms = FakeAutoflex(order=[order(1)])
    start = threading.Barrier(8)
    with dms.api(max_concurrency=8) as api, ThreadPoolExecutor(8) as pool:

        def read() -> bool:
            start.wait()
            return api.open_orders().complete

        assert all(future.result() for future in [pool.submit(read) for _ in range(8)])
    assert dms.logins == 1


def test_token_is_renewed_60_seconds_before_it_runs_out() -> None:
    dms = FakeAutoflex(order=[order(1)])
    begin = dms.clock.now
    dms.valid_until = lambda: "20261123T091500"  # 08:15 UTC
    with dms.api() as api:
        api.open_orders()
        dms.clock.now = begin + timedelta(minutes=13, seconds=59)
        api.open_orders()
        assert dms.logins == 1
        dms.clock.now = begin + timedelta(minutes=14)
        api.open_orders()
    assert dms.logins == 2


@pytest.mark.parametrize(
    "valid_until", ["20261124T090000", None, "nonsense", "20261123T080000", 20261123, "00010101T000000"]
)
def test_token_is_never_trusted_beyond_30_minutes(valid_until: object) -> None:
    dms = FakeAutoflex(order=[order(1)])
    dms.valid_until = lambda: valid_until
    with dms.api() as api:
        api.open_orders()
        dms.clock.now += timedelta(minutes=28)
        api.open_orders()
        assert dms.logins == 1
        dms.clock.now += timedelta(minutes=1)
        api.open_orders()
    assert dms.logins == 2


def test_token_time_in_the_hour_that_exists_twice_is_the_one_to_come() -> None:
    dms = FakeAutoflex(order=[order(1)])
    dms.clock.now = datetime(2026, 10, 25, 1, 20, tzinfo=UTC)  # 02:20, the second time
    dms.valid_until = lambda: "20261025T024000"
    with dms.api() as api:
        api.open_orders()
        dms.clock.now += timedelta(minutes=18)
        api.open_orders()
        assert dms.logins == 1
        dms.clock.now += timedelta(minutes=2)
        api.open_orders()
    assert dms.logins == 2


def test_token_that_lives_shorter_than_the_margin_is_still_used() -> None:
    dms = FakeAutoflex(order=[order(number) for number in range(12)])
    dms.valid_until = lambda: "20261123T090040"
    with dms.api() as api:
        assert api.open_orders().complete
    assert dms.logins == 1


def test_202_is_waited_out() -> None:
    dms = FakeAutoflex(order=[order(1)])
    dms.login_faults = answers(httpx.Response(202, json={"retry": 5000}), httpx.Response(202, json={"retry": 1500}))
    with dms.api() as api:
        assert keys(api.open_orders()) == ["1"]
    assert dms.clock.waits == [5.0, 1.5]


@pytest.mark.parametrize("body", ["", "{}", '{"retry": "soon"}', '{"retry": -1}', "<html>"])
def test_202_without_a_usable_time_waits_five_seconds(body: str) -> None:
    dms = FakeAutoflex(order=[order(1)])
    dms.login_faults = answers(httpx.Response(202, text=body))
    with dms.api() as api:
        assert api.open_orders().complete
    assert dms.clock.waits == [5.0]


def test_202_for_ever_ends_and_says_why() -> None:
    dms = FakeAutoflex()
    dms.login_faults = answers(*[httpx.Response(202, json={"retry": 5000})] * 100)
    with dms.api() as api:
        reading = api.open_orders()
    assert not reading.complete
    assert "no session free" in (reading.error or "")
    assert sum(dms.clock.waits) <= 60


@pytest.mark.parametrize("refusal", [httpx.Response(401, text="no"), error(401, "Not authorized"), httpx.Response(403)])
def test_wrong_credentials_are_raised_at_once_and_name_the_variables(refusal: httpx.Response) -> None:
    dms = FakeAutoflex(order=[order(1)])
    dms.login_faults = answers(*[refusal] * 5)
    with (
        dms.api() as api,
        pytest.raises(LoginRefusedError, match="JANSEN_API_KEY, JANSEN_USERNAME and JANSEN_PASSWORD"),
    ):
        api.open_orders()
    assert len(dms.urls) == 1
    assert dms.clock.waits == []


def test_refused_login_is_shared_by_the_threads_that_waited_for_it() -> None:
    dms = FakeAutoflex(vehicle=[])
    dms.login_faults = answers(*[httpx.Response(401)] * 50)
    with dms.api(max_concurrency=4) as api, pytest.raises(LoginRefusedError):
        api.by_ids("vehicle", ["1", "2", "3", "4", "5"])
    assert len(dms.urls) <= 4


def test_login_with_the_credentials_corrected_works_on_the_same_object() -> None:
    dms = FakeAutoflex(order=[order(1)])
    dms.login_faults = answers(httpx.Response(401))
    with dms.api() as api:
        with pytest.raises(LoginRefusedError):
            api.open_orders()
        assert api.open_orders().complete


@pytest.mark.parametrize(
    "body",
    [{}, {"token": "abc"}, {"token": "", "api_url": "https://x"}, {"token": 5, "api_url": "https://x"},
     {"token": "abc", "api_url": "ftp://x"}, {"token": "a\nb", "api_url": "https://x"}, {"token": "abc", "api_url": "https://["}],
)  # fmt: skip
def test_login_answer_without_token_or_address_is_said_to_be_unusable(body: dict[str, object]) -> None:
    dms = FakeAutoflex()
    dms.login_faults = answers(*[httpx.Response(200, json=body)] * 3)
    with dms.api() as api:
        reading = api.open_orders()
    assert not reading.complete
    assert "holds no usable" in (reading.error or "")


def test_refused_token_is_replaced_and_the_call_sent_again() -> None:
    dms = FakeAutoflex(order=[order(1)])
    with dms.api() as api:
        api.open_orders()
        dms.revoke()
        assert keys(api.open_orders()) == ["1"]
    assert dms.logins == 2


def test_http_401_on_a_call_is_a_refused_token_too() -> None:
    dms = FakeAutoflex(order=[order(1)])
    dms.call_faults = answers(httpx.Response(401, text="<html>"))
    with dms.api() as api:
        assert keys(api.open_orders()) == ["1"]
    assert dms.logins == 2


def test_call_is_given_up_after_three_refused_tokens() -> None:
    dms = FakeAutoflex(order=[order(1)])
    dms.token_calls = 0
    with dms.api() as api:
        reading = api.open_orders()
    assert not reading.complete
    assert "refused 3 tokens" in (reading.error or "")
    assert len(dms.calls) == 3


@pytest.mark.parametrize("token_calls", [1, 2, 3, 5])
def test_tokens_that_serve_few_calls_starve_no_thread(token_calls: int) -> None:
    dms = FakeAutoflex(vehicle=[{"vehicle_id": number} for number in range(40)])
    dms.page_size = 1
    dms.token_calls = token_calls
    with dms.api(max_concurrency=4) as api:
        reading = api.by_ids("vehicle", [str(number) for number in range(40)])
    assert reading.complete
    assert len(reading.records) == 40
