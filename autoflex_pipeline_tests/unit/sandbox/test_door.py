"""The stand-ins have no login: they listen on loopback only, take bodies of bounded size, obey no other site's page."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from autoflex_pipeline.sandbox import server as servers
from autoflex_pipeline.sandbox.control import ClaireControl
from autoflex_pipeline.sandbox.door import MAX_ADDRESS_BYTES, MAX_BODY_BYTES, Door
from autoflex_pipeline.sandbox.server import RunningAutoflex, RunningClaire, RunningServer
from autoflex_pipeline_tests.unit.sandbox.conftest import Importer

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}&lt;"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
WITHOUT_SLASH = HOSTILE.replace("/", "")


@pytest.fixture(params=["autoflex", "claire"])
def either(request: pytest.FixtureRequest) -> RunningServer:
    found: RunningServer = request.getfixturevalue(request.param)
    return found


def chunks(size: int) -> Iterator[bytes]:
    """A body that does not say how long it is."""
    return (b" " * 100_000 for _ in range(size // 100_000))


def body_url(server: RunningServer) -> str:
    """An address that reads a body."""
    if isinstance(server, RunningAutoflex):
        server.service.store.put("jansen", "order", "1", {})
        return f"{server.url}/dealers/jansen/orders/1"
    return f"{server.url}/api/v1/appointments/import"


def test_only_this_machine_can_connect(either: RunningServer) -> None:
    port = int(either.url.rpartition(":")[2])
    assert servers.HOST == "127.0.0.1"
    assert httpx.get(either.url).status_code == 200
    with socket.socket() as probe:
        probe.bind(("127.0.0.2", port))  # were it bound to every address, this one would be taken
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.2:{port}/")


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(
    either: RunningServer, client: httpx.Client
) -> None:
    url = body_url(either)
    stated = client.post(url, content=b" " * (MAX_BODY_BYTES + 1))
    assert stated.status_code == 413
    try:
        unstated = client.post(url, content=chunks(10 * MAX_BODY_BYTES), headers=FORM)
    except httpx.WriteError:  # refused and hung up while the client still wrote
        return
    assert unstated.status_code in (400, 413)  # 400: the form's reader has a limit of its own


@pytest.mark.parametrize(("size", "path", "status"), [(10, "/x", 200), (11, "/x", 413), (11, "/control/x", 200)])
def test_a_body_in_pieces_is_let_in_up_to_the_limit(size: int, path: str, status: int) -> None:
    read = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal read
        read = len(await Request(scope, receive).body())
        await Response(str(read))(scope, receive, send)

    async def post() -> httpx.Response:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(size):
                yield b"x"

        transport = httpx.ASGITransport(Door(app, max_bytes=10, max_control_bytes=100))
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.post(f"http://127.0.0.1{path}", content=pieces())

    assert asyncio.run(post()).status_code == status
    assert read == (size if status == 200 else 0)


def test_an_address_that_is_too_long_is_refused(either: RunningServer, client: httpx.Client) -> None:
    assert client.get(f"{either.url}/?q={'x' * (MAX_ADDRESS_BYTES - 100)}").status_code == 200
    assert client.get(f"{either.url}/?q={'x' * MAX_ADDRESS_BYTES}").status_code == 414


@pytest.mark.parametrize("name", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil", ""])
def test_another_name_that_points_here_is_not_answered(either: RunningServer, client: httpx.Client, name: str) -> None:
    assert client.get(either.url, headers={"Host": name}).status_code == 421
    assert client.post(f"{either.url}/control/faults", json={}, headers={"Host": name}).status_code == 421


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost:8801", "LOCALHOST", "[::1]:80", "autoflex.localhost"])
def test_its_own_names_are_answered(either: RunningServer, client: httpx.Client, name: str) -> None:
    assert client.get(either.url, headers={"Host": name}).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_changes_nothing(autoflex: RunningAutoflex, client: httpx.Client, site: str) -> None:
    before = autoflex.service.store.count("jansen", "order")
    form = f"{autoflex.url}/dealers/jansen/orders"
    assert client.post(form, headers={"Sec-Fetch-Site": site}).status_code == 403
    assert client.delete(f"{autoflex.url}/control/faults", headers={"Sec-Fetch-Site": site}).status_code == 403
    assert autoflex.service.store.count("jansen", "order") == before
    assert client.post(form, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303
    assert autoflex.service.store.count("jansen", "order") == before + 1


@pytest.mark.parametrize(
    "body", ["[" * 100_000, '{"a":' * 100_000, '{"dms_nr":' + "9" * 10_000 + "}", '"\\ud800"', "\0"]
)
def test_a_bomb_of_json_is_a_refusal_and_no_failure(either: RunningServer, client: httpx.Client, body: str) -> None:
    paths = ("/control/faults", "/control/latency", "/control/state/jansen", "/api/v1/appointments/import")
    for path in paths:
        for method in ("POST", "PUT", "PATCH"):
            headers = {"Content-Type": "application/json", "Authorization": "claire-key-1"}
            answer = client.request(method, f"{either.url}{path}", content=body.encode(), headers=headers)
            assert 400 <= answer.status_code < 500, (method, path)


def test_what_cannot_be_kept_is_a_refusal_and_no_failure(
    autoflex: RunningAutoflex, claire: RunningClaire, client: httpx.Client
) -> None:
    huge = client.get(f"{claire.url}/control/log", params={"limit": str(10**30)})
    assert huge.status_code == 422
    half = client.put(
        f"{autoflex.url}/control/state/jansen/order/1",
        content=b'{"notes":"half \\ud800"}',
        headers={"Content-Type": "application/json"},
    )
    assert half.status_code in (200, 422)
    assert client.get(f"{autoflex.url}/control/state/jansen/order").status_code == 200


def test_the_pages_of_autoflex_show_markup_as_text(autoflex: RunningAutoflex, client: httpx.Client) -> None:
    store = autoflex.service.store
    today = autoflex.service.local("jansen", autoflex.service.clock()).strftime("%Y%m%dT120000")
    texts = dict.fromkeys(("order_number", "notes", "order_date"), HOSTILE)
    store.put("jansen", "order", "1", {**texts, "plan_date_from": today, "vehicle_id": 7, "relation_id": 8})
    store.put("jansen", "order_line", "2", {"order_id": 1, "description": HOSTILE, "line_number": HOSTILE})
    store.put("jansen", "vehicle", "7", dict.fromkeys(("brand", "model", "license_plate", "vin", "notes"), HOSTILE))
    store.put("jansen", "relation", "8", dict.fromkeys(("company_name", "last_name", "street", "city"), HOSTILE))
    for path in ("/", "/dealers/jansen", f"/dealers/jansen?q={HOSTILE[:3]}", "/dealers/jansen/orders/1"):
        _is_harmless(client.get(f"{autoflex.url}{path}"))
    for path in (f"/dealers/{WITHOUT_SLASH}", f"/dealers/jansen/orders/{WITHOUT_SLASH}"):
        _is_harmless(client.get(httpx.URL(autoflex.url).copy_with(path=path)), 404)
    assert "&lt;script&gt;" in client.get(f"{autoflex.url}/dealers/jansen").text


def test_the_pages_of_claire_show_markup_as_text(
    claire: RunningClaire, client: httpx.Client, importer: Importer, desk: ClaireControl
) -> None:
    made = importer.post(
        wo_nr=HOSTILE,
        appointment_date="2026-11-24",
        dms_notes=HOSTILE,
        interventions=[{"dms_nr": "1", "position": 1, "title": HOSTILE, "price": "1.00"}],
        car=dict.fromkeys(("make", "model", "registration_number", "vin", "notes", "driver_id"), HOSTILE),
        customers=[{"customer_kind": "driver", "company": HOSTILE, "last_name": HOSTILE, "street": HOSTILE}],
    )
    assert made.status_code == 201, made.text
    desk.add_staff_line("101", "50012", HOSTILE)
    for path in ("/?day=2026-11-24", f"/appointments/{made.json()['id']}"):
        answer = client.get(f"{claire.url}{path}")
        _is_harmless(answer)
        assert "&lt;script&gt;" in answer.text
    _is_harmless(client.get(claire.url, params={"q": HOSTILE, "location": HOSTILE, "day": HOSTILE}))
    _is_harmless(client.get(f"{claire.url}/appointments/{made.json()['id']}", params={"wrong": HOSTILE}))


def _is_harmless(answer: httpx.Response, status: int = 200) -> None:
    assert answer.status_code == status
    assert not any(found in answer.text for found in ("<script", "<img", "onerror=alert(1)>", "&lt;49"))
    assert "49&lt;" not in answer.text, "no template of a value is ever rendered"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_refusals_say_why(either: RunningServer, client: httpx.Client) -> None:
    refusal = json.loads(client.get(either.url, headers={"Host": "evil.example"}).text)
    assert refusal["status"] == 421
    assert "127.0.0.1" in refusal["detail"]
