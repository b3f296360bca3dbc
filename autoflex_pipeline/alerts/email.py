"""A message by e-mail, in plain text."""

from __future__ import annotations

import smtplib
import socket
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from autoflex_pipeline.alerts.failures import NotSentError
from autoflex_pipeline.settings import EmailSettings, secret
from autoflex_pipeline.vendor_http import certificate_problem, tls_context

SECONDS = 10.0


def send_email(settings: EmailSettings, message: dict[str, Any]) -> None:
    """Hand the message to the mail server; NotSentError when it takes it for none of the recipients."""
    login = None
    if settings.username_env is not None and settings.password_env is not None:
        needed_for = "alerts.email"
        login = (
            secret(settings.username_env, needed_for=needed_for).get_secret_value(),
            secret(settings.password_env, needed_for=needed_for).get_secret_value(),
        )
    try:
        with _connected(settings) as server:
            if settings.security == "starttls":
                server.starttls(context=tls_context())
            if login is not None:
                server.login(*login)
            server.send_message(_mail(settings, message))
    except smtplib.SMTPNotSupportedError:
        raise NotSentError(
            "the mail server offers no STARTTLS or no login; nothing was sent in clear: correct alerts.email.security"
        ) from None
    except smtplib.SMTPResponseException as error:
        raise NotSentError(f"the mail server answered {error.smtp_code}") from None
    except (smtplib.SMTPException, OSError) as error:  # their texts may hold addresses
        problem = certificate_problem(error)
        raise NotSentError(f"the mail server: {problem or type(error).__name__}") from None


def _connected(settings: EmailSettings) -> smtplib.SMTP:
    # The name of this machine: looking up the whole one can take a minute where there is no name server.
    name = socket.gethostname()
    if settings.security == "tls":
        return smtplib.SMTP_SSL(
            settings.host, settings.port, local_hostname=name, timeout=SECONDS, context=tls_context()
        )
    return smtplib.SMTP(settings.host, settings.port, local_hostname=name, timeout=SECONDS)


def _mail(settings: EmailSettings, message: dict[str, Any]) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = settings.sender
    mail["To"] = ", ".join(settings.recipients)
    mail["Subject"] = message["title"]
    mail["Date"] = format_datetime(datetime.now(UTC))
    # The same for every try of one message, so that a doubled one can be told.
    mail["Message-ID"] = f"<alert-{message['id']}-{message['made_at']:%Y%m%dT%H%M%S%f}@{settings.sender.split('@')[1]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message["body"])
    return mail
