"""A Claire in the process, which answers as it is told, in no real time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx
from pydantic import SecretStr

from autoflex_pipeline.claire.client import (
    ClaireConnection,
    DealerStop,
    Outcome,
)
from autoflex_pipeline.settings import ClaireSettings
from autoflex_pipeline_tests.unit.claire.no_time import Time

KEY = "planted-claire-key"
TAKEN = {"id": "c1", "result": "created", "status": "New entry"}
Answer = httpx.Response | Exception


def taken(**values: Any) -> httpx.Response:
    return httpx.Response(200, json=TAKEN | values)


def page(*rows: dict[str, Any], next_page: Any = None) -> httpx.Response:
    return httpx.Response(200, json={"data": list(rows), "next_page": next_page})


@dataclass
class Claire:
    """Answers in the order given, the last one again and again."""

    time: Time
    answers: list[Answer] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    deadline_seconds: float = 60.0
    stop: DealerStop = field(default_factory=DealerStop)

    def __post_init__(self) -> None:
        settings = ClaireSettings(
            base_url="https://claire.example/",
            api_key_env="CLAIRE_KEY",
            max_requests_per_second=0,
            max_concurrency=2,
            deadline_seconds=self.deadline_seconds,
        )
        self.connection = ClaireConnection(settings, SecretStr(KEY))
        self.connection._new_transport = lambda: httpx.MockTransport(self._handle)  # type: ignore[method-assign,assignment,return-value]

    def _handle(self, request: httpx.Request) -> httpx.Response:
        assert len(self.requests) < 500, "no end of requests"
        request.read()
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def sends(self, *answers: Answer, once: bool = False) -> Outcome:
        self.answers = list(answers)
        self.requests.clear()
        options = {"once": True} if once else {}
        return self.connection.import_appointment('{"dms_nr":"7"}', "the-key", self.stop, **options)

    def status(self, *answers: Answer, claire_id: str = "c1") -> str | None:
        self.answers = list(answers)
        return self.connection.status_by_id(claire_id, self.stop)

    def status_by_number(self, *answers: Answer) -> str | None:
        self.answers = list(answers)
        return self.connection.status_by_number("101", "7&8", self.stop)

    def pages(self, *answers: Answer) -> list[list[dict[str, Any]]]:
        self.answers = list(answers)
        return list(self.connection.appointments("101", self.stop))

    @property
    def urls(self) -> list[str]:
        return [str(request.url) for request in self.requests]
