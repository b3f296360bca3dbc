"""How what cannot be read or kept is refused: with a 422 that says why, and never with a 500."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

UNKEPT = "it cannot be kept: half a surrogate pair is no text, and whole numbers have 64 bits"


Json = dict[str, Any]

DETAIL: Json = {
    "type": "object",
    "required": ["detail"],
    "properties": {"detail": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]}},
}
"""The body of a refusal that FastAPI makes, or a control route."""

PROBLEM: Json = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
"""The body of an ``application/problem+json``."""


def answered_with(description: str, schema: Json, media_type: str = "application/json") -> Json:
    """One answer, as ``responses`` of a route take it."""
    return {"description": description, "content": {media_type: {"schema": schema}}}


AT_THE_DOOR: Mapping[int | str, Json] = {
    403: answered_with("From a page of another site.", PROBLEM, "application/problem+json"),
    413: answered_with("The body is too large.", PROBLEM, "application/problem+json"),
    414: answered_with("The address is too long.", PROBLEM, "application/problem+json"),
    421: answered_with("Under another name.", PROBLEM, "application/problem+json"),
}
"""What ``door`` answers, for every route."""

OF_CONTROL: Mapping[int | str, Json] = {
    **AT_THE_DOOR,
    400: answered_with("The body cannot be read.", DETAIL),
    404: answered_with("There is no such thing.", DETAIL),
    409: answered_with("Not as it stands now.", DETAIL),
    422: answered_with("Not valid.", DETAIL),
}
"""What a control route may answer besides 200."""


def refuse_what_cannot_be_kept(app: FastAPI) -> None:
    """Give ``app`` its answers to what no handler expects of a well-meaning client."""
    app.add_exception_handler(RequestValidationError, _invalid)
    for kind in (UnicodeEncodeError, OverflowError, RecursionError):
        app.add_exception_handler(kind, _unkept)


async def _invalid(_request: Request, failure: Exception) -> Response:
    """FastAPI's own, less the input that it repeats: that may be what cannot be written."""
    errors = failure.errors() if isinstance(failure, RequestValidationError) else ()
    kept = [{"loc": list(error["loc"]), "msg": error["msg"], "type": error["type"]} for error in errors]
    return _refusal(kept)


async def _unkept(_request: Request, failure: Exception) -> Response:
    return _refusal([{"loc": [], "msg": UNKEPT, "type": type(failure).__name__}])


def _refusal(errors: list[dict[str, Any]]) -> Response:
    return Response(json.dumps({"detail": errors}), 422, media_type="application/json")
