"""Claire's connections: how many, whose, how long they may take, and that they are let go of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from autoflex_pipeline.claire import client
from autoflex_pipeline.claire.client import (
    ClaireConnection,
    ClaireConnections,
    DealerStop,
)
from autoflex_pipeline.errors import ConfigurationError
from autoflex_pipeline.settings import ClaireSettings, DealerSettings, Settings
from autoflex_pipeline_tests.unit.claire.answering import KEY, Claire, taken
from autoflex_pipeline_tests.unit.dripping import dripping


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
