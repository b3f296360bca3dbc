"""Every message goes, once, in order; what fails is tried again, and nothing secret is said of it."""

from __future__ import annotations

import logging
import re
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MessageHandler
from aiosmtpd.smtp import SMTP, AuthResult

from autoflex_pipeline import vendor_http
from autoflex_pipeline.alerts import sending, webhook
from autoflex_pipeline.alerts.failures import NotSentError
from autoflex_pipeline.alerts.sending import Sent
from autoflex_pipeline.errors import ConfigurationError, PipelineError
from autoflex_pipeline.settings import AlertSettings, EmailSettings, WebhookSettings
from autoflex_pipeline.state.alerts import forget_before, unsent
from autoflex_pipeline_tests.receivers import Receiver
from autoflex_pipeline_tests.unit.alerts.conftest import LOG, SOURCE, Desk, well, wrong

HOOK = '[[alerts]]\nname = "hook"\nto = "webhook"\n[alerts.webhook]\nurl_env = "HOOK_URL"\ntoken_env = "HOOK_TOKEN"\n'
SECRET_PATH = "/services/T00/geheim"


@pytest.fixture
def hooked(desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("HOOK_URL", receiver.url + SECRET_PATH)
    monkeypatch.setenv("HOOK_TOKEN", "t0ken-s3cr3t")
    desk.configure(HOOK)
    return desk


def waiting(desk: Desk) -> list[dict[str, Any]]:
    with desk.store.begin() as connection:
        return unsent(connection)


def test_a_webhook_gets_the_text_and_its_parts_with_the_token(hooked: Desk, receiver: Receiver) -> None:
    hooked.found(wrong())
    assert hooked.send() == Sent(sent=1, left=0)
    assert hooked.send() == Sent(sent=0, left=0), "once"
    [(path, headers, _)] = receiver.requests
    assert path == SECRET_PATH
    assert headers["Authorization"] == "Bearer t0ken-s3cr3t"
    assert headers["Idempotency-Key"] == "alert-1"
    assert receiver.texts[0].startswith("[OPENED] Garage A (a): Autoflex refuses the login\n")
    assert receiver.alerts == [
        {
            "dealer_id": "a",
            "kind": "login",
            "subject": "",
            "change": "opened",
            "severity": "error",
            "title": "[OPENED] Garage A (a): Autoflex refuses the login",
        }
    ]


def test_a_message_that_fails_is_sent_later_and_before_those_that_came_after(hooked: Desk, receiver: Receiver) -> None:
    receiver.answers = [500, 200]
    hooked.found(wrong())
    assert hooked.send() == Sent(0, 1)
    hooked.found(well(), seconds=20)
    assert hooked.send() == Sent(0, 2), "its time has not come, and nothing overtakes it"
    assert hooked.send(minutes=1) == Sent(2, 0)
    assert receiver.changes == [("opened", "login"), ("opened", "login"), ("recovered", "login")]


def test_tries_become_rarer_and_never_end(hooked: Desk, receiver: Receiver) -> None:
    receiver.answers = [503]
    hooked.found(wrong())
    gaps = []
    for _ in range(6):
        before = hooked.now
        hooked.now = waiting(hooked)[0]["next_try_at"]
        gaps.append((hooked.now - before).total_seconds() / 60)
        hooked.send()
    assert gaps == [0, 1, 5, 15, 60, 60]


def test_a_webhook_that_asks_for_time_is_given_it(hooked: Desk, receiver: Receiver) -> None:
    receiver.answers, receiver.headers = [429, 200], {"Retry-After": "600"}
    hooked.found(wrong())
    hooked.send()
    assert hooked.send(minutes=9) == Sent(0, 1)
    assert hooked.send(minutes=1) == Sent(1, 0)


def test_a_crash_between_sending_and_noting_doubles_the_message_under_the_same_key(
    hooked: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooked.found(wrong())
    with monkeypatch.context() as patch:
        patch.setattr(sending.store, "mark_sent", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            hooked.send()
    assert hooked.send() == Sent(1, 0)
    assert [headers["Idempotency-Key"] for _, headers, _ in receiver.requests] == ["alert-1", "alert-1"]


def test_one_route_that_fails_holds_up_no_other(
    hooked: Desk, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [500]
    hooked.configure(HOOK + LOG)
    hooked.found(wrong())
    assert hooked.send() == Sent(sent=1, left=1)
    assert "[OPENED] Garage A (a): Autoflex refuses the login | Severity: error" in caplog.text


def test_the_log_route_warns_of_trouble_and_informs_of_its_end(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    desk.found(wrong())
    desk.found(well())
    assert desk.send() == Sent(2, 0)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_what_is_said_of_a_failure_holds_no_address_and_no_token(
    hooked: Desk, receiver: Receiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answers = [302, 404]
    hooked.found(wrong())
    hooked.send()
    hooked.send(minutes=1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listening: refused
        monkeypatch.setenv("HOOK_URL", f"http://127.0.0.1:{taken.getsockname()[1]}{SECRET_PATH}")
        hooked.send(minutes=5)
    assert len(receiver.requests) == 2
    said = caplog.text + str(waiting(hooked))
    assert "the webhook answered 302" in said
    assert "the webhook answered 404" in said
    assert "the webhook cannot be reached (ConnectError)" in said
    assert "geheim" not in said
    assert "s3cr3t" not in said


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("ftp://hook.example/x", "holds no http(s) address"),
        ("https://", "holds no http(s) address"),
        ("https://hook.example:99999999/x", "holds no http(s) address"),
        ("http://hook.example/geheim", "would send alerts in clear"),
        ("", "is not set"),
    ],
)
def test_an_address_that_is_none_or_in_clear_is_refused_by_the_name_of_its_variable(
    value: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_URL", value)
    with pytest.raises(ConfigurationError, match=re.escape(says)) as caught:
        webhook.send_webhook(WebhookSettings(url_env="HOOK_URL"), sending.trial(datetime.now(UTC)))
    assert "HOOK_URL" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_messages_that_went_are_forgotten_and_those_to_go_are_not(desk: Desk) -> None:
    desk.found(wrong())
    desk.send()
    desk.found(wrong(SOURCE))
    with desk.store.begin() as connection:
        assert forget_before(connection, desk.now.replace(year=2027)) == 1
    assert [message["kind"] for message in waiting(desk)] == ["source"]


class Mailbox(MessageHandler):
    def __init__(self) -> None:
        super().__init__()
        self.mails: list[Message] = []

    def handle_message(self, message: Message) -> None:
        self.mails.append(message)


class MailServer(Controller):
    """A mail server on loopback: STARTTLS and a login, unless it is told otherwise."""

    def __init__(self, mailbox: Mailbox, tls: ssl.SSLContext | None) -> None:
        self.tls = tls
        super().__init__(mailbox, hostname="127.0.0.1", port=_free_port())

    def factory(self) -> SMTP:
        def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, login: Any) -> AuthResult:
            return AuthResult(success=(login.login, login.password) == (b"mailer", b"w4chtwoord"), handled=False)

        return SMTP(
            self.handler,
            hostname="localhost",
            tls_context=self.tls,
            require_starttls=self.tls is not None,
            auth_required=self.tls is not None,
            authenticator=check,
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    vendor_http.tls_context.cache_clear()
    yield
    vendor_http.tls_context.cache_clear()


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def server(authority: trustme.CA, mailbox: Mailbox) -> Iterator[MailServer]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    server = MailServer(mailbox, context)
    server.start()
    yield server
    server.stop()


def email(server: MailServer, **values: Any) -> EmailSettings:
    settings = {"username_env": "MAIL_USER", "password_env": "MAIL_PASSWORD", **values}
    return EmailSettings(
        host="127.0.0.1", port=server.port, sender="autoflex@dealer.example", recipients=("team@dealer.example",),
        **settings,
    )  # fmt: skip


def route(settings: EmailSettings) -> AlertSettings:
    return AlertSettings(name="mail", to="email", email=settings)


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_USER", "mailer")
    monkeypatch.setenv("MAIL_PASSWORD", "w4chtwoord")


@pytest.mark.usefixtures("trusting", "login")
def test_an_email_goes_after_starttls_and_login(desk: Desk, server: MailServer, mailbox: Mailbox) -> None:
    desk.settings = desk.settings.model_copy(update={"alerts": (route(email(server)),)})
    desk.found(wrong())
    assert desk.send() == Sent(1, 0)
    [mail] = mailbox.mails
    assert mail["Subject"] == "[OPENED] Garage A (a): Autoflex refuses the login"
    assert (mail["From"], mail["To"]) == ("autoflex@dealer.example", "team@dealer.example")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].startswith("<alert-1-")
    assert "Next step: Correct the variables of the login" in str(mail.get_payload())


@pytest.mark.usefixtures("login")
def test_a_mail_server_that_nobody_trusts_is_told_nothing(server: MailServer, mailbox: Mailbox) -> None:
    with pytest.raises(NotSentError, match="TLS certificate is not trusted"):
        sending.send(route(email(server)), sending.trial(datetime.now(UTC)))
    assert mailbox.mails == []


@pytest.mark.usefixtures("trusting")
def test_a_refused_login_names_neither_user_nor_password(
    server: MailServer, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_USER", "mailer")
    monkeypatch.setenv("MAIL_PASSWORD", "verkeerd")
    with pytest.raises(PipelineError, match="the mail server answered 535") as caught:
        sending.send(route(email(server)), sending.trial(datetime.now(UTC)))
    assert "verkeerd" not in str(caught.value)
    assert mailbox.mails == []


@pytest.mark.usefixtures("login")
def test_a_server_without_starttls_gets_neither_login_nor_message(mailbox: Mailbox) -> None:
    server = MailServer(mailbox, None)
    server.start()
    try:
        with pytest.raises(NotSentError, match="nothing was sent in clear"):
            sending.send(route(email(server)), sending.trial(datetime.now(UTC)))
        assert mailbox.mails == []
        plain = email(server, security="none", username_env=None, password_env=None)
        sending.send(route(plain), sending.trial(datetime.now(UTC)))
        assert [mail["Subject"] for mail in mailbox.mails] == ["[TEST] autoflex_pipeline: this route works"]
    finally:
        server.stop()


def test_a_mail_server_that_is_not_there_is_one_clear_line() -> None:
    settings = EmailSettings(
        host="127.0.0.1", port=_free_port(), security="none", sender="a@dealer.example", recipients=("b@x.example",)
    )
    with pytest.raises(NotSentError, match="the mail server: ConnectionRefusedError"):
        sending.send(route(settings), sending.trial(datetime.now(UTC)))
