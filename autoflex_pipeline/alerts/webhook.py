"""A message to a webhook: JSON with ``text``, as chat programs take it, and the same in parts for programs."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

import httpx

from autoflex_pipeline.alerts.failures import NotSentError
from autoflex_pipeline.deadlines import bound_client, whole_within
from autoflex_pipeline.errors import ConfigurationError
from autoflex_pipeline.settings import WebhookSettings, header_secret, is_in_clear, secret
from autoflex_pipeline.throttling import retry_after_seconds
from autoflex_pipeline.vendor_http import certificate_problem, tls_context

SECONDS = 10.0
LONGEST_RETRY_AFTER = 3600.0
PARTS = ("dealer_id", "kind", "subject", "change", "severity", "title")


def send_webhook(settings: WebhookSettings, message: dict[str, Any]) -> None:
    """Post the message; NotSentError unless the answer is a 2xx, ConfigurationError for a variable that is wrong."""
    headers = {"Idempotency-Key": f"alert-{message['id']}", "User-Agent": "autoflex-pipeline"}
    if settings.token_env is not None:
        token = header_secret(settings.token_env, needed_for="alerts.webhook.token_env")
        headers["Authorization"] = f"Bearer {token.get_secret_value()}"
    payload = {"text": message["body"], "alert": {name: message[name] for name in PARTS}}
    try:
        # The answer is not read: only its status matters, and it may be of any size.
        with (
            whole_within(SECONDS),
            _client().stream("POST", _address(settings), json=payload, headers=headers) as response,
        ):
            status, asked = response.status_code, response.headers.get("retry-after")
    except httpx.HTTPError as error:  # its text names the address
        problem = certificate_problem(error) or type(error).__name__
        raise NotSentError(f"the webhook cannot be reached ({problem})") from None
    if not 200 <= status < 300:
        wait = retry_after_seconds(asked, datetime.now(UTC), LONGEST_RETRY_AFTER)
        raise NotSentError(f"the webhook answered {status}", wait)


@cache
def _client() -> httpx.Client:
    """One for the process. No connection is kept: between two alerts the other side would long have closed it."""
    limits = httpx.Limits(max_keepalive_connections=0)
    client = httpx.Client(verify=tls_context(), timeout=SECONDS, follow_redirects=False, limits=limits)
    bound_client(client)
    return client


def _address(settings: WebhookSettings) -> str:
    """The address from its variable, which may be a secret as a whole: no message repeats it."""
    value = secret(settings.url_env, needed_for="alerts.webhook.url_env").get_secret_value()
    if not _is_address(value):
        raise ConfigurationError(f"environment variable {settings.url_env} holds no http(s) address: set it anew")
    if is_in_clear(value) and not settings.allow_http:
        raise ConfigurationError(
            f"environment variable {settings.url_env} holds an http address, which would send alerts in clear; "
            "use https (or set alerts.webhook.allow_http = true, where the whole way is yours)"
        )
    return value


def _is_address(value: str) -> bool:
    try:
        url = httpx.URL(value)
    except httpx.InvalidURL:
        return False
    return url.scheme in ("http", "https") and bool(url.host) and (url.port or 443) < 65536 and " " not in value
