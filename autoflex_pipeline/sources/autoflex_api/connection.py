"""One dealer's Autoflex API: a call with a valid token, and how many requests an answer is worth.

``reading`` asks the questions; here is what they share.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import httpx

from autoflex_pipeline.errors import ConfigurationError, SourceError
from autoflex_pipeline.settings import Credentials, DealerSettings
from autoflex_pipeline.sources.autoflex_api import names
from autoflex_pipeline.sources.autoflex_api.body import rows_of
from autoflex_pipeline.sources.autoflex_api.client import DEADLINE_SECONDS, Answer, HttpClient, Tally
from autoflex_pipeline.sources.autoflex_api.failures import RefusedRequestError, Secrets
from autoflex_pipeline.sources.autoflex_api.pages import Crawl, Page, crawl
from autoflex_pipeline.sources.autoflex_api.question import Question
from autoflex_pipeline.sources.autoflex_api.session import Login, Session
from autoflex_pipeline.sources.autoflex_api.workers import Workers

MAX_REFUSED_TOKENS = 3

_LOG = logging.getLogger(__name__)


INLINE = Workers(1, "inline")
"""No threads: for what may run on a worker already, which must not wait for another one."""


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class Connection:
    """Calls of one dealer's API; thread-safe. While it lives it keeps its token, and how long lists were."""

    def __init__(
        self,
        dealer: DealerSettings,
        credentials: Credentials,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], object] | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        if dealer.api is None:
            raise ConfigurationError(f"dealer {dealer.id!r} has no [dealers.api] section; add one")
        secrets = Secrets(
            value.get_secret_value() for value in (credentials.api_key, credentials.username, credentials.password)
        )
        self.dealer = dealer
        self.api = dealer.api
        self._credentials = credentials
        self._http = HttpClient(
            max_concurrency=dealer.api.max_concurrency,
            max_requests_per_second=dealer.api.max_requests_per_second,
            secrets=secrets,
            transport=transport,
            sleep=sleep,
            now=clock,
            deadline_seconds=deadline_seconds,
        )
        self._session = Session(
            dealer,
            dealer.api,
            credentials,
            http=self._http,
            secrets=secrets,
            now=clock,
            max_wait_seconds=deadline_seconds,
        )
        self.workers = Workers(dealer.api.max_concurrency, f"autoflex-{dealer.id}")
        self._lock = threading.Lock()
        self._has_optional: bool | None = None
        self._page_counts: dict[str, int] = {}
        self._more_pages_than: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of dealer {self.dealer.id!r}>"

    def close(self) -> None:
        """Forget the token's connections; what still runs is given up."""
        self._http.close()
        self.workers.close()

    @property
    def requests(self) -> int:
        """How many requests were sent since it was opened, logins and repetitions included."""
        return self._http.total.requests

    @property
    def told_time(self) -> datetime | None:
        """The moment on the DMS's own clock, as its newest answer told it; None when it tells none."""
        return self._http.told_time

    def login(self, tally: Tally) -> Login:
        """A login that is valid now; logs in when there is none."""
        return self._session.current(tally)

    def call(self, path: str, query: str, what: str, tally: Tally) -> Answer:
        """GET {api_url}/{path}?{query}. ``what`` names it in errors.

        A refused token is replaced and the call sent again, with the first use of the new token; SourceError after
        three refused tokens.
        """
        login = self._session.current(tally)
        answer = self._send(login, path, query, what, tally)
        if not answer.is_unauthorized:
            return answer
        with self._session.lock:
            for _ in range(MAX_REFUSED_TOKENS - 1):
                self._session.discard(login)
                login = self._session.current(tally)
                answer = self._send(login, path, query, what, tally)
                if not answer.is_unauthorized:
                    return answer
            self._session.discard(login)
        raise SourceError(
            f"{what}: the DMS refused {MAX_REFUSED_TOKENS} tokens one after the other "
            f"({answer.code} {answer.message or 'no message'}); ask the vendor whether the account may read this"
        )

    def _send(self, login: Login, path: str, query: str, what: str, tally: Tally) -> Answer:
        api_key = self._credentials.api_key.get_secret_value()
        headers = {names.TOKEN_HEADER.text: login.token, names.API_KEY_HEADER.text: api_key}
        return self._http.get(f"{login.api_url}/{path}?{query}", headers, what, tally)

    def fetch_page(self, question: Question, number: int, tally: Tally) -> Page:
        """One page of the answer to ``question``."""
        what = question.source(number)
        answer = self._list_call(question, number, what, tally)
        rows = rows_of(answer.payload)
        if rows is None:
            raise SourceError(
                f"{what}: the answer is neither an array nor an object with {names.DATA.text}; "
                "compare the names with doctor"
            )
        return question.page(number, rows)

    def _list_call(self, question: Question, number: int, what: str, tally: Tally) -> Answer:
        """Ask for a page; without last_modified where the DMS refuses to be asked for it (learnt once)."""
        optional = names.optional_field()
        if question.entity != names.ORDER.text or self._has_optional is True:
            return self.call(question.entity, question.query(number), what, tally)
        if self._has_optional is False:
            return self.call(question.entity, question.query(number, without=optional), what, tally)
        refusal: RefusedRequestError | None = None
        try:
            answer = self.call(question.entity, question.query(number), what, tally)
        except RefusedRequestError as error:
            refusal = error
        else:
            self._has_optional = True
            return answer
        # Refused for another reason, it is refused again, and that is raised.
        answer = self.call(question.entity, question.query(number, without=optional), what, tally)
        self._has_optional = False
        _LOG.warning("dealer %s: asked for %s, the DMS says: %s", self.dealer.id, optional, refusal)
        return answer

    def crawl(self, question: Question, tally: Tally) -> Crawl:
        """The whole answer to ``question``, several pages at once; remembers how many pages it had."""
        name = question.source(1)
        result = crawl(
            question.entity,
            lambda number: self.fetch_page(question, number, tally),
            self.workers,
            expected_pages=self.page_count(name),
        )
        if result.complete and result.pages is not None:
            with self._lock:
                self._page_counts[name] = result.pages
        return result

    def read_few(self, question: Question, tally: Tally, *, enough: Callable[[Page], bool] | None = None) -> Crawl:
        """A short answer, up to a page that is ``enough``, one page after the other on this thread (maybe a worker)."""
        return crawl(question.entity, lambda number: self.fetch_page(question, number, tally), INLINE, enough=enough)

    def page_count(self, name: str) -> int | None:
        """How many pages the list ``name`` (its first page's source) had when it was last read to its end."""
        return self._page_counts.get(name)

    def pages_exceed(self, name: str) -> int:
        """A number of pages that the list is known to exceed."""
        return self._more_pages_than.get(name, 0)

    def learn_pages_exceed(self, name: str, pages: int) -> None:
        """Remember that the list has more than ``pages`` pages."""
        with self._lock:
            self._more_pages_than[name] = max(pages, self._more_pages_than.get(name, 0))
