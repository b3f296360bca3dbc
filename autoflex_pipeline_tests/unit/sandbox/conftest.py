"""A running Autoflex with two dealers, a running Claire with two keys, and clients of both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from autoflex_pipeline.sandbox.autoflex.dealers import SandboxDealer
from autoflex_pipeline.sandbox.claire.service import ClaireKey
from autoflex_pipeline.sandbox.control import AutoflexControl, ClaireControl
from autoflex_pipeline.sandbox.server import RunningAutoflex, RunningClaire, running_autoflex, running_claire

JANSEN = SandboxDealer("jansen", "Garage Jansen", "key-jansen", "user-jansen", "secret-jansen")
VRIES = SandboxDealer("vries", "De Vries", "key-vries", "user-vries", "secret-vries", organization_name="Vries BV")
KEYS = (ClaireKey("jansen", "claire-key-1", ("101",)), ClaireKey("group", "claire-key-2", ("102", "103")))


def login(server: RunningAutoflex, client: httpx.Client, dealer: SandboxDealer = JANSEN) -> httpx.Response:
    given = {"api_key": dealer.api_key, "username": dealer.username, "password": dealer.password}
    if dealer.organization_name:
        given["organization_name"] = dealer.organization_name
    return client.get(f"{server.login_url}/authenticate", params=given)


class Caller:
    """Calls the API of one dealer with a token of its own."""

    def __init__(self, client: httpx.Client, api_url: str, token: str) -> None:
        self.client, self.api_url, self.token = client, api_url, token

    def get(self, endpoint: str, **params: Any) -> Any:
        return self.response(endpoint, **params).json()

    def response(self, endpoint: str, **params: Any) -> httpx.Response:
        return self.client.get(f"{self.api_url}/{endpoint}", params=params, headers={"token": self.token})


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=10) as client:
        yield client


@pytest.fixture
def autoflex(tmp_path: Path) -> Iterator[RunningAutoflex]:
    with running_autoflex(tmp_path, [JANSEN, VRIES]) as server:
        yield server


@pytest.fixture
def control(autoflex: RunningAutoflex) -> Iterator[AutoflexControl]:
    with AutoflexControl(autoflex.control_url) as control:
        yield control


@pytest.fixture
def jansen(autoflex: RunningAutoflex, client: httpx.Client) -> Caller:
    given = login(autoflex, client).json()
    return Caller(client, given["api_url"], given["token"])


@pytest.fixture
def vries(autoflex: RunningAutoflex, client: httpx.Client) -> Caller:
    given = login(autoflex, client, VRIES).json()
    return Caller(client, given["api_url"], given["token"])


@pytest.fixture
def claire(tmp_path: Path) -> Iterator[RunningClaire]:
    with running_claire(tmp_path, KEYS) as server:
        yield server


@pytest.fixture
def desk(claire: RunningClaire) -> Iterator[ClaireControl]:
    with ClaireControl(claire.control_url) as control:
        yield control


class Importer:
    """Posts documents to a Claire."""

    def __init__(self, client: httpx.Client, base_url: str) -> None:
        self.client, self.base_url = client, base_url

    def post(self, key: str = "claire-key-1", idempotency_key: str | None = None, **fields: Any) -> httpx.Response:
        headers = {"Authorization": key} | ({"Idempotency-Key": idempotency_key} if idempotency_key else {})
        document = {"location_id": "101", "dms_nr": "50012", **fields}
        return self.client.post(f"{self.base_url}/v1/appointments/import", json=document, headers=headers)

    def get(self, path: str, key: str = "claire-key-1", **params: Any) -> httpx.Response:
        return self.client.get(f"{self.base_url}/v1/appointments/{path}", params=params, headers={"Authorization": key})


@pytest.fixture
def importer(claire: RunningClaire, client: httpx.Client) -> Importer:
    return Importer(client, claire.claire_base_url)
