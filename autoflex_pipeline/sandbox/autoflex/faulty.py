"""The faults of this Autoflex: what each does to a login, to the wire, and to the rows of a page."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field
from starlette.responses import JSONResponse, Response

from autoflex_pipeline.sandbox.faults import Fault
from autoflex_pipeline.sandbox.wire import (
    HangResponse,
    ResetResponse,
    TruncatedResponse,
    half_body,
    html_answer,
    retry_after_headers,
)

INSTEAD = ("status", "error", "timeout", "reset", "html")
"""Kinds that take the place of the answer."""

BROKEN = ("truncated", "half_json")
"""Kinds that break the right answer."""

Kind = Literal[
    "login_busy",
    "token_refused",
    "error",
    "status",
    "timeout",
    "reset",
    "truncated",
    "half_json",
    "html",
    "slow",
    "shift",
    "duplicate",
    "field_missing",
    "field_type",
    "unknown_order_type",
    "empty",
]


class AutoflexFault(Fault):
    """One way to misbehave.

    | kind | does | takes |
    | --- | --- | --- |
    | login_busy | login answers 202 `{"retry": …}` | retry_ms |
    | token_refused | a good token is refused with errorCode 401 | |
    | error | `{"errorCode": code, "errorMessage": message}` with HTTP `status` (200) | code, message, status |
    | status | HTTP `status` (503) | status, retry_after, retry_after_as_date |
    | timeout | no answer for `seconds` (until the client gives up) | seconds |
    | reset | the connection is reset | |
    | truncated | half the body, then the connection is closed | |
    | half_json | half the body, as if it were whole | |
    | html | a page instead of JSON | status |
    | slow | the answer is `latency_ms` late | latency_ms |
    | shift | rows move by `rows` a page while paging: positive, rows come twice; negative, rows are missed | rows |
    | duplicate | the first `rows` rows of a page come twice | rows |
    | field_missing | `field` is left out of the first `rows` rows (all) | field, rows |
    | field_type | `field` has another type in the first `rows` rows (all) | field, to, rows |
    | unknown_order_type | order_type is `value` (99) in the first `rows` rows (all) | value, rows |
    | empty | the list is empty | |
    """

    kind: Kind
    dealer: str | None = Field(None, description="Only this dealer; null: any.")
    endpoint: str | None = Field(None, description="Only this endpoint (order, …, util/list, authenticate); null: any.")
    page: int | None = Field(None, description="Only this page; null: any.")
    code: int = 500
    message: str = "Internal error"
    retry_ms: int = 50
    rows: int | None = None
    field: str | None = None
    to: Literal["text", "number", "boolean", "list", "object", "null"] = "object"
    value: Any = 99


def answer_instead(fault: AutoflexFault) -> Response:
    """The answer of a fault of kind INSTEAD."""
    if fault.kind == "timeout":
        return HangResponse(fault.seconds)
    if fault.kind == "reset":
        return ResetResponse()
    if fault.kind == "html":
        return html_answer(fault.status or 200)
    if fault.kind == "error":
        return JSONResponse({"errorCode": fault.code, "errorMessage": fault.message}, fault.status or 200)
    headers = retry_after_headers(fault.retry_after, as_date=fault.retry_after_as_date, now=time.time())
    return Response("Service Unavailable", fault.status or 503, headers, "text/plain")


def broken(fault: AutoflexFault, response: Response) -> Response:
    """The right answer, broken by a fault of kind BROKEN."""
    return TruncatedResponse(response) if fault.kind == "truncated" else half_body(response)


def shifted_offset(fault: AutoflexFault | None, page: int, rows_per_page: int) -> int:
    """Where a page begins when ``rows`` rows came in front (or, negative, left) between each two pages."""
    moved = (fault.rows or 1) * (page - 1) if fault is not None else 0
    return max(0, (page - 1) * rows_per_page - moved)


def with_field_fault(fault: AutoflexFault, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with one field left out, of another type, or of an unknown order type."""
    hit = len(rows) if fault.rows is None else fault.rows
    return [_spoiled(fault, row) if index < hit else row for index, row in enumerate(rows)]


def _spoiled(fault: AutoflexFault, row: Mapping[str, Any]) -> dict[str, Any]:
    if fault.kind == "field_missing":
        return {name: value for name, value in row.items() if name != fault.field}
    if fault.kind == "unknown_order_type":
        return {name: fault.value if name == "order_type" else value for name, value in row.items()}
    return {name: _other_type(value, fault.to) if name == fault.field else value for name, value in row.items()}


def _other_type(value: Any, to: str) -> Any:
    if to == "number":
        digits = "".join(character for character in str(value) if character.isdecimal())
        return int(digits or random.Random(str(value)).randrange(1, 10_000))
    shapes: dict[str, Any] = {
        "text": str(value),
        "boolean": bool(value),
        "list": [value],
        "object": {"value": value},
        "null": None,
    }
    return shapes[to]
