"""One request to a DMS: what its answers mean, what is tried again and how long; in no real time."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import tenacity

from autoflex_pipeline.errors import SourceError
from autoflex_pipeline.sources.autoflex_api import client
from autoflex_pipeline.sources.autoflex_api.client import Answer, HttpClient, Tally
from autoflex_pipeline.sources.autoflex_api.failures import RefusedRequestError, Secrets
from autoflex_pipeline_tests.unit.dripping import dripping

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
URL = "https://dms.example/data/order?page=1"
FINE = httpx.Response(200, json={"data": []})
Reply = httpx.Response | Exception


def envelope(code: Any, message: Any = "said", status: int = 200) -> httpx.Response:
    return httpx.Response(status, json={"errorCode": code, "errorMessage": message})


class Dms:
    """Answers in the order given, the last one again and again; only waiting moves its clock."""

    def __init__(self, **options: Any) -> None:
        self.now, self.waits = 0.0, list[float]()
        self.replies: list[Reply] = []
        self.requests: list[httpx.Request] = []
        self.tally = Tally()
        self.during_wait: Callable[[], object] = lambda: None
        self.client = HttpClient(
            **{"max_concurrency": 2, "max_requests_per_second": 0} | options,
            secrets=Secrets(["planted-token"]),
            transport=httpx.MockTransport(self._handle),
            sleep=self._sleep,
            now=lambda: NOW + timedelta(seconds=self.now),
        )

    def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        self.during_wait()

    def _handle(self, request: httpx.Request) -> httpx.Response:
        assert len(self.requests) < 100, "no end of requests"
        self.requests.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)

    def get(self, *replies: Reply) -> Answer:
        self.replies = list(replies)
        return self.client.get(URL, {"token": "planted-token"}, "order?page=1", self.tally)

    def problem(self, *replies: Reply) -> str:
        with pytest.raises(SourceError) as caught:
            self.get(*replies)
        return str(caught.value)


@pytest.fixture
def dms(monkeypatch: pytest.MonkeyPatch) -> Iterator[Dms]:
    made = Dms()
    clock = SimpleNamespace(monotonic=lambda: made.now)
    monkeypatch.setattr(client, "time", clock)
    monkeypatch.setattr(tenacity, "time", clock)
    yield made
    made.client.close()


def test_an_answer_is_one_request_with_its_headers(dms: Dms) -> None:
    answer = dms.get(FINE)
    assert (answer.code, answer.message, answer.is_unauthorized) == (200, "", False)
    assert answer.payload is not None
    (request,) = dms.requests
    assert (request.method, str(request.url), request.headers["token"]) == ("GET", URL, "planted-token")
    assert request.headers["accept"] == "application/json"
    assert (dms.tally.requests, dms.client.total.requests, dms.waits) == (1, 1, [])


def test_the_clock_of_the_dms_is_as_its_newest_answer_tells_it(dms: Dms) -> None:
    def dated(second: int, status: int = 200) -> httpx.Response:
        return httpx.Response(status, headers={"Date": f"Tue, 24 Nov 2026 09:00:{second:02} GMT"}, content=FINE.content)

    told = [dms.client.told_time]
    for replies in ([dated(1)], [dated(2, 503), dated(3)], [httpx.ConnectError("no"), dated(4)], [FINE]):
        dms.get(*replies)
        told.append(dms.client.told_time)
    assert [moment and moment.second for moment in told] == [None, 1, 3, 4, None]


def test_a_request_has_twenty_seconds_for_an_answer_and_five_to_connect(dms: Dms) -> None:
    dms.get(FINE)
    timeout = dms.requests[0].extensions["timeout"]
    assert (timeout["read"], timeout["connect"], timeout["pool"]) == (20, 5, None)


@pytest.mark.parametrize(
    "passing",
    [
        *(httpx.Response(code) for code in (408, 425, 429, 500, 503)),
        *(envelope(code) for code in (408, "503", 599)),
        httpx.Response(200, content=b""),
        httpx.Response(201, content=b"<html>"),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.DecodingError("gzip"),
    ],
)
def test_what_may_pass_is_tried_again(dms: Dms, passing: Reply) -> None:
    assert dms.get(passing, passing, FINE).code == 200
    assert (len(dms.requests), len(dms.waits), dms.tally.requests, dms.client.total.requests) == (3, 2, 3, 3)


@pytest.mark.parametrize(
    ("reply", "code", "said"),
    [
        (httpx.Response(300), 300, "(no message)"),
        (httpx.Response(302), 302, "(no message)"),
        (httpx.Response(404, content=b"<html>"), 404, "(no message)"),
        (envelope(400, "bad planted-token field"), 400, "bad *** field"),
        (envelope("17000"), 17000, "said"),
        (envelope(99_999), 99_999, "said"),
        (envelope(100_000), 400, "said"),
        (envelope(300), 300, "said"),
        (envelope(299), 400, "said"),
        (envelope(-1), 400, "said"),
        (envelope("E12"), 400, "said"),
        (envelope([1]), 400, "said"),
        (envelope(True), 400, "said"),
        (envelope(404, ["no text"]), 404, "(no message)"),
    ],
)
def test_what_is_refused_is_not_repeated_and_says_why(dms: Dms, reply: httpx.Response, code: int, said: str) -> None:
    with pytest.raises(RefusedRequestError) as caught:
        dms.get(reply)
    assert f"order?page=1: the DMS refused it with {code} {said}; check login_url" in str(caught.value)
    assert caught.value.code == code
    assert (len(dms.requests), dms.waits) == (1, [])


@pytest.mark.parametrize("code", [0, "0", None])
def test_an_envelope_without_an_error_is_an_answer(dms: Dms, code: Any) -> None:
    assert dms.get(envelope(code)).code == 200


@pytest.mark.parametrize("reply", [httpx.Response(401), envelope(401, "planted-token expired"), envelope("401")])
def test_refused_credentials_are_an_answer(dms: Dms, reply: httpx.Response) -> None:
    answer = dms.get(reply)
    assert (answer.is_unauthorized, answer.code) == (True, 401)
    assert "planted" not in answer.message


def test_accepted_without_a_body_is_an_answer(dms: Dms) -> None:
    assert dms.get(httpx.Response(202)).payload is None


def test_tries_end_after_twelve_requests_and_say_so(dms: Dms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: 0.0)
    dms.tally.add()
    problem = dms.problem(httpx.ReadTimeout("slow"))
    assert problem == (
        "order?page=1: no answer in time (20 s; 5 s to connect); given up after 12 requests, the next run tries again"
    )
    assert len(dms.requests) == 12


def test_pauses_are_random_up_to_half_a_second_double_up_to_fifteen_and_end_at_the_deadline(
    dms: Dms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    assert "given up after 8 requests" in dms.problem(httpx.Response(503))
    assert dms.waits == [0.5, 1, 2, 4, 8, 15, 15]


def test_the_last_pause_may_just_reach_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    dms = Dms(deadline_seconds=1.5)
    monkeypatch.setattr(tenacity, "time", SimpleNamespace(monotonic=lambda: 0.0))
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    assert "given up after 3 requests" in dms.problem(httpx.Response(503))
    assert dms.waits == [0.5, 1]
    dms.client.close()


def test_the_time_that_requests_take_counts_too(dms: Dms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenacity, "time", SimpleNamespace(monotonic=lambda: dms.now + 29 * len(dms.requests)))
    assert "given up after 3 requests" in dms.problem(httpx.ReadTimeout("slow"))


def test_the_dms_is_left_alone_as_long_as_it_asks_by_every_thread(dms: Dms) -> None:
    assert dms.get(httpx.Response(429, headers={"Retry-After": "7"}), FINE).code == 200
    assert sum(dms.waits) == pytest.approx(7, abs=0.6)
    assert min(dms.waits) >= 0
    dms.waits.clear()
    dms.client._not_before = dms.now + 0.5
    dms.get(FINE)
    assert dms.waits == [0.5]
    dms.get(FINE)
    assert dms.waits == [0.5]


def test_while_one_thread_waits_as_it_was_asked_the_others_wait_too(dms: Dms) -> None:
    not_before: list[float] = []
    dms.during_wait = lambda: not_before.append(dms.client._not_before)
    dms.get(httpx.Response(429, headers={"Retry-After": "7"}), FINE)
    assert not_before == [7]


def test_a_pause_asked_for_by_date_or_beyond_the_cap(dms: Dms) -> None:
    when = format_datetime(NOW + timedelta(seconds=9), usegmt=True)
    dms.get(httpx.Response(503, headers={"Retry-After": when}), FINE)
    assert dms.waits[0] == pytest.approx(9)
    dms.waits.clear()
    dms.get(httpx.Response(503, headers={"Retry-After": "500"}), FINE)
    assert sum(dms.waits) == pytest.approx(30)


def test_a_pause_of_nothing_is_the_usual_one(dms: Dms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    dms.get(httpx.Response(503, headers={"Retry-After": "0"}), FINE)
    assert dms.waits == [0.5]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (httpx.Response(503), "answered 503;"),
        (envelope(503, "down for planted-token"), "answered 503 down for ***;"),
        (httpx.Response(200, html="<html>"), "the body is not (whole) JSON (6 bytes, text/html);"),
        (httpx.Response(200, content=b"x"), "the body is not (whole) JSON (1 bytes, no content type);"),
        (
            httpx.Response(200, html="<html>", headers={"content-type": "x" * 51}),
            f"the body is not (whole) JSON (6 bytes, {'x' * 50});",
        ),
        (httpx.ConnectError("refused"), "no connection;"),
        (httpx.ReadError("planted-token"), "the connection broke off (ReadError);"),
    ],
)
def test_why_it_was_given_up_is_said_without_secrets(dms: Dms, reply: Reply, said: str) -> None:
    problem = dms.problem(reply)
    assert problem.startswith(f"order?page=1: {said} given up after ")
    assert "planted" not in problem


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (httpx.UnsupportedProtocol("x"), "the address or the id in it cannot be sent; check login_url"),
        (httpx.InvalidURL("x"), "the address or the id in it cannot be sent; check login_url"),
        (UnicodeError("x"), "the address or the id in it cannot be sent; check login_url"),
        (RuntimeError("Cannot send a request, as the client has been closed."), "RuntimeError"),
    ],
)
def test_what_trying_again_cannot_help_is_said_at_once(dms: Dms, reply: Reply, said: str) -> None:
    assert dms.problem(reply).startswith(f"order?page=1: {said}")
    assert (len(dms.requests), dms.waits) == (1, [])


def test_a_certificate_that_is_not_trusted_is_said_at_once(dms: Dms) -> None:
    error = httpx.ConnectError("certificate verify failed")
    error.__cause__ = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.__cause__.verify_message = "self-signed"
    assert "its TLS certificate is not trusted (self-signed)" in dms.problem(error)
    assert (len(dms.requests), dms.waits) == (1, [])


def test_a_body_that_is_too_large_or_a_bomb_is_not_read_and_not_asked_for_again(
    dms: Dms, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "nested too deeply; it is not read" in dms.problem(httpx.Response(200, content=b"[" * 100_000))
    monkeypatch.setattr(client, "MAX_BODY_BYTES", 5)
    assert "larger than 5 bytes; it is not read" in dms.problem(FINE)
    assert len(dms.requests) == 2


def test_an_answer_of_megabytes_is_read_and_none_that_memory_would_not_bear(dms: Dms) -> None:
    assert dms.get(httpx.Response(200, json={"data": "x" * 5_000_000})).code == 200
    assert client.MAX_BODY_BYTES < 100_000_000


def test_an_answer_that_comes_byte_by_byte_is_given_up() -> None:
    with dripping() as address:
        made = HttpClient(
            max_concurrency=1,
            max_requests_per_second=0,
            secrets=Secrets([]),
            now=lambda: NOW,
            deadline_seconds=0.3,
        )
        with pytest.raises(SourceError, match="no answer in time"):
            made.get(address, {}, "login", Tally())
        made.close()


def test_a_closed_client_asks_nothing_and_says_so(dms: Dms) -> None:
    dms.client.close()
    assert "its connection was closed; start it again" in dms.problem(FINE)
    assert (dms.requests, dms.tally.requests) == ([], 0)
    assert dms.client._http.is_closed
    with pytest.raises(SourceError, match="its connection was closed"):
        dms.client.pause(1)


def test_closing_ends_the_wait_for_another_try(dms: Dms) -> None:
    dms.during_wait = dms.client.close
    assert "its connection was closed; start it again" in dms.problem(httpx.Response(503))
    assert len(dms.requests) == 1


def test_closed_while_a_request_was_under_way_that_is_what_is_said(dms: Dms, monkeypatch: pytest.MonkeyPatch) -> None:
    def close_and_break(*_: object) -> None:
        dms.client._closed.set()
        raise httpx.ReadError("closed")

    monkeypatch.setattr(dms.client, "_exchange", close_and_break)
    assert "its connection was closed" in dms.problem(FINE)
    assert dms.waits == []


def test_closing_ends_the_limiter(dms: Dms, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(dms.client._rate, "close", lambda: closed.append(True))
    dms.client.close()
    assert closed == [True]


def test_each_request_waits_for_its_turn(dms: Dms, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []
    monkeypatch.setattr(dms.client._rate, "wait_for_turn", lambda: turns.append(len(dms.requests)))
    dms.get(httpx.Response(500), FINE)
    assert turns == [0, 1]


def test_no_more_requests_go_at_once_than_the_settings_say(dms: Dms) -> None:
    assert [dms.client._slots.acquire(blocking=False) for _ in range(3)] == [True, True, False]


def test_a_redirect_is_not_followed_for_the_token_would_go_along(dms: Dms) -> None:
    dms.problem(httpx.Response(302, headers={"location": "https://elsewhere.example/"}))
    assert len(dms.requests) == 1


def test_the_library_logs_no_query(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="httpx")
    logger = logging.getLogger("httpx")
    assert any(isinstance(each, client._WithoutQuery) for each in logger.filters)
    logger.info("HTTP Request: %s %s", "GET", httpx.URL("https://dms.example/login?password=planted"))
    logger.info("nothing to leave out")
    logger.info("%(named)s", {"named": "argument"})
    assert [record.getMessage() for record in caplog.records] == [
        "HTTP Request: GET https://dms.example/login",
        "nothing to leave out",
        "argument",
    ]
