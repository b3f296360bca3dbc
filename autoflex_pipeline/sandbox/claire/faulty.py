"""The faults of this Claire: before the effect, after it, or on the way back."""

from __future__ import annotations

import time
from typing import Any, Literal

from pydantic import Field
from starlette.responses import Response

from autoflex_pipeline.sandbox.claire.problems import problem
from autoflex_pipeline.sandbox.faults import Fault
from autoflex_pipeline.sandbox.wire import (
    DripResponse,
    HangResponse,
    ResetResponse,
    TruncatedResponse,
    half_body,
    html_answer,
    retry_after_headers,
)

BEFORE = ("rate_limited", "status_before", "timeout_before", "reset_before", "unauthorized", "html_before")
"""Kinds that answer without any effect."""

AFTER = ("status_after", "timeout_after", "reset_after", "truncated", "half_json", "html", "drip")
"""Kinds that spoil the answer after the effect is durable."""


class ClaireFault(Fault):
    """One way to misbehave. An import with one of the second group has had its effect.

    | kind | does | takes |
    | --- | --- | --- |
    | rate_limited | 429 with `Retry-After` | retry_after, retry_after_as_date |
    | status_before | HTTP `status` (503), no effect | status, retry_after, retry_after_as_date |
    | timeout_before, reset_before | no answer, no effect | seconds |
    | html_before | a page instead of JSON, no effect | status |
    | unauthorized | 401, no effect | |
    | status_after | HTTP `status` (503) after the effect | status, retry_after, retry_after_as_date |
    | timeout_after | no answer for `seconds` after the effect | seconds |
    | reset_after | the connection is reset after the effect | |
    | truncated | half the body after the effect, then the connection is closed | |
    | half_json | half the body after the effect, as if it were whole | |
    | html | a page instead of JSON, after the effect | status |
    | drip | the answer after the effect, one byte each `seconds` (1) | seconds |
    | slow | the answer is `latency_ms` late | latency_ms |
    """

    kind: Literal[
        "rate_limited",
        "status_before",
        "timeout_before",
        "reset_before",
        "html_before",
        "unauthorized",
        "status_after",
        "timeout_after",
        "reset_after",
        "truncated",
        "half_json",
        "html",
        "drip",
        "slow",
    ]
    endpoint: Literal["import", "list", "details"] | None = Field(None, description="Only this endpoint; null: any.")
    location: str | None = Field(None, description="Only this location; null: any.")
    dms_nr: str | None = Field(None, description="Only this appointment; null: any.")


def answer_before(fault: ClaireFault) -> Response:
    """The answer of a fault of kind BEFORE."""
    if fault.kind == "timeout_before":
        return HangResponse(fault.seconds)
    if fault.kind == "reset_before":
        return ResetResponse()
    if fault.kind == "html_before":
        return html_answer(fault.status or 200)
    if fault.kind == "unauthorized":
        return problem(401, "this API key is not known")
    if fault.kind == "rate_limited":
        seconds = 1.0 if fault.retry_after is None else fault.retry_after
        return problem(429, "too many requests", headers=_retry(fault, seconds))
    return problem(fault.status or 503, "not available", headers=_retry(fault, fault.retry_after))


def answer_after(fault: ClaireFault, response: Response) -> Response:
    """The right answer, spoilt by a fault of kind AFTER."""
    spoilt: dict[str, Any] = {
        "status_after": lambda: problem(fault.status or 503, "failed", headers=_retry(fault, fault.retry_after)),
        "timeout_after": lambda: HangResponse(fault.seconds),
        "reset_after": ResetResponse,
        "truncated": lambda: TruncatedResponse(response),
        "half_json": lambda: half_body(response),
        "html": lambda: html_answer(fault.status or 200),
        "drip": lambda: DripResponse(response, fault.seconds),
    }
    answer: Response = spoilt[fault.kind]()
    return answer


def _retry(fault: ClaireFault, seconds: float | None) -> dict[str, str]:
    return retry_after_headers(seconds, as_date=fault.retry_after_as_date, now=time.time())
