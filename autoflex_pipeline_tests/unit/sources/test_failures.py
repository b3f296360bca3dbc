from __future__ import annotations

import logging
import traceback
from datetime import timedelta
from email.utils import format_datetime

import httpx
import pytest

from autoflex_pipeline.errors import LoginRefusedError, PipelineError
from autoflex_pipeline.sources.autoflex_api import client
from autoflex_pipeline_tests.unit.sources.fake_autoflex import (
    API_KEY,
    PASSWORD,
    USERNAME,
    FakeAutoflex,
    answers,
    breaks,
    error,
    keys,
    order,
)

PASSING = [
    answers(httpx.Response(500, text="<html>")),
    answers(httpx.Response(503, json={"errorCode": 503})),
    answers(error(502, "bad gateway")),
    answers(httpx.Response(408)),
    answers(httpx.Response(425)),
    answers(httpx.Response(429)),
    answers(httpx.Response(200, html="<html>onderhoud</html>")),
    answers(httpx.Response(200, content=b'{"data": [{"order_id": 1}')),
    answers(httpx.Response(200, content=b'{"data": [{"order_id": "\xff"}]}')),
    answers(httpx.Response(200, content=b"")),
    breaks(httpx.ConnectError("refused")),
    breaks(httpx.ReadTimeout("slow")),
    breaks(httpx.RemoteProtocolError("truncated")),
    breaks(httpx.ReadError("reset")),
    breaks(httpx.DecodingError("gzip")),
]


@pytest.mark.parametrize("faults", PASSING)
@pytest.mark.parametrize("at_login", [False, True])
def test_faults_that_pass_are_waited_out(faults: list[object], at_login: bool) -> None:
    dms = FakeAutoflex(order=[order(1)])
    (dms.login_faults if at_login else dms.call_faults).extend(faults)  # type: ignore[arg-type]
    with dms.api() as api:
        reading = api.open_orders()
    assert reading.complete
    assert keys(reading) == ["1"]
    assert reading.requests == 3
    assert len(dms.clock.waits) == 1


def test_faults_that_do_not_pass_end_at_a_deadline_and_are_said() -> None:
    dms = FakeAutoflex(order=[order(1)])
    dms.call_faults = breaks(*[httpx.ReadTimeout("slow")] * 100)
    with dms.api() as api:
        reading = api.open_orders()
    assert not reading.complete
    assert "order?filter=is_invoiced[eq]:0: no answer in time" in (reading.error or "")
    assert sum(dms.clock.waits) <= 60
    assert 3 <= len(dms.calls) <= 12


@pytest.mark.parametrize("answer", [error(400, "bad field"), httpx.Response(404, text="<html>"), httpx.Response(302)])
def test_refused_requests_are_not_repeated(answer: httpx.Response) -> None:
    dms = FakeAutoflex()
    dms.call_faults = answers(*[answer] * 10)
    with dms.api() as api:
        reading = api.by_ids("relation", ["1"])
    assert not reading.complete
    assert "refused it with" in (reading.error or "")
    assert dms.clock.waits == []
    assert len(dms.calls) == 1


def test_answer_that_is_json_of_another_shape_is_an_error() -> None:
    dms = FakeAutoflex()
    dms.call_faults = answers(httpx.Response(200, json={"rows": []}))
    with dms.api() as api:
        reading = api.open_orders()
    assert "neither an array nor an object with data" in (reading.error or "")


@pytest.mark.parametrize(
    ("asked", "at_least"), [("7", 7), ("0.5", 0), ("100000", 30), ("-3", 0), ("soon", 0), ("nan", 0)]
)
def test_retry_after_in_seconds_is_obeyed_up_to_a_cap(asked: str, at_least: float) -> None:
    dms = FakeAutoflex(order=[order(1)])
    dms.call_faults = answers(httpx.Response(429, headers={"retry-after": asked}))
    with dms.api() as api:
        assert api.open_orders().complete
    assert at_least <= max(dms.clock.waits) <= 30


def test_retry_after_as_a_date_is_obeyed() -> None:
    dms = FakeAutoflex(order=[order(1)])
    when = format_datetime(dms.clock.now + timedelta(seconds=9), usegmt=True)
    dms.call_faults = answers(httpx.Response(503, headers={"retry-after": when}))
    with dms.api() as api:
        assert api.open_orders().complete
    assert dms.clock.waits[0] == pytest.approx(9)


def test_answer_beyond_the_size_limit_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_BODY_BYTES", 1000)
    dms = FakeAutoflex()
    dms.call_faults = answers(httpx.Response(200, content=b" " * 2000))
    with dms.api() as api:
        reading = api.open_orders()
    assert "larger than 1000 bytes" in (reading.error or "")


def test_closed_api_says_so() -> None:
    dms = FakeAutoflex(order=[order(1)])
    api = dms.api()
    api.open_orders()
    api.close()
    assert "closed" in (api.open_orders().error or "")


def everything_said(failure: BaseException | None) -> str:
    """The text of an exception, of all that it refers to, and of what a traceback would print."""
    said = []
    while failure is not None:
        said += [str(failure), repr(failure), repr(vars(failure)), *traceback.format_exception(failure)]
        failure = failure.__cause__ or failure.__context__
    return "\n".join(said)


SECRETS = (API_KEY, USERNAME, PASSWORD, "%20word")
ECHO = f"key {API_KEY} user {USERNAME} password {PASSWORD} token planted-token-1"


@pytest.mark.parametrize(
    "faults",
    [
        breaks(*[httpx.ReadTimeout(ECHO)] * 50),
        breaks(*[httpx.ConnectError(ECHO)] * 50),
        breaks(httpx.UnsupportedProtocol(ECHO)),
        breaks(httpx.InvalidURL(ECHO)),
        answers(*[httpx.Response(500, text=ECHO)] * 50),
        answers(error(400, ECHO)),
        answers(*[error(500, ECHO)] * 50),
        answers(*[error(401, ECHO)] * 50),
        answers(*[httpx.Response(200, html=ECHO)] * 50),
        answers(httpx.Response(302, headers={"location": f"https://x/?username={USERNAME}"})),
    ],
)
@pytest.mark.parametrize("at_login", [False, True])
def test_no_secret_is_said_anywhere(
    faults: list[object], at_login: bool, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("", "httpx", "httpcore", "pyrate_limiter", "tenacity", "autoflex_pipeline"):
        caplog.set_level(logging.DEBUG, logger=name)  # even where somebody turns all logs on
    dms = FakeAutoflex(order=[order(1)])
    (dms.login_faults if at_login else dms.call_faults).extend(faults)  # type: ignore[arg-type]
    said = []
    with dms.api() as api:
        said += [repr(api), repr(api.connection), repr(vars(api.connection))]
        try:
            said.append(repr(api.open_orders()))
        except LoginRefusedError as failure:
            said.append(everything_said(failure))
        try:
            api.code_list("ordertypes")
        except PipelineError as failure:
            said.append(everything_said(failure))
    said += [caplog.text, *(repr(record.args) for record in caplog.records), *capfd.readouterr()]
    for secret in SECRETS if at_login else (*SECRETS, "planted-token"):
        assert secret not in "\n".join(said)
