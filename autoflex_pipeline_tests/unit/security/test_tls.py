"""TLS is verified wherever something is sent; a certificate of somebody else is refused, and gets nothing.

At both vendors and the webhook of alerts a line says what to do. Mail is in `unit/alerts/test_sending.py`.
"""

from __future__ import annotations

import http.server
import json
import logging
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

from autoflex_pipeline import vendor_http
from autoflex_pipeline.alerts import webhook
from autoflex_pipeline.alerts.failures import NotSentError
from autoflex_pipeline.claire.client import ClaireConnection, ClaireUnreachableError, DealerStop
from autoflex_pipeline.errors import SourceError
from autoflex_pipeline.lineage.openlineage import emit_run
from autoflex_pipeline.runs.doctor import _clock
from autoflex_pipeline.runs.spans import Span
from autoflex_pipeline.settings import (
    ClaireSettings,
    Credentials,
    DealerSettings,
    LineageSettings,
    TelemetrySettings,
    WebhookSettings,
)
from autoflex_pipeline.sources.autoflex_api import AutoflexApi
from autoflex_pipeline.telemetry.traces import TraceTeller

PACKAGE = Path(vendor_http.__file__).parent
KEY = "key-that-stays-here"
TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
"""Where an authority of one's own is named; the second for the libraries of OpenLineage and OpenTelemetry."""


class Server:
    """An HTTPS server on loopback that gives one JSON answer, and remembers what reached it and who hung up."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.received: list[str] = []
        self.hung_up: list[str] = []
        self.answer: object = {}


@contextmanager
def serving(authority: trustme.CA, *names: str) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            server.received.append(self.path)
            body = json.dumps(server.answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(http.server.ThreadingHTTPServer):
        daemon_threads = False  # all of them have ended when the server is closed

        def handle_error(self, *_: object) -> None:
            """A client that does not trust us hangs up in the middle: that is the test."""
            server.hung_up.append(str(sys.exception()))

    listener = Quiet(("127.0.0.1", 0), Handler)
    listener.socket = context.wrap_socket(listener.socket, server_side=True, do_handshake_on_connect=False)
    server = Server(f"https://127.0.0.1:{listener.server_address[1]}")
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(autouse=True)
def _fresh_context(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a new process: it is made once in each."""
    for name in (*TRUST, "SSL_CERT_DIR", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOOK_TOKEN", KEY)
    for made in (vendor_http.tls_context, webhook._client):
        made.cache_clear()
    yield
    for made in (vendor_http.tls_context, webhook._client):
        made.cache_clear()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    for name in TRUST:
        monkeypatch.setenv(name, str(tmp_path / "ca.pem"))


def ask_autoflex(server: Server) -> None:
    dealer = DealerSettings.model_validate(
        {
            "id": "garage-jansen", "name": "Jansen", "claire_location_id": "101",
            "api": {"login_url": server.url, "api_key_env": "A", "username_env": "B", "password_env": "C"},
        }
    )  # fmt: skip
    credentials = Credentials(api_key=SecretStr(KEY), username=SecretStr(KEY), password=SecretStr(KEY))
    server.answer = {"token": "AAAA", "api_url": server.url, "data": [], "nextpage": False}
    with AutoflexApi(dealer, credentials, deadline_seconds=5) as api:
        error = api.open_orders().error
    if error:
        raise SourceError(error)


def ask_claire(server: Server) -> None:
    connection = ClaireConnection(ClaireSettings(base_url=server.url, deadline_seconds=5), SecretStr(KEY))
    server.answer = {"data": [], "next_page": None}
    try:
        connection.status_by_number("101", "50012", DealerStop())
    finally:
        connection.close()


def ask_webhook(server: Server) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOOK_URL", server.url)
        message = {"id": 1, "body": "Garage Jansen", **dict.fromkeys(webhook.PARTS)}
        webhook.send_webhook(WebhookSettings(url_env="HOOK_URL", token_env="HOOK_TOKEN"), message)


Ask = Callable[[Server], None]
ASK = pytest.mark.parametrize("ask", [ask_autoflex, ask_claire, ask_webhook])
NO_ANSWER = (SourceError, ClaireUnreachableError, NotSentError)


def tell_openlineage(server: Server) -> None:
    settings = LineageSettings(openlineage_url=server.url, openlineage_api_key_env="HOOK_TOKEN")
    emit_run(settings, "run", {}, datetime.now(UTC))


def tell_opentelemetry(server: Server) -> None:
    teller = TraceTeller(TelemetrySettings(otlp_endpoint=server.url, otlp_token_env="HOOK_TOKEN"))
    teller([Span("run", "stage", ended=time.time_ns())], True)
    teller.close()


TELL = pytest.mark.parametrize("tell", [tell_openlineage, tell_opentelemetry])


@ASK
def test_a_certificate_of_an_unknown_authority_is_refused_and_nothing_is_sent(authority: trustme.CA, ask: Ask) -> None:
    with serving(authority, "127.0.0.1") as server:
        with pytest.raises(NO_ANSWER) as caught:
            ask(server)
        assert server.received == []
    said = str(caught.value)
    assert "its TLS certificate is not trusted" in said
    assert "SSL_CERT_FILE" in said
    assert KEY not in said


@ASK
@pytest.mark.usefixtures("trusted")
def test_an_authority_in_ssl_cert_file_is_trusted(authority: trustme.CA, ask: Ask) -> None:
    with serving(authority, "127.0.0.1") as server:
        ask(server)
        assert server.received


@ASK
@pytest.mark.usefixtures("trusted")
def test_a_certificate_for_another_name_is_refused_although_its_authority_is_trusted(
    authority: trustme.CA, ask: Ask
) -> None:
    with serving(authority, "elsewhere.example") as server:
        with pytest.raises(NO_ANSWER, match=r"not trusted .*127\.0\.0\.1"):
            ask(server)
        assert server.received == []


@TELL
def test_who_is_told_of_runs_gets_nothing_under_a_certificate_of_an_unknown_authority(
    authority: trustme.CA, tell: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), serving(authority, "127.0.0.1") as server:
        tell(server)
    assert server.received == []
    assert server.hung_up
    assert all("UNKNOWN_CA" in reason for reason in server.hung_up)
    assert "the run is not affected" in caplog.text
    assert KEY not in caplog.text


@TELL
@pytest.mark.usefixtures("trusted")
def test_who_is_told_of_runs_gets_nothing_under_a_certificate_for_another_name(
    authority: trustme.CA, tell: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(authority, "elsewhere.example") as server:
        tell(server)
    assert server.received == []
    assert server.hung_up
    assert "the run is not affected" in caplog.text


@TELL
@pytest.mark.usefixtures("trusted")
def test_who_is_told_of_runs_may_have_a_certificate_of_an_authority_in_requests_ca_bundle(
    authority: trustme.CA, tell: Ask
) -> None:
    with serving(authority, "127.0.0.1") as server:
        tell(server)
    assert server.received
    assert server.hung_up == []


def test_doctor_names_the_certificate(authority: trustme.CA) -> None:
    with serving(authority, "127.0.0.1") as server:
        check = _clock("claire", server.url)
    assert check.ok is False
    assert "not trusted" in check.detail


def test_verification_is_switched_off_nowhere() -> None:
    forbidden = ("verify=False", "CERT_NONE", "check_hostname", "_create_unverified_context")
    texts = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    assert len(texts) > 100
    assert not [(path, word) for path, text in texts.items() for word in forbidden if word in text.replace(" ", "")]
