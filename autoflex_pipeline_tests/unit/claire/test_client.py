"""What Claire's answers to a document mean, what is tried again and how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from autoflex_pipeline.claire import client
from autoflex_pipeline.claire.api import words_of
from autoflex_pipeline.claire.client import (
    ClaireUnreachableError,
    DealerStop,
)
from autoflex_pipeline_tests.unit.claire.answering import KEY, TAKEN, Answer, Claire, taken
from autoflex_pipeline_tests.unit.claire.no_time import no_real_time


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


def test_only_a_try_that_claire_may_have_looked_at_leaves_open_what_it_did(claire: Claire) -> None:
    """A refusal says what it did; 429 and 425 say that it did nothing."""
    assert tries(claire, httpx.Response(503), httpx.ReadError("reset"), httpx.Response(422)) == [True, True, False]
    assert tries(claire, httpx.Response(429), httpx.Response(425), taken()) == [False, False, False]


def tries(claire: Claire, *answers: Answer) -> list[bool]:
    return [attempt.may_have_had_an_effect for attempt in claire.sends(*answers).attempts]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"text"', b'{"errors": 3}', b"{}"])
def test_an_answer_that_is_no_problem_json_has_no_words(body: bytes) -> None:
    assert words_of(body) == ""
