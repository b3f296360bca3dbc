"""How what cannot be read or kept is refused: with a 422 that says why, and never with a 500."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

UNKEPT = "it cannot be kept: half a surrogate pair is no text, and whole numbers have 64 bits"


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
