"""The login of one dealer: one token for all threads, renewed before it runs out, in memory only."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from autoflex_pipeline.errors import LoginRefusedError, SourceError
from autoflex_pipeline.settings import ApiSettings, Credentials, DealerSettings, is_in_clear
from autoflex_pipeline.sources.autoflex_api import names
from autoflex_pipeline.sources.autoflex_api.body import plain
from autoflex_pipeline.sources.autoflex_api.client import Answer, HttpClient, Tally
from autoflex_pipeline.sources.autoflex_api.failures import RefusedRequestError, Secrets

RENEW_BEFORE = timedelta(seconds=60)
LONGEST_TRUST = timedelta(minutes=30)
DEFAULT_RETRY_MS = 5_000
MAX_URL = 2_000
_TOKEN = re.compile(r"[!-~]([ -~]{0,4000}[!-~])?")
"""Fit for a header."""
MAX_SINGLE_WAIT_SECONDS = 30.0
LOGIN_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


@dataclass(frozen=True, slots=True)
class Login:
    """What a login gave.

    ``usable_until`` is in UTC, the safety margin already taken off; ``valid_until`` is what the DMS said, in UTC (None
    when that was unreadable, or past on arrival).
    """

    token: str = field(repr=False)
    api_url: str
    usable_until: datetime
    valid_until: datetime | None


class Session:
    """Holds the token; thread-safe. The first thread that needs one logs in, the others wait for it."""

    def __init__(
        self,
        dealer: DealerSettings,
        api: ApiSettings,
        credentials: Credentials,
        *,
        http: HttpClient,
        secrets: Secrets,
        now: Callable[[], datetime],
        max_wait_seconds: float,
    ) -> None:
        self._dealer = dealer
        self._api = api
        self._credentials = credentials
        self._http = http
        self._secrets = secrets
        self._now = now
        self._max_wait = max_wait_seconds
        self._login: Login | None = None
        self._failures = 0
        self._last_failure: SourceError | LoginRefusedError | None = None
        # Reentrant: a call whose token was refused keeps it while it renews and sends, so that it has the first use of
        # the new token. Nobody waits for it while holding a slot of the HTTP client.
        self.lock = threading.RLock()

    def current(self, tally: Tally) -> Login:
        """A login to use now. LoginRefusedError when the DMS refuses the credentials, SourceError when it is not there.

        Threads that waited while another one's login failed share that failure instead of trying one after the other.
        """
        failures_before = self._failures
        with self.lock:
            if self._login is not None and self._now() < self._login.usable_until:
                return self._login
            if self._failures != failures_before and self._last_failure is not None:
                raise _same_again(self._last_failure)
            try:
                self._login = self._authenticate(tally)
            except (SourceError, LoginRefusedError) as error:
                self._login = None
                self._failures += 1
                self._last_failure = error
                raise
            return self._login

    def discard(self, refused: Login) -> None:
        """The DMS refused this login's token: do not use it again. A newer one stays."""
        with self.lock:
            if self._login is not None and self._login.token == refused.token:
                self._login = None

    def _authenticate(self, tally: Tally) -> Login:
        waited = 0.0
        while True:
            answer = self._ask(tally)
            if answer.code != HTTPStatus.ACCEPTED:
                return self._read(answer)
            wait = _retry_seconds(answer)
            waited += wait
            if waited > self._max_wait:
                raise SourceError(
                    f"login: the DMS had no session free for {waited - wait:.0f} s (202); the next run tries again"
                )
            self._http.pause(wait)

    def _ask(self, tally: Tally) -> Answer:
        """One login request, 202 included; LoginRefusedError for refused credentials."""
        answer: Answer | None = None
        problem = ""
        try:
            answer = self._http.get(self._url(), {}, "login", tally)
            code = answer.code
        except RefusedRequestError as error:  # not let through: it is the login that is refused, not a call
            code, problem = error.code, str(error)
        if code in LOGIN_REFUSED:
            raise LoginRefusedError(
                f"the Autoflex login of dealer {self._dealer.id!r} was refused ({code}); check the values of "
                f"{self._api.api_key_env}, {self._api.username_env} and {self._api.password_env}"
                + (" and organization_name" if self._api.organization_name else "")
            )
        if answer is None:
            raise SourceError(problem)
        return answer

    def _url(self) -> str:
        parameters = [
            (names.LOGIN_API_KEY, self._credentials.api_key.get_secret_value()),
            (names.LOGIN_USERNAME, self._credentials.username.get_secret_value()),
            (names.LOGIN_PASSWORD, self._credentials.password.get_secret_value()),
        ]
        if self._api.organization_name:
            parameters.append((names.LOGIN_ORGANIZATION, self._api.organization_name))
        query = "&".join(f"{name.text}={quote(value, safe='')}" for name, value in parameters)
        return f"{self._api.login_url}/{names.AUTHENTICATE.text}?{query}"

    def _read(self, answer: Answer) -> Login:
        payload = answer.payload if isinstance(answer.payload, dict) else {}
        token = plain(payload.get(names.TOKEN.text))
        api_url = plain(payload.get(names.API_URL.text))
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise SourceError(f"login: the answer holds no usable {names.TOKEN.text}; check login_url with doctor")
        self._secrets.add(token)
        if not isinstance(api_url, str) or not _is_http(api_url):
            raise SourceError(f"login: the answer holds no usable {names.API_URL.text}; check login_url with doctor")
        if is_in_clear(api_url) and not self._api.allow_http:
            raise SourceError(
                f"login: {names.API_URL.text} is an http address of another machine, where the token and the key would "
                "be sent in clear; ask the vendor for https (or set dealers.api.allow_http = true)"
            )
        now = self._now()
        # An hour that exists twice is the one that is still to come.
        ends = [end for end in self._readings_of(plain(payload.get(names.VALID_UNTIL.text))) if end > now]
        valid_until = min(ends, default=None)
        return Login(token, api_url.rstrip("/"), _usable_until(valid_until, now), valid_until)

    def _readings_of(self, valid_until: object) -> list[datetime]:
        try:
            moment = datetime.fromisoformat(str(valid_until))
        except ValueError:
            return []
        if moment.tzinfo is not None:
            return [moment]
        local = moment.replace(tzinfo=self._dealer.zone)
        try:
            return [local.replace(fold=fold).astimezone(UTC) for fold in (0, 1)]
        except OverflowError:  # such as 00010101T000000, where there is no end
            return []


def _usable_until(valid_until: datetime | None, now: datetime) -> datetime:
    """60 s before ``valid_until``, at most 30 minutes from now; half way for a token that lives shorter.

    A time that is unreadable or past on arrival says nothing (a clock is off): the token is used until it is refused.
    """
    end = min(valid_until or now + LONGEST_TRUST, now + LONGEST_TRUST)
    return end - min(RENEW_BEFORE, (end - now) / 2)


def _same_again(failure: SourceError | LoginRefusedError) -> SourceError | LoginRefusedError:
    """A fresh exception for another thread: two threads must not raise one object."""
    kind = LoginRefusedError if isinstance(failure, LoginRefusedError) else SourceError
    return kind(str(failure))


def _retry_seconds(answer: Answer) -> float:
    """How long a 202 asks to wait, in seconds (O: given in milliseconds)."""
    asked = plain(answer.payload.get(names.RETRY.text)) if isinstance(answer.payload, dict) else None
    if isinstance(asked, bool) or not isinstance(asked, int | float) or asked <= 0:
        asked = DEFAULT_RETRY_MS
    return min(asked, 1000 * MAX_SINGLE_WAIT_SECONDS) / 1000


def _is_http(url: str) -> bool:
    """Whether it is an address that others may be made of: no query, no fragment, nothing odd in it."""
    if len(url) > MAX_URL or not url.isprintable() or any(sign in url for sign in " ?#@\\"):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
