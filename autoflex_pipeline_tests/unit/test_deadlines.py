"""An answer that comes byte by byte is given up when its time as a whole is over, headers included."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from autoflex_pipeline.deadlines import bound_client, bound_transport, whole_within
from autoflex_pipeline.sandbox.autoflex.dealers import SandboxDealer
from autoflex_pipeline.sandbox.server import running_autoflex
from autoflex_pipeline_tests.toxics import Proxy, running_proxies, toxic

PATH = "/control/switches"
"""An answer of some hundred bytes, most of them headers."""

DRIP = toxic("slicer", average_size=1, delay=100_000)
"""More than ten seconds for the headers alone, and never a tenth of a second of silence."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Proxy]:
    dealer = SandboxDealer("garage-jansen", "Garage Jansen", "sleutel", "gebruiker", "wachtwoord")
    with running_autoflex(tmp_path, [dealer]) as running, running_proxies({"server": running.url}) as proxies:
        yield proxies["server"]


def test_an_answer_that_drips_is_given_up_when_its_time_is_over(server: Proxy) -> None:
    server.add(DRIP)
    with httpx.Client(timeout=5, trust_env=False) as client:
        bound_client(client)
        started = time.monotonic()
        with pytest.raises(httpx.ReadTimeout), whole_within(1):
            client.get(server.url + PATH)
        assert time.monotonic() - started < 5


def test_the_time_is_that_of_one_block_and_not_of_the_next(server: Proxy) -> None:
    transport = httpx.HTTPTransport(trust_env=False)
    bound_transport(transport)
    with httpx.Client(transport=transport) as client:
        with pytest.raises(httpx.TimeoutException), whole_within(0):
            client.get(server.url + PATH)
        with whole_within(10):
            assert client.get(server.url + PATH).status_code == 200
        assert client.get(server.url + PATH).status_code == 200
