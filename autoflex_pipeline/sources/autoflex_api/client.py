"""One HTTP client per dealer: kept alive, bounded in concurrency and rate, patient with faults that pass.

It knows HTTP and the DMS's error envelope; what a token or a page is, it does not know. Addresses may hold credentials
(the login does), so an exception of httpx, which carries the request, never leaves this module: failures are raised
outside the ``except`` block, so that not even ``__context__`` refers to it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from autoflex_pipeline.deadlines import bound_client, whole_within
from autoflex_pipeline.errors import SourceError
from autoflex_pipeline.sources.autoflex_api import names
from autoflex_pipeline.sources.autoflex_api.body import JsonBombError, Payload, decode_body, plain
from autoflex_pipeline.sources.autoflex_api.failures import RefusedRequestError, Secrets
from autoflex_pipeline.throttling import RateLimit, may_pass, retry_after_seconds
from autoflex_pipeline.vendor_http import (
    ACCEPTED_ENCODINGS,
    AnswerTooLargeError,
    certificate_problem,
    date_of,
    one_line,
    pieces,
    tls_context,
)

if TYPE_CHECKING:
    from datetime import datetime

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
MAX_BODY_BYTES = 64 * 2**20
MAX_ATTEMPTS = 12
MAX_RETRY_AFTER_SECONDS = 30.0
BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 15.0
DEADLINE_SECONDS = 60.0
MAX_ERROR_CODE = 99_999
"""A vendor's own codes go beyond those of HTTP."""


class _WithoutQuery(logging.Filter):
    """httpx logs the address of each request; the login's holds the credentials in its query."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                argument.copy_with(query=None) if isinstance(argument, httpx.URL) else argument
                for argument in record.args
            )
        return True


_HTTPX_LOGGER = logging.getLogger("httpx")
_HTTPX_LOGGER.setLevel(logging.WARNING)
_HTTPX_LOGGER.addFilter(_WithoutQuery())


class Tally:
    """Counts the requests made for one question; several threads count on it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests = 0

    def add(self) -> None:
        """One more request was sent."""
        with self._lock:
            self.requests += 1


@dataclass(frozen=True, slots=True)
class Answer:
    """What the DMS answered. ``code`` is its error code where the body holds one, else the HTTP status."""

    code: int
    message: str
    payload: Payload | None

    @property
    def is_unauthorized(self) -> bool:
        """Whether the credentials or the token were refused."""
        return self.code == HTTPStatus.UNAUTHORIZED


class _PassingError(Exception):
    """A fault that may pass: tried again until the deadline."""

    def __init__(self, problem: str, retry_after: float | None = None) -> None:
        super().__init__(problem)
        self.retry_after = retry_after


class HttpClient:
    """Sends GET requests of one dealer; thread-safe. ``close`` also wakes those who wait to try again."""

    def __init__(
        self,
        *,
        max_concurrency: int,
        max_requests_per_second: float,
        secrets: Secrets,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], object] | None = None,
        now: Callable[[], datetime],
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._closed = threading.Event()
        self._sleep = sleep or self._closed.wait
        self._now = now
        self._secrets = secrets
        self._deadline = deadline_seconds
        self.total = Tally()
        self.told_time: datetime | None = None
        self._slots = threading.BoundedSemaphore(max_concurrency)
        self._rate = RateLimit(max_requests_per_second)
        self._not_before = 0.0
        self._http = httpx.Client(
            transport=transport,
            verify=tls_context(),
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=max_concurrency, max_keepalive_connections=max_concurrency),
            headers={"accept": "application/json", "accept-encoding": ACCEPTED_ENCODINGS},
            follow_redirects=False,  # the token and the key would go along
        )
        bound_client(self._http)
        self._retrying = Retrying(
            retry=retry_if_exception_type(_PassingError),
            wait=_wait,
            stop=self._stop,
            sleep=self.pause,
            reraise=True,
        )

    def close(self) -> None:
        """Close the connections and give up what waits to be tried again."""
        self._closed.set()
        self._http.close()
        self._rate.close()

    def pause(self, seconds: float) -> None:
        """Wait; SourceError when the client was closed meanwhile."""
        self._sleep(seconds)
        self._check_open()

    def get(self, url: str, headers: dict[str, str], what: str, tally: Tally) -> Answer:
        """GET ``url``, trying again what may pass. ``what`` names the request in errors, without credentials.

        Returns answers below 300, and refused credentials (``is_unauthorized``). RefusedRequestError for another answer
        that retrying cannot help; SourceError when the deadline passed.
        """
        answer: Answer | None = None
        problem, attempts = "", tally.requests
        try:
            answer = self._retrying(self._attempt, url, headers, what, tally)
        except _PassingError as error:
            problem, attempts = str(error), tally.requests - attempts
        if answer is None:
            raise SourceError(f"{what}: {problem}; given up after {attempts} requests, the next run tries again")
        if answer.code < HTTPStatus.MULTIPLE_CHOICES or answer.is_unauthorized:
            return answer
        raise RefusedRequestError(
            f"{what}: the DMS refused it with {answer.code} {answer.message or '(no message)'}; "
            "check login_url, the account's rights and the names with doctor",
            answer.code,
        )

    def _attempt(self, url: str, headers: dict[str, str], what: str, tally: Tally) -> Answer:
        response, body = None, b""
        problem, may_pass = "", True
        with self._slots:
            self._wait_for_turn()
            tally.add()
            self.total.add()
            try:
                response, body = self._exchange(url, headers)
            except httpx.TimeoutException:
                problem = f"no answer in time ({READ_SECONDS:.0f} s; {CONNECT_SECONDS:.0f} s to connect)"
            except httpx.ConnectError as error:
                untrusted = certificate_problem(error)
                problem, may_pass = untrusted or "no connection", untrusted is None
            except (httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError):
                problem, may_pass = "the address or the id in it cannot be sent; check login_url", False
            except (httpx.TransportError, httpx.DecodingError) as error:
                problem = f"the connection broke off ({type(error).__name__})"
            except AnswerTooLargeError as error:
                problem, may_pass = f"{error}; it is not read", False
            except RuntimeError as error:  # httpx says so when another thread closed the client
                problem, may_pass = type(error).__name__, False
        if response is not None:
            self.told_time = date_of(response)
            return self._judge(response, body, what)
        self._check_open()
        raise _PassingError(problem) if may_pass else SourceError(f"{what}: {problem}")

    def _exchange(self, url: str, headers: dict[str, str]) -> tuple[httpx.Response, bytes]:
        with whole_within(self._deadline), self._http.stream("GET", url, headers=headers) as response:
            return response, b"".join(pieces(response, MAX_BODY_BYTES))

    def _judge(self, response: httpx.Response, body: bytes, what: str) -> Answer:
        """The answer, or _PassingError for one that may be better next time."""
        payload: Payload | None
        try:
            payload = decode_body(body)
        except JsonBombError as error:
            raise SourceError(f"{what}: {error}; it is not read") from None
        except ValueError:
            payload = None
        code, message = _error_in(payload) or (response.status_code, "")
        if may_pass(code):
            asked = response.headers.get("retry-after")
            retry_after = retry_after_seconds(asked, self._now(), MAX_RETRY_AFTER_SECONDS)
            if retry_after is not None:
                self._not_before = time.monotonic() + retry_after
            raise _PassingError(f"answered {code} {self._secrets.blot(message)}".rstrip(), retry_after)
        if payload is None and code < HTTPStatus.MULTIPLE_CHOICES and code != HTTPStatus.ACCEPTED:
            kind = one_line(response.headers.get("content-type", "no content type").partition(";")[0], 50)
            raise _PassingError(f"the body is not (whole) JSON ({len(body)} bytes, {kind})")
        return Answer(code, self._secrets.blot(message), payload)

    def _wait_for_turn(self) -> None:
        """Rate limit, and no request of any thread while a Retry-After runs."""
        self._check_open()
        self._rate.wait_for_turn()
        asked_to_wait = self._not_before - time.monotonic()
        if asked_to_wait > 0:
            self.pause(asked_to_wait)

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise SourceError("the reading was stopped because its connection was closed; start it again")

    def _stop(self, state: RetryCallState) -> bool:
        spent = max(state.idle_for, state.seconds_since_start or 0.0)
        return state.attempt_number >= MAX_ATTEMPTS or spent + state.upcoming_sleep > self._deadline


_backoff = wait_random_exponential(multiplier=BACKOFF_SECONDS, max=MAX_BACKOFF_SECONDS)


def _wait(state: RetryCallState) -> float:
    """Full jitter, and at least what the DMS asked for."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, _PassingError) and error.retry_after is not None else 0.0
    return max(asked, _backoff(state))


def _error_in(payload: Payload | None) -> tuple[int, str] | None:
    """Code and message of an error envelope; None when the body is none."""
    if not isinstance(payload, dict) or names.ERROR_CODE.text not in payload:
        return None
    code = plain(payload[names.ERROR_CODE.text])
    message = plain(payload.get(names.ERROR_MESSAGE.text))
    try:
        number = int(code) if isinstance(code, int | str) else HTTPStatus.BAD_REQUEST
    except ValueError:
        number = HTTPStatus.BAD_REQUEST
    if code is None or number == 0:
        return None
    is_status = HTTPStatus.MULTIPLE_CHOICES <= number <= MAX_ERROR_CODE
    return (number if is_status else HTTPStatus.BAD_REQUEST), message if isinstance(message, str) else ""
