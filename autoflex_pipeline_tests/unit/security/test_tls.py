"""TLS is verified at both vendors; a certificate of somebody else is refused with a line that says what to do."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

from autoflex_pipeline import vendor_http
from autoflex_pipeline.claire.client import ClaireConnection, ClaireUnreachableError, DealerStop
from autoflex_pipeline.errors import SourceError
from autoflex_pipeline.runs.doctor import _clock
from autoflex_pipeline.settings import ClaireSettings, Credentials, DealerSettings
from autoflex_pipeline.sources.autoflex_api import AutoflexApi

PACKAGE = Path(vendor_http.__file__).parent
KEY = "key-that-stays-here"


class Server:
    """An HTTPS server on loopback that gives one JSON answer, and remembers what reached it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.received: list[str] = []
        self.answer: object = {}


@contextmanager
def serving(authority: trustme.CA, *names: str) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.received.append(self.path)
            body = json.dumps(server.answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that does not trust us hangs up in the middle: that is the test."""

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
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    vendor_http.tls_context.cache_clear()
    yield
    vendor_http.tls_context.cache_clear()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))


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


ASK = pytest.mark.parametrize("ask", [ask_autoflex, ask_claire])


@ASK
def test_a_certificate_of_an_unknown_authority_is_refused_and_nothing_is_sent(
    authority: trustme.CA, ask: object
) -> None:
    with serving(authority, "127.0.0.1") as server:
        with pytest.raises((SourceError, ClaireUnreachableError)) as caught:
            ask(server)  # type: ignore[operator]
        assert server.received == []
    said = str(caught.value)
    assert "its TLS certificate is not trusted" in said
    assert "SSL_CERT_FILE" in said
    assert KEY not in said


@ASK
@pytest.mark.usefixtures("trusted")
def test_an_authority_in_ssl_cert_file_is_trusted(authority: trustme.CA, ask: object) -> None:
    with serving(authority, "127.0.0.1") as server:
        ask(server)  # type: ignore[operator]
        assert server.received


@ASK
@pytest.mark.usefixtures("trusted")
def test_a_certificate_for_another_name_is_refused_although_its_authority_is_trusted(
    authority: trustme.CA, ask: object
) -> None:
    with serving(authority, "elsewhere.example") as server:
        with pytest.raises((SourceError, ClaireUnreachableError), match=r"not trusted .*127\.0\.0\.1"):
            ask(server)  # type: ignore[operator]
        assert server.received == []


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
