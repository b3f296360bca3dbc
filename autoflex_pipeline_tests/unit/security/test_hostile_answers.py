"""Whatever a DMS answers: a reading, or an error that a person can read; never a crash, never without end."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoflex_pipeline.errors import PipelineError
from autoflex_pipeline.sources.autoflex_api import body as bodies
from autoflex_pipeline.sources.autoflex_api import client, pages
from autoflex_pipeline_tests.unit.sources.fake_autoflex import FakeAutoflex, answers, keys, order

DEEP = "[" * 100_000 + "]" * 100_000
HALF_DEEP = "[" * 800 + "]" * 800
HUGE = "9" * 5_000

ODD_VALUES = {
    "deep": DEEP, "half deep": HALF_DEEP, "huge": HUGE, "minus huge": "-" + HUGE, "exponent": "1e999999",
    "huge text": f'"{HUGE}"', "true": "true", "nul": '"\\u0000"', "half": '"\\ud800"', "object": "{}", "empty": '""',
}  # fmt: skip
LOGIN = {"token": '"AAAA"', "api_url": '"https://api.example/data"', "token_valid_until": '"20261123T091500"'}


def envelope(**members: str) -> bytes:
    return ("{" + ",".join(f'"{name}":{text}' for name, text in members.items()) + "}").encode()


def given_body(body: bytes, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, content=body, headers=headers)


def outcome(dms: FakeAutoflex) -> str:
    """What became of looking at the open orders: the error's text, or an empty text."""
    try:
        with dms.api() as api:
            return api.open_orders().error or ""
    except PipelineError as error:
        return str(error)


@pytest.mark.parametrize("odd", ODD_VALUES)
@pytest.mark.parametrize("member", ["token", "api_url", "token_valid_until", "retry", "errorCode", "errorMessage"])
@pytest.mark.parametrize("status", [200, 202])
def test_an_odd_value_in_a_login_never_crashes(member: str, odd: str, status: int) -> None:
    dms = FakeAutoflex(order=[order(1)])
    dms.login_faults = answers(*[given_body(envelope(**{**LOGIN, member: ODD_VALUES[odd]}), status)] * 20)
    assert "\n" not in outcome(dms)


@pytest.mark.parametrize("odd", ODD_VALUES)
@pytest.mark.parametrize("member", ["data", "nextpage", "errorCode", "errorMessage"])
def test_an_odd_value_in_an_envelope_never_crashes(member: str, odd: str) -> None:
    dms = FakeAutoflex(order=[order(1)])
    dms.call_faults = answers(
        *[given_body(envelope(**{"data": "[]", "nextpage": "false", member: ODD_VALUES[odd]}))] * 20
    )
    said = outcome(dms)
    assert "\n" not in said
    assert len(said) < 2_000


@pytest.mark.parametrize("odd", ODD_VALUES)
@pytest.mark.parametrize("field", ["order_id", "order_type", "is_invoiced", "plan_date_from", "notes"])
def test_an_odd_value_in_a_record_never_crashes(field: str, odd: str) -> None:
    dms = FakeAutoflex(order=[order(1)])
    dms.call_faults = answers(
        given_body(envelope(data=f'[{{"order_id":2,"is_invoiced":0,"{field}":{ODD_VALUES[odd]}}}]'))
    )
    assert "\n" not in outcome(dms)


@given(st.binary(max_size=300) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_at_all_are_a_reading_or_an_error_with_a_text(body: bytes | str) -> None:
    content = body.encode() if isinstance(body, str) else body
    dms = FakeAutoflex(order=[order(1)])
    dms.call_faults = answers(*[given_body(content)] * 30)
    dms.login_faults = answers(given_body(content))
    assert "\n" not in outcome(dms)


def test_endless_nesting_is_named_and_not_asked_for_again() -> None:
    dms = FakeAutoflex(order=[order(1)])
    dms.call_faults = answers(given_body(envelope(data=DEEP)))
    assert "nested too deeply; it is not read" in outcome(dms)
    assert len(dms.calls) == 1


def test_more_values_than_memory_can_bear_are_named_and_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_VALUES", 1000)
    dms = FakeAutoflex(order=[order(1)])
    dms.call_faults = answers(given_body(b"[" + b"1," * 1001 + b"1]"))
    assert "more than 1000 values; it is not read" in outcome(dms)
    assert len(dms.calls) == 1


def test_a_decompression_bomb_is_named_and_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_BODY_BYTES", 100_000)
    dms = FakeAutoflex(order=[order(1)])
    bomb = gzip.compress(b'{"data":["' + b"a" * 10_000_000 + b'"]}')
    dms.call_faults = answers(httpx.Response(200, content=bomb, headers={"Content-Encoding": "gzip"}))
    assert "larger than 100000 bytes; it is not read" in outcome(dms)
    assert len(dms.calls) == 1


def test_a_compressed_answer_is_read_like_any_other() -> None:
    dms = FakeAutoflex(order=[order(1)])
    packed = gzip.compress(json.dumps({"data": [order(7)], "nextpage": False}).encode())
    dms.call_faults = answers(httpx.Response(200, content=packed, headers={"Content-Encoding": "gzip"}))
    assert keys(dms.api().open_orders()) == ["7"]


def test_pages_without_end_end_at_the_limit_of_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAX_PAGES", 20)
    dms = _endless(FakeAutoflex())
    assert "more than 20 pages" in outcome(dms)


def test_pages_without_end_end_at_the_limit_of_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAX_CRAWL_CHARACTERS", 5_000)
    dms = _endless(FakeAutoflex(), notes="x" * 1000)
    said = outcome(dms)
    assert "more than 5000 characters" in said
    assert len(dms.calls) < 20


def test_a_record_of_megabytes_is_read_whole() -> None:
    note = "é" * 3_000_000
    dms = FakeAutoflex(order=[order(1, notes=note)])
    [record] = dms.api().open_orders().records
    assert json.loads(record.text)["notes"] == note


def test_a_redirect_is_not_followed_so_that_no_token_goes_along() -> None:
    dms = FakeAutoflex(order=[order(1)])
    elsewhere = httpx.Response(302, headers={"Location": "https://evil.example/steal"})
    dms.call_faults = answers(elsewhere, elsewhere)
    assert "refused it with 302" in outcome(dms)
    assert {url.host for url in dms.urls} == {"login.example", "api.example"}


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://api.example/data", "sent in clear"),
        ("https://api.example/data?x=1", "no usable api_url"),
        ("https://user:pw@api.example/data", "no usable api_url"),
        ("https://api.example/da ta", "no usable api_url"),
        ("ftp://api.example/data", "no usable api_url"),
        ("https://api.example/" + "a" * 3000, "no usable api_url"),
    ],
    ids=["http", "query", "password", "space", "ftp", "long"],
)
def test_an_address_of_the_api_where_the_token_is_not_safe_is_refused(address: str, said: str) -> None:
    dms = FakeAutoflex(order=[order(1)])
    dms.login_faults = answers(given_body(envelope(**{**LOGIN, "api_url": json.dumps(address)})))
    assert said in outcome(dms)
    assert dms.calls == []


@pytest.mark.parametrize(
    "token", ["a\r\nX-Other: 1", "é", "a" * 5000, " a", ""], ids=["lines", "accent", "long", "space", "empty"]
)
def test_a_token_that_would_break_out_of_its_header_is_refused(token: str) -> None:
    dms = FakeAutoflex(order=[order(1)])
    dms.login_faults = answers(given_body(envelope(**{**LOGIN, "token": json.dumps(token)})))
    assert "no usable token" in outcome(dms)
    assert dms.calls == []


def test_a_message_of_the_dms_cannot_steer_the_terminal_or_forge_a_line_of_the_log() -> None:
    dms = FakeAutoflex(order=[order(1)])
    refusal = given_body(envelope(errorCode="400", errorMessage='"\\u001b[2Jweg\\r\\n09:00 OK"'))
    dms.call_faults = answers(refusal, refusal)
    said = outcome(dms)
    assert r"\x1b[2Jweg 09:00 OK" in said
    assert said.isprintable()


def _endless(dms: FakeAutoflex, **fields: Any) -> FakeAutoflex:
    def more(entity: str, page: int) -> None:
        dms.rows["order"] = [order(number, **fields) for number in range(1, (page + 2) * dms.page_size)]

    dms.before_page = more
    return dms
