"""Asking Claire: one connection for each API key, tried again within a deadline, used by many threads.

What is asked and answered, documented or assumed, is in ``api.py``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from threading import BoundedSemaphore, Lock
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import httpx
import msgspec
import tenacity
from pydantic import SecretStr

from autoflex_pipeline.claire.api import (
    BY_NUMBER,
    DETAILS_PATH,
    FAULTS_OF_ONE_DEALER,
    IDEMPOTENCY_HEADER,
    IMPORT_PATH,
    KEY_HEADER,
    LIST_PATH,
    LOCATION,
    NOT_LOOKED_AT,
    PAGE,
    REFUSED_STATUSES,
    read_import,
    read_page,
    read_status,
    read_status_of,
    words_of,
)
from autoflex_pipeline.claire.gate import Gate
from autoflex_pipeline.deadlines import bound_transport, whole_within
from autoflex_pipeline.settings import ClaireSettings, DealerSettings, Settings, header_secret
from autoflex_pipeline.throttling import RateLimit, may_pass, retry_after_seconds
from autoflex_pipeline.vendor_http import AnswerTooLargeError, certificate_problem, one_line, pieces, tls_context

USER_AGENT = "autoflex-pipeline"
MAX_ANSWER_BYTES = 4_000_000
MAX_MESSAGE_CHARACTERS = 2_000
LONGEST_RETRY_AFTER_SECONDS = 60.0
LONGEST_TRY_SECONDS = 30.0
MAX_PAGES = 20_000
"""Of Claire's list: it is read under the dealer's lock, which a list without an end would hold for ever."""

MAX_STALLED_PAGES = 3
"""Pages in a row that bring nothing the page before did not have, after which a list is taken to be endless."""

TRIES_IN_A_DEADLINE = 4
"""A try that hangs is given up early enough for others within the deadline."""

Result = Literal["created", "updated", "unchanged", "rejected", "failed", "pending", "absent"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request and what came of it."""

    attempted_at: datetime
    result: Result
    http_status: int | None
    message: str | None

    @property
    def may_have_had_an_effect(self) -> bool:
        """Whether Claire may have taken the document without saying so."""
        return self.result == "failed" and self.http_status not in NOT_LOOKED_AT


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an import: the last attempt's result; ``claire_id`` and ``status`` when Claire took it.

    ``absent``: it was to cancel an appointment that Claire, when asked, does not have.
    """

    result: Result
    attempts: tuple[Attempt, ...] = ()
    claire_id: str | None = None
    status: str | None = None

    @property
    def message(self) -> str | None:
        """What Claire said last, or why it failed."""
        return self.attempts[-1].message if self.attempts else None


class _CallError(Exception):
    """A call did not give what the contract promises."""

    def __init__(self, message: str, http_status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.http_status = http_status
        self.retry_after = retry_after


class _TransientError(_CallError):
    """Trying again may help."""


class _GivenUpError(_CallError):
    """Claire is not to be reached in this run; nothing was sent."""


class _RefusedError(_CallError):
    """Claire does not want this document (or does not know this appointment)."""


class _FaultError(_CallError):
    """The configuration is wrong: no request of this connection (or dealer) can succeed."""


class ClaireUnreachableError(Exception):
    """A question to Claire had no answer; the text is fit to be shown."""


class ClaireConnection:
    """One API key at one Claire: connections that are kept alive, used by many threads."""

    def __init__(self, settings: ClaireSettings, key: SecretStr) -> None:
        self._settings = settings
        self._key = key
        self._headers = {
            KEY_HEADER: key.get_secret_value(),
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": USER_AGENT,
        }
        self._base_url = settings.base_url.rstrip("/")
        self._import_url = httpx.URL(self._base_url + IMPORT_PATH)
        self._slots = BoundedSemaphore(settings.max_concurrency)
        self._transports: list[httpx.HTTPTransport] = []
        self._idle: list[httpx.HTTPTransport] = []
        self._rate = RateLimit(settings.max_requests_per_second)
        unit = min(1.0, settings.deadline_seconds / 20)
        self.gate = Gate(first_pause=unit, longest_pause=30 * unit)
        self._wait = tenacity.wait_random_exponential(multiplier=unit / 2, max=30 * unit)
        self._within_deadline = self._retrying(tenacity.stop_before_delay(settings.deadline_seconds))
        self._once = self._retrying(tenacity.stop_after_attempt(1))
        self._try_seconds = min(LONGEST_TRY_SECONDS, settings.deadline_seconds / TRIES_IN_A_DEADLINE)

    def __repr__(self) -> str:
        """Without the key."""
        return f"ClaireConnection({self._settings.base_url!r})"

    def close(self) -> None:
        """Close the connections that are kept alive."""
        for transport in self._transports:
            transport.close()
        self._rate.close()

    def import_appointment(
        self, body: str, idempotency_key: str, dealer_stop: DealerStop, *, once: bool = False
    ) -> Outcome:
        """Create or update one appointment (D path, A body), tried again within the deadline. Never raises for HTTP.

        ``once``: a single request, to find out whether Claire answers now.
        """
        attempts: list[Attempt] = []
        headers = {"Content-Type": "application/json", IDEMPOTENCY_HEADER: idempotency_key}
        request = _Call("POST", self._import_url, headers=headers, content=body.encode())
        try:
            answer = self._tried(request, read_import, attempts, dealer_stop, once)
        except _RefusedError:
            return Outcome("rejected", tuple(attempts))
        except _FaultError:
            return Outcome("pending", tuple(attempts))
        except (_TransientError, _GivenUpError):
            return Outcome("failed" if attempts else "pending", tuple(attempts))
        return Outcome(answer["result"], tuple(attempts), claire_id=str(answer["id"]), status=answer["status"])

    def status_by_id(self, claire_id: str, dealer_stop: DealerStop, *, once: bool = False) -> str | None:
        """The status of an appointment now, None when Claire has none; ClaireUnreachableError without answer."""
        url = httpx.URL(self._base_url + DETAILS_PATH.replace("{id}", quote(claire_id, safe="")))
        return self._asked(_Call("GET", url, none_on_404=True), read_status, dealer_stop, once)

    def status_by_number(
        self, location_id: str, dms_number: str, dealer_stop: DealerStop, *, once: bool = False
    ) -> str | None:
        """The same for an appointment whose id in Claire is not known."""
        read = partial(read_status_of, dms_number)
        return self._asked(self._by_number(location_id, dms_number), read, dealer_stop, once)

    def count_by_number(self, location_id: str, dms_number: str, dealer_stop: DealerStop) -> int:
        """How many appointments Claire's list gives for a number; ClaireUnreachableError without answer."""
        rows, _ = self._asked(self._by_number(location_id, dms_number), read_page, dealer_stop, False)
        return len(rows)

    def appointments(self, location_id: str, dealer_stop: DealerStop) -> Iterator[list[dict[str, Any]]]:
        """All appointments of a location as Claire holds them, page by page (D; parameters A); ClaireUnreachableError.

        Each is its document with ``id`` and ``status``.
        """
        page, before, stalled = 1, set[str](), 0
        for _ in range(MAX_PAGES):
            url = httpx.URL(self._base_url + LIST_PATH, params={LOCATION: location_id, PAGE: page})
            rows, following = self._asked(_Call("GET", url), read_page, dealer_stop, False)
            yield rows
            if following is None:
                return
            if following <= page:
                raise ClaireUnreachableError(f"Claire's list says that page {following} follows page {page}")
            ids = {str(row["id"]) for row in rows}
            stalled = stalled + 1 if ids <= before else 0
            if stalled == MAX_STALLED_PAGES:
                raise ClaireUnreachableError(
                    f"Claire's list of location {location_id!r} goes on without an end: page {page}, like those before "
                    f"it, brought no new appointment and names page {following}; ask Claire's support"
                )
            page, before = following, ids
        raise ClaireUnreachableError(
            f"Claire's list of location {location_id!r} has more than {MAX_PAGES} pages; ask Claire's support"
        )

    def _by_number(self, location_id: str, dms_number: str) -> _Call:
        params = {LOCATION: location_id, BY_NUMBER: dms_number}
        return _Call("GET", httpx.URL(self._base_url + LIST_PATH, params=params))

    def _asked(self, call: _Call, read: Callable[[Any], T], dealer_stop: DealerStop, once: bool) -> T:
        try:
            return self._tried(call, read, [], dealer_stop, once)
        except _CallError as error:
            raise ClaireUnreachableError(error.message) from None

    def _tried(
        self, call: _Call, read: Callable[[Any], T], attempts: list[Attempt], dealer_stop: DealerStop, once: bool
    ) -> T:
        """Try until there is an answer, or the deadline has come; ``once``: a single time."""
        deadline = time.monotonic() + self._settings.deadline_seconds
        retrying = self._once if once else self._within_deadline
        answer: T = retrying(self._one_request, call, read, attempts, deadline, dealer_stop, once)
        return answer

    def _retrying(self, stop: Callable[[tenacity.RetryCallState], bool]) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TransientError),
            wait=self._seconds_to_wait,
            stop=stop,
            sleep=self.gate.sleep,
            reraise=True,
        )

    def _seconds_to_wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, _CallError) else None
        # "Retry-After: 0", or a date that has passed, asks for no pause: then the usual one.
        return asked or self._wait(state)

    def _one_request(
        self,
        call: _Call,
        read: Callable[[Any], T],
        attempts: list[Attempt],
        deadline: float,
        dealer_stop: DealerStop,
        is_probe: bool,
    ) -> T:
        with self._slots:
            if dealer_stop.reason is not None:
                raise _FaultError(dealer_stop.reason)
            if not self.gate.wait(deadline, is_probe=is_probe):
                if self.gate.stopped_because is not None:
                    raise _FaultError(self.gate.stopped_because)
                if self.gate.has_given_up:
                    raise _GivenUpError("Claire could not be reached; no more is tried in this run")
                raise _TransientError("Claire could not be reached; no more was tried before the deadline")
            self._rate.wait_for_turn()
            started_at = datetime.now(UTC)
            try:
                value, status = self._sent(call, read, deadline)
            except _CallError as error:
                result: Result = _RESULT_OF[type(error)]
                attempts.append(Attempt(started_at, result, error.http_status, error.message))
                self._note(error, dealer_stop)
                raise
            except BaseException:
                self.gate.failed()
                raise
            self.gate.succeeded()
        result = value["result"] if isinstance(value, dict) else "unchanged"
        attempts.append(Attempt(started_at, result, status, None))
        return value

    def _note(self, error: _CallError, dealer_stop: DealerStop) -> None:
        """Tell the gate what the failed call says about the connection."""
        if isinstance(error, _TransientError) and error.http_status not in NOT_LOOKED_AT:
            self.gate.failed()
        else:
            self.gate.succeeded()
        if error.retry_after:
            self.gate.pause(error.retry_after)
        if isinstance(error, _FaultError):
            if error.http_status in FAULTS_OF_ONE_DEALER:
                dealer_stop.reason = error.message
            else:
                self.gate.stop(error.message)

    def _sent(self, call: _Call, read: Callable[[Any], T], deadline: float) -> tuple[T, int]:
        """One request. The messages are made here, of nothing that could hold the key."""
        seconds = max(0.01, min(self._try_seconds, deadline - time.monotonic()))
        request = httpx.Request(
            call.method,
            call.url,
            headers=self._headers | call.headers,
            content=call.content,
            extensions={"timeout": httpx.Timeout(seconds).as_dict()},
        )
        try:
            with whole_within(2 * seconds):
                response, body = self._exchanged(request)
        except httpx.TimeoutException:
            raise _TransientError(f"Claire gave no answer within {seconds:g} s") from None
        except AnswerTooLargeError:
            raise _TransientError(f"Claire's answer is larger than {MAX_ANSWER_BYTES} bytes") from None
        except httpx.HTTPError as error:
            untrusted = certificate_problem(error)
            if untrusted is not None:
                raise _FaultError(f"Claire could not be reached: {untrusted}") from None
            raise _TransientError(f"Claire could not be reached ({type(error).__name__})") from None
        return self._judged(call, response, body, read), response.status_code

    def _exchanged(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        """The answer to a request, by the connection that was used last of those that are idle."""
        try:
            transport = self._idle.pop()
        except IndexError:
            transport = self._new_transport()
        try:
            response = transport.handle_request(request)
            try:
                return response, b"".join(pieces(response, MAX_ANSWER_BYTES))
            finally:
                response.close()
        finally:
            self._idle.append(transport)

    def _new_transport(self) -> httpx.HTTPTransport:
        """One connection; there are as many as requests were ever under way at once.

        Not one transport with many connections: for each request it looks through all of them several times, which
        with 16 takes a third of the time that a request costs. And no client around it: what a client adds (cookies,
        redirects, authentication) is not wanted here, and costs as much again as the request.
        """
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        transport = httpx.HTTPTransport(limits=limits, trust_env=False, verify=tls_context())
        bound_transport(transport)
        self._transports.append(transport)
        return transport

    def _judged(self, call: _Call, response: httpx.Response, body: bytes, read: Callable[[Any], T]) -> T:
        code = response.status_code
        if 200 <= code < 300:
            try:
                return read(msgspec.json.decode(body))
            except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
                raise _TransientError(f"Claire's answer {code} is not what the contract says", code) from None
        if code == 404 and call.none_on_404:
            return read({})
        message = self._problem(code, body)
        if may_pass(code):
            asked = response.headers.get("Retry-After")
            raise _TransientError(
                message, code, retry_after_seconds(asked, datetime.now(UTC), LONGEST_RETRY_AFTER_SECONDS)
            )
        if code in REFUSED_STATUSES:
            raise _RefusedError(message, code)
        raise _FaultError(message, code)

    def _problem(self, code: int, body: bytes) -> str:
        """What Claire said, in one line; never the key."""
        said = words_of(body)
        message = f"Claire answered {code}" + (f": {said}" if said else "")
        return one_line(message.replace(self._key.get_secret_value(), "***"), MAX_MESSAGE_CHARACTERS)


@dataclass(slots=True)
class DealerStop:
    """Why no more requests of one dealer go out; shared by the threads that deliver for it."""

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    url: httpx.URL
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None
    none_on_404: bool = False


_RESULT_OF: dict[type[_CallError], Result] = {
    _TransientError: "failed",
    _RefusedError: "rejected",
    _FaultError: "pending",
}


class ClaireConnections:
    """The connections of a run, one for each API key; opened when they are first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._open: dict[str, ClaireConnection] = {}

    def __enter__(self) -> ClaireConnections:
        """Use as a context: all connections are closed at its end."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close all connections."""
        self.close()

    def get(self, dealer: DealerSettings) -> ClaireConnection:
        """The connection of ``dealer``; CredentialsMissingError when its variable is not set."""
        variable = self._settings.claire_key_variable(dealer)
        with self._lock:
            if variable not in self._open:
                key = header_secret(variable, needed_for=f"delivery to Claire for dealer {dealer.id!r}")
                self._open[variable] = ClaireConnection(self._settings.claire, key)
            return self._open[variable]

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for connection in self._open.values():
                connection.close()
            self._open.clear()
