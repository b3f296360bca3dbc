"""What Claire's answers mean, what is tried again and how long; by a Claire in the process, in no real time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from autoflex_pipeline.claire import client
from autoflex_pipeline.claire.client import (
    ClaireConnection,
    ClaireConnections,
    ClaireUnreachableError,
    DealerStop,
    Outcome,
    work_started,
)
from autoflex_pipeline.errors import ConfigurationError
from autoflex_pipeline.settings import ClaireSettings, DealerSettings, Settings
from autoflex_pipeline_tests.unit.claire.no_time import Time, no_real_time
from autoflex_pipeline_tests.unit.dripping import dripping

KEY = "planted-claire-key"
TAKEN = {"id": "c1", "result": "created", "status": "New entry"}
Answer = httpx.Response | Exception


def taken(**values: Any) -> httpx.Response:
    return httpx.Response(200, json=TAKEN | values)


def page(*rows: dict[str, Any], next_page: Any = None) -> httpx.Response:
    return httpx.Response(200, json={"data": list(rows), "next_page": next_page})


@dataclass
class Claire:
    """Answers in the order given, the last one again and again."""

    time: Time
    answers: list[Answer] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    deadline_seconds: float = 60.0
    stop: DealerStop = field(default_factory=DealerStop)

    def __post_init__(self) -> None:
        settings = ClaireSettings(
            base_url="https://claire.example/",
            api_key_env="CLAIRE_KEY",
            max_requests_per_second=0,
            max_concurrency=2,
            deadline_seconds=self.deadline_seconds,
        )
        self.connection = ClaireConnection(settings, SecretStr(KEY))
        self.connection._new_transport = lambda: httpx.MockTransport(self._handle)  # type: ignore[method-assign,assignment,return-value]

    def _handle(self, request: httpx.Request) -> httpx.Response:
        assert len(self.requests) < 500, "no end of requests"
        request.read()
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def sends(self, *answers: Answer, once: bool = False) -> Outcome:
        self.answers = list(answers)
        self.requests.clear()
        options = {"once": True} if once else {}
        return self.connection.import_appointment('{"dms_nr":"7"}', "the-key", self.stop, **options)

    def status(self, *answers: Answer, claire_id: str = "c1") -> str | None:
        self.answers = list(answers)
        return self.connection.status_by_id(claire_id, self.stop)

    def status_by_number(self, *answers: Answer) -> str | None:
        self.answers = list(answers)
        return self.connection.status_by_number("101", "7&8", self.stop)

    def pages(self, *answers: Answer) -> list[list[dict[str, Any]]]:
        self.answers = list(answers)
        return list(self.connection.appointments("101", self.stop))

    @property
    def urls(self) -> list[str]:
        return [str(request.url) for request in self.requests]


@pytest.fixture
def claire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Claire]:
    claire = Claire(no_real_time(monkeypatch))
    yield claire
    claire.connection.close()


@pytest.mark.parametrize("result", ["created", "updated", "unchanged"])
def test_an_import_is_one_request_with_its_key_and_its_body_byte_for_byte(claire: Claire, result: str) -> None:
    before = datetime.now(UTC)
    outcome = claire.sends(taken(result=result, id=17))
    (request,) = claire.requests
    assert (request.method, str(request.url)) == ("POST", "https://claire.example/v1/appointments/import")
    assert request.content == b'{"dms_nr":"7"}'
    assert request.headers["Idempotency-Key"] == "the-key"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Authorization"] == KEY
    assert (outcome.result, outcome.claire_id, outcome.status) == (result, "17", "New entry")
    (attempt,) = outcome.attempts
    assert (attempt.result, attempt.http_status, attempt.message) == (result, 200, None)
    assert before <= attempt.attempted_at <= datetime.now(UTC)
    assert outcome.message is None


@pytest.mark.parametrize(
    "passing",
    [
        *(httpx.Response(code) for code in (408, 425, 429, 500, 502, 503, 599)),
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("refused"),
        httpx.RemoteProtocolError("cut off"),
    ],
)
def test_what_may_pass_is_tried_again_with_the_same_key_and_body(claire: Claire, passing: Answer) -> None:
    outcome = claire.sends(passing, passing, taken())
    assert [attempt.result for attempt in outcome.attempts] == ["failed", "failed", "created"]
    code = passing.status_code if isinstance(passing, httpx.Response) else None
    assert [attempt.http_status for attempt in outcome.attempts] == [code, code, 200]
    assert all(attempt.message for attempt in outcome.attempts[:2])
    assert len({(request.headers["Idempotency-Key"], request.content) for request in claire.requests}) == 1
    assert len(claire.time.waits) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'{"id": "c1", "result": "created"}',
        *(
            httpx.Response(200, json=TAKEN | change).content
            for change in (
                {"result": "done"},
                {"status": None},
                {"status": 7},
                {"id": ""},
                {"id": 0},
                {"id": None},
                {"id": ["c1"]},
                {"id": "x" * 492},
            )
        ),
        b"[" * 100_000,
    ],
)
def test_an_answer_that_is_not_the_contracts_is_no_answer(claire: Claire, body: bytes) -> None:
    outcome = claire.sends(httpx.Response(200, content=body), taken())
    assert [(attempt.result, attempt.http_status) for attempt in outcome.attempts] == [
        ("failed", 200),
        ("created", 200),
    ]
    assert outcome.attempts[0].message == "Claire's answer 200 is not what the contract says"


def test_an_id_and_a_status_may_have_500_characters_together(claire: Claire) -> None:
    outcome = claire.sends(taken(id="x" * 491))
    assert (outcome.result, outcome.claire_id) == ("created", "x" * 491)
    assert len(outcome.attempts) == 1


def test_an_answer_beyond_the_size_limit_is_no_answer(claire: Claire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_ANSWER_BYTES", 10)
    outcome = claire.sends(taken(), once=True)
    assert (outcome.result, outcome.message) == ("failed", "Claire's answer is larger than 10 bytes")


@pytest.mark.parametrize("code", [400, 409, 413, 422])
def test_a_refusal_rejects_the_document_at_once_with_claires_words(claire: Claire, code: int) -> None:
    errors = [{"field": "price", "message": "no number"}, {"field": "title", "message": "too long"}]
    outcome = claire.sends(httpx.Response(code, json={"title": "Invalid", "detail": "2 fields", "errors": errors}))
    assert (outcome.result, len(claire.requests)) == ("rejected", 1)
    assert [attempt.result for attempt in outcome.attempts] == ["rejected"]
    assert outcome.message == f"Claire answered {code}: 2 fields; price: no number; title: too long"
    assert (claire.stop.reason, claire.connection.gate.stopped_because) == (None, None)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"title": "Conflict"}', ": Conflict"),
        (b'{"detail": "", "errors": null}', ""),
        (b"<html>", ""),
        (b"[1]", ""),
        (b'{"errors": [1]}', ""),
        (b'{"detail": "the key planted-claire-key is\\nwrong"}', ": the key *** is wrong"),
    ],
)
def test_what_claire_says_is_told_in_one_line_without_the_key(claire: Claire, body: bytes, said: str) -> None:
    assert claire.sends(httpx.Response(409, content=body)).message == f"Claire answered 409{said}"


def test_what_claire_says_is_cut(claire: Claire) -> None:
    message = claire.sends(httpx.Response(409, json={"detail": "x" * 5_000})).message
    assert message is not None
    assert len(message) == 2_000


@pytest.mark.parametrize("code", [300, 302, 401, 404, 405, 418])
def test_a_fault_of_configuration_stops_the_connection_and_leaves_the_document_pending(
    claire: Claire, code: int
) -> None:
    outcome = claire.sends(httpx.Response(code))
    assert (outcome.result, [attempt.result for attempt in outcome.attempts]) == ("pending", ["pending"])
    assert claire.connection.gate.stopped_because == f"Claire answered {code}"
    assert claire.stop.reason is None
    outcome = claire.sends(taken())
    assert (outcome.result, outcome.attempts, claire.requests) == ("pending", (), [])


def test_a_location_that_the_key_may_not_use_stops_that_dealer_alone(claire: Claire) -> None:
    assert claire.sends(httpx.Response(403)).result == "pending"
    assert claire.stop.reason == "Claire answered 403"
    assert claire.connection.gate.stopped_because is None
    assert claire.sends(taken()).result == "pending"
    assert claire.requests == []
    claire.stop = DealerStop()
    assert claire.sends(taken()).result == "created"


def test_once_is_a_single_request_also_through_an_open_circuit(claire: Claire) -> None:
    for _ in range(10):
        claire.connection.gate.failed()
    outcome = claire.sends(httpx.Response(503), once=True)
    assert (outcome.result, len(claire.requests), claire.time.waits) == ("failed", 1, [])
    assert outcome.message == "Claire answered 503"


def test_tries_end_before_the_deadline_with_pauses_that_grow(claire: Claire) -> None:
    outcome = claire.sends(httpx.ReadTimeout("slow"))
    assert outcome.result == "failed"
    assert 4 <= len(claire.requests) <= 20
    assert sum(claire.time.waits) < 60
    assert outcome.attempts[0].message == "Claire gave no answer within 15 s"


def test_a_try_gets_a_quarter_of_the_deadline_and_never_more_than_is_left(claire: Claire) -> None:
    claire.sends(httpx.Response(503, headers={"Retry-After": "50"}), taken())
    first, second = (request.extensions["timeout"]["read"] for request in claire.requests)
    assert (first, second) == (15, pytest.approx(10))


def test_a_try_gets_at_most_half_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    claire = Claire(no_real_time(monkeypatch), deadline_seconds=600)
    claire.sends(taken())
    assert claire.requests[0].extensions["timeout"]["read"] == 30
    claire.connection.close()


def test_a_short_deadline_makes_the_pauses_short(monkeypatch: pytest.MonkeyPatch) -> None:
    claire = Claire(no_real_time(monkeypatch), deadline_seconds=2)
    for _ in range(10):
        claire.connection.gate.failed()
    assert claire.connection.gate.wait(claire.time.now + 100)
    assert claire.time.waits == [pytest.approx(0.1)]
    claire.connection.close()


def test_the_pauses_of_the_breaker_begin_with_a_second_and_grow_to_thirty(claire: Claire) -> None:
    gate = claire.connection.gate
    assert (gate._first_pause, gate._longest_pause) == (1.0, 30.0)


def test_the_pauses_between_tries_are_random_up_to_half_a_second_and_double(
    claire: Claire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    claire.sends(*[httpx.Response(500)] * 8, taken())
    assert claire.time.waits == [0.5, 1, 2, 4, 8, 16]


def test_the_pauses_between_tries_grow_to_half_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    claire = Claire(no_real_time(monkeypatch), deadline_seconds=600)
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    claire.sends(*[httpx.Response(500)] * 8, taken())
    assert claire.time.waits == [0.5, 1, 2, 4, 8, 16, 30, 30]
    claire.connection.close()


@pytest.mark.parametrize("code", [429, 503])
def test_claire_is_left_alone_as_long_as_it_asks(claire: Claire, code: int) -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    outcome = claire.sends(httpx.Response(code, headers={"Retry-After": "7"}), taken())
    assert outcome.result == "created"
    assert claire.time.waits == [7.0]
    claire.time.waits.clear()
    claire.sends(httpx.Response(code, headers={"Retry-After": when}), once=True)
    assert claire.connection.gate.wait(claire.time.now + 100, is_probe=True)
    assert claire.time.waits == [pytest.approx(60)], "the cap"


def test_a_pause_of_nothing_is_the_usual_one(claire: Claire) -> None:
    claire.sends(httpx.Response(503, headers={"Retry-After": "0"}), taken())
    assert len(claire.time.waits) == 1
    assert 0 < claire.time.waits[0] <= 0.5


def test_asking_for_a_pause_is_no_failure_and_no_answer_at_all_is_one(claire: Claire) -> None:
    for code in (425, 429):
        for _ in range(20):
            claire.sends(httpx.Response(code), once=True)
        assert not claire.connection.gate.is_open
    for _ in range(10):
        assert not claire.connection.gate.is_open
        claire.sends(httpx.Response(408), once=True)
    assert claire.connection.gate.is_open
    claire.sends(httpx.Response(422), once=True)
    assert not claire.connection.gate.is_open, "a refusal is an answer"


def test_an_answer_closes_the_circuit(claire: Claire) -> None:
    for _ in range(10):
        claire.connection.gate.failed()
    assert claire.sends(taken()).result == "created"
    assert not claire.connection.gate.is_open


def test_whatever_breaks_in_a_request_counts_as_a_failure_and_is_raised(claire: Claire) -> None:
    for _ in range(10):
        with pytest.raises(ZeroDivisionError):
            claire.sends(ZeroDivisionError("a defect"))
    assert claire.connection.gate.is_open


def test_without_leave_before_the_deadline_nothing_is_sent(claire: Claire) -> None:
    claire.connection.gate.pause(100)
    outcome = claire.sends(taken())
    assert (outcome.result, outcome.attempts, claire.requests) == ("pending", (), [])
    assert sum(claire.time.waits) >= 60


def test_once_claire_was_given_up_nothing_is_sent_and_nobody_waits(claire: Claire) -> None:
    gate = claire.connection.gate
    for _ in range(10):
        gate.failed()
    for _ in range(4):
        gate.wait(claire.time.now + 1000)
        gate.failed()
    claire.time.waits.clear()
    outcome = claire.sends(taken())
    assert (outcome.result, outcome.attempts, claire.requests, claire.time.waits) == ("pending", (), [], [])
    with pytest.raises(ClaireUnreachableError, match="no more is tried in this run"):
        claire.status(taken())


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


def test_no_more_requests_go_at_once_than_the_settings_say(claire: Claire) -> None:
    assert claire.connection._slots.acquire(blocking=False)
    assert claire.connection._slots.acquire(blocking=False)
    assert not claire.connection._slots.acquire(blocking=False)


def test_the_rate_counts_each_request(claire: Claire, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []
    monkeypatch.setattr(claire.connection._rate, "wait_for_turn", lambda: turns.append(len(claire.requests)))
    claire.sends(httpx.Response(500), taken())
    assert turns == [0, 1]


def test_the_key_is_not_told_of_a_connection(claire: Claire) -> None:
    assert repr(claire.connection) == "ClaireConnection('https://claire.example')"


def dealer(dealer_id: str, **values: Any) -> DealerSettings:
    return DealerSettings(id=dealer_id, name=dealer_id, claire_location_id=dealer_id, **values)


def test_dealers_with_one_key_share_a_connection_which_is_closed_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", "key-1")
    monkeypatch.setenv("TWO", "key-2")
    closed: list[ClaireConnection] = []
    monkeypatch.setattr(ClaireConnection, "close", lambda connection: closed.append(connection))
    dealers = (dealer("a"), dealer("b"), dealer("c", claire_api_key_env="TWO"))
    settings = Settings(claire=ClaireSettings(base_url="https://claire.example", api_key_env="ONE"), dealers=dealers)
    with ClaireConnections(settings) as connections:
        first, same, other = (connections.get(each) for each in dealers)
        assert first is same
        assert first is not other
        assert closed == []
    assert closed == [first, other]
    assert connections.get(dealers[0]) is not first


def test_a_key_that_is_not_there_is_named_with_its_dealer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONE", raising=False)
    settings = Settings(
        claire=ClaireSettings(base_url="https://claire.example", api_key_env="ONE"), dealers=(dealer("a"),)
    )
    with ClaireConnections(settings) as connections, pytest.raises(ConfigurationError, match=r"ONE.*'a'"):
        connections.get(dealer("a"))


def test_an_answer_as_a_whole_gets_twice_the_time_of_a_try(claire: Claire, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def within(seconds: float) -> AbstractContextManager[None]:
        given.append(seconds)
        return nullcontext()

    monkeypatch.setattr(client, "whole_within", within)
    claire.sends(taken())
    assert given == [30]


def test_an_answer_that_is_not_read_to_its_end_is_let_go_of(claire: Claire, monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(httpx.SyncByteStream):
        is_closed = False

        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield b"x" * 1000

        def close(self) -> None:
            self.is_closed = True

    stream = Endless()
    answer = httpx.Response(200, stream=stream)
    transport = SimpleNamespace(handle_request=lambda _: answer)
    monkeypatch.setattr(claire.connection, "_new_transport", lambda: transport)
    assert claire.sends(taken(), once=True).result == "failed"
    assert stream.is_closed


def test_closing_ends_the_kept_connections_and_the_limiter(claire: Claire, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[object] = []
    kept = [ClaireConnection._new_transport(claire.connection) for _ in range(2)]
    for each in (*kept, claire.connection._rate):
        monkeypatch.setattr(each, "close", lambda each=each: closed.append(each))
    claire.connection.close()
    assert closed == [*kept, claire.connection._rate]


def test_a_connection_is_used_again_also_after_it_failed(claire: Claire, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[httpx.BaseTransport] = []

    def make() -> httpx.BaseTransport:
        made.append(httpx.MockTransport(claire._handle))
        return made[-1]

    monkeypatch.setattr(claire.connection, "_new_transport", make)
    claire.sends(httpx.Response(503), httpx.ReadError("reset"), taken())
    claire.sends(taken())
    assert len(made) == 1


def test_of_idle_connections_the_one_that_was_used_last_goes_first(claire: Claire) -> None:
    cold, warm = (httpx.MockTransport(claire._handle) for _ in range(2))
    claire.connection._idle += [cold, warm]  # type: ignore[list-item]
    assert claire.sends(taken()).result == "created"
    assert claire.connection._idle == [cold, warm]


def test_each_transport_has_one_connection(claire: Claire) -> None:
    pool = ClaireConnection._new_transport(claire.connection)._pool
    assert (pool._max_connections, pool._max_keepalive_connections) == (1, 1)


def test_a_try_whose_time_went_by_while_it_waited_for_its_turn_gets_next_to_nothing(
    claire: Claire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claire.connection._rate, "wait_for_turn", lambda: claire.time.wait(100))
    claire.sends(taken())
    assert claire.requests[0].extensions["timeout"]["read"] == 0.01


def test_an_answer_that_comes_byte_by_byte_is_given_up() -> None:
    with dripping() as address:
        settings = ClaireSettings(
            base_url=address, api_key_env="CLAIRE_KEY", max_requests_per_second=0, deadline_seconds=1
        )
        connection = ClaireConnection(settings, SecretStr(KEY))
        outcome = connection.import_appointment("{}", "the-key", DealerStop(), once=True)
        connection.close()
    assert outcome.message == "Claire gave no answer within 0.25 s"
