"""A small Autoflex inside the process, for unit tests: rows in memory, faults by script, a log of what was asked."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from autoflex_pipeline.settings import Credentials, DealerSettings
from autoflex_pipeline.sources.autoflex_api import AutoflexApi

API_KEY = "planted-api-key"
USERNAME = "planted-username"
PASSWORD = "planted&pass word/é"
KEYS = {"order": "order_id", "order_line": "order_line_id", "vehicle": "vehicle_id", "relation": "relation_id"}
FILTER = re.compile(r"(\w+)\[(\w+)\]:(.*)", re.DOTALL)

Fault = Callable[[httpx.Request], httpx.Response | None]


class Clock:
    """A clock that moves only when something waits."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
        self.waits: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += timedelta(seconds=seconds)


class FakeAutoflex:
    def __init__(self, **rows: list[Any]) -> None:
        self.rows: dict[str, list[Any]] = {"order": [], "order_line": [], "vehicle": [], "relation": [], **rows}
        self.page_size = 3
        self.bare = False
        self.ignores_pages = False
        self.ignores_filters = False
        self.ranges = "honoured"
        self.unknown_fields: set[str] = set()
        self.clock = Clock()
        self.login_faults: list[Fault] = []
        self.call_faults: list[Fault] = []
        self.before_page: Callable[[str, int], None] = lambda entity, page: None
        self.valid_until: Callable[[], object] = self.half_an_hour
        self.token_calls: int | None = None
        self.logins = 0
        self.urls: list[httpx.URL] = []
        self.headers: list[httpx.Headers] = []
        self._tokens: dict[str, int] = {}
        self._lock = threading.RLock()

    def half_an_hour(self) -> str:
        local = (self.clock.now + timedelta(minutes=30)).astimezone(ZoneInfo("Europe/Amsterdam"))
        return local.strftime("%Y%m%dT%H%M%S")

    def api(self, **api: Any) -> AutoflexApi:
        settings = DealerSettings.model_validate(
            {
                "id": "garage-jansen",
                "name": "Garage Jansen",
                "claire_location_id": "101",
                "api": {
                    "login_url": "https://login.example/v2",
                    "api_key_env": "JANSEN_API_KEY",
                    "username_env": "JANSEN_USERNAME",
                    "password_env": "JANSEN_PASSWORD",
                    "max_concurrency": 1,
                    "max_requests_per_second": 0,
                    **api,
                },
            }
        )
        credentials = Credentials(api_key=API_KEY, username=USERNAME, password=PASSWORD)
        return AutoflexApi(
            settings,
            credentials,
            transport=httpx.MockTransport(self.handle),
            clock=self.clock,
            sleep=self.clock.sleep,
        )

    @property
    def calls(self) -> list[str]:
        """Path and decoded query of each call after the login, fields left out."""
        found = []
        for url in self.urls:
            query = "&".join(f"{key}={value}" for key, value in url.params.items() if key != "fields")
            if not url.path.endswith("authenticate"):
                found.append(f"{url.path.removeprefix('/data/')}?{query}")
        return found

    def handle(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self.urls.append(request.url)
            self.headers.append(request.headers)
            at_login = request.url.path.endswith("/authenticate")
            faults = self.login_faults if at_login else self.call_faults
            if faults:
                answer = faults.pop(0)(request)
                if answer is not None:
                    return answer
            return self._login() if at_login else self._call(request)

    def _login(self) -> httpx.Response:
        self.logins += 1
        token = f"planted-token-{self.logins}"
        self._tokens[token] = 0
        return httpx.Response(
            200,
            json={
                "token": token,
                "api_url": "https://api.example/data/",
                "token_valid_until": self.valid_until(),
                "user_id": 7,
            },
        )

    def revoke(self) -> None:
        self._tokens.clear()

    def _call(self, request: httpx.Request) -> httpx.Response:
        token = request.headers["token"]
        used = self._tokens.get(token)
        if used is None or (self.token_calls is not None and used >= self.token_calls):
            return httpx.Response(200, json={"errorCode": 401, "errorMessage": f"Not authorized: {token}"})
        self._tokens[token] = used + 1
        entity = request.url.path.rpartition("/")[2]
        if entity == "list":
            return httpx.Response(200, json=LISTS[request.url.params["list"]])
        fields = request.url.params["fields"].split(",")
        if self.unknown_fields.intersection(fields):
            return error(400, "unknown field")
        page = int(request.url.params["page"])
        self.before_page(entity, page)
        rows = self.rows[entity]
        if "filter" in request.url.params:
            match = FILTER.fullmatch(request.url.params["filter"])
            assert match is not None
            if match[2] != "eq" and self.ranges == "refused":
                return error(400, "unknown operator")
            if not self.ignores_filters and (match[2] == "eq" or self.ranges == "honoured"):
                rows = [row for row in rows if _fits(row, *match.groups())]
        start = 0 if self.ignores_pages else (page - 1) * self.page_size
        shown = [
            {name: row[name] for name in fields if name in row} if isinstance(row, dict) else row
            for row in rows[start : start + self.page_size]
        ]
        if self.bare:
            return httpx.Response(200, json=shown)
        return httpx.Response(200, json={"data": shown, "nextpage": start + self.page_size < len(rows)})


LISTS = {
    "ordertypes": {
        "ordertypes": {"WORKSHOP": 1, "VEHICLE_SALES": 2, "VEHICLE_PURCHASE": 3, "INTERNAL_REVERSAL": 4, "BPM": 5}
    },
    "fuelcode": {
        "fuelcode": [{"description": "Benzine", "value": 1}, {"description": "Diesel", "value": 2}],
        "count": 2,
    },
}


def _fits(row: Any, field: str, operator: str, value: str) -> bool:
    if not isinstance(row, dict) or row.get(field) is None:
        return False
    held = str(row[field])
    return held == value if operator == "eq" else held[:8] >= value


def error(code: int, message: str) -> httpx.Response:
    return httpx.Response(200, json={"errorCode": code, "errorMessage": message})


def answers(*responses: httpx.Response) -> list[Fault]:
    return [lambda _, response=response: response for response in responses]


def breaks(*errors: Exception) -> list[Fault]:
    def fault(failure: Exception) -> Fault:
        def fail(request: httpx.Request) -> httpx.Response | None:
            if isinstance(failure, httpx.RequestError):
                with suppress(AttributeError):
                    failure.request = request
            raise failure

        return fail

    return [fault(failure) for failure in errors]


def order(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "order_id": number,
        "order_number": f"2026-{number:05}",
        "order_type": 1,
        "is_invoiced": 0,
        "order_date": "20261101",
        "plan_date_from": "20261124T083000",
        **fields,
    }


def line(number: int, order_id: int | str, **fields: Any) -> dict[str, Any]:
    return {"order_line_id": number, "order_id": order_id, "description": f"Regel {number}", **fields}


def vehicle(number: int | str) -> dict[str, Any]:
    return {"vehicle_id": number, "brand": "Volkswagen"}


def keys(reading: Any) -> list[str | None]:
    return [record.key for record in reading.records]


def fields_of(record: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(record.text)
    return found
