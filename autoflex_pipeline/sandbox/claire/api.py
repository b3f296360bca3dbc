"""The contract's routes: import, list, details.

The import is lean, because a benchmark drives it at hundreds of requests a second on one core: the handler runs on the
event loop with one SQLite connection (a commit takes tens of microseconds with WAL and ``synchronous=NORMAL``), JSON
is read and written by msgspec, and latency is an ``asyncio.sleep``, so that sixteen slow requests wait side by side
without a thread. About 0.6 ms of CPU a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from autoflex_pipeline.sandbox.claire import model, statuses
from autoflex_pipeline.sandbox.claire.faulty import AFTER, BEFORE, answer_after, answer_before
from autoflex_pipeline.sandbox.claire.problems import problem
from autoflex_pipeline.sandbox.claire.service import ClaireKey, ClaireService, KeyReusedError
from autoflex_pipeline.sandbox.refusals import AT_THE_DOOR, PROBLEM, answered_with

ROWS_PER_PAGE = 100
LIST_PARAMETERS = ("location_id", "dms_nr", "date_from", "date_to", "page")

_KEY = {"name": "Authorization", "in": "header", "required": True, "schema": {"type": "string"}}
_IDEMPOTENCY = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: answered_with(description, PROBLEM, "application/problem+json")
    for status, description in (
        (400, "Malformed."),
        (401, "The key is unknown."),
        (403, "The location is outside the key's scope."),
        (404, "There is no such appointment."),
        (409, "Canceled after work has started."),
        (413, "Too large."),
        (422, "Not valid; `errors` names the fields."),
    )
}
_RESULT = {
    "type": "object",
    "required": ["id", "result", "status"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string"},
        "result": {"enum": ["created", "updated", "unchanged"]},
        "status": {"enum": list(statuses.STATUSES)},
    },
}
_IMPORTED: dict[int | str, dict[str, Any]] = {
    200: answered_with("Updated, or unchanged.", _RESULT),
    201: answered_with("Created.", _RESULT),
}
_HELD = {
    "type": "object",
    "required": ["id", "status", "updated_at", "location_id", "dms_nr"],
    "properties": {name: {"type": "string"} for name in ("id", "status", "updated_at", "location_id", "dms_nr")},
}
_LISTED = answered_with(
    "A page.",
    {
        "type": "object",
        "required": ["data", "next_page"],
        "properties": {"data": {"type": "array", "items": _HELD}, "next_page": {"type": ["integer", "null"]}},
    },
)
_DETAILS = answered_with("The appointment as Claire holds it.", _HELD)


def api_routes(service: ClaireService) -> APIRouter:
    """The routes of the contract page, on ``service``."""
    router = APIRouter(prefix="/api/v1/appointments", tags=["Claire"], responses={**AT_THE_DOOR, **_PROBLEMS})

    @router.post("/import", openapi_extra=_import_schema(), responses={**_IMPORTED})
    async def import_appointment(request: Request) -> Response:
        """Create or update one appointment."""
        try:
            body = await _body(request, service.max_body_bytes)
        except ClientDisconnect:
            return problem(400, "the body broke off")
        if body is None:
            return problem(413, f"the body is larger than {service.max_body_bytes} bytes")
        given = _json_object(body)
        named = given or {}
        place = {"endpoint": "import", "location": named.get("location_id"), "dms_nr": named.get("dms_nr")}
        return await _answered(service, request, place, lambda key: _import(service, key, request, given, body))

    @router.get("/list", openapi_extra={"parameters": [_KEY, *_list_parameters()]}, responses={200: _LISTED})
    async def list_appointments(request: Request) -> Response:
        """Appointments of the locations in scope, 100 a page."""
        given = request.query_params
        place = {"endpoint": "list", "location": given.get("location_id"), "dms_nr": given.get("dms_nr")}
        return await _answered(service, request, place, lambda key: _list(service, key, request))

    @router.get("/{appointment_id}", openapi_extra={"parameters": [_KEY]}, responses={200: _DETAILS})
    async def appointment_details(appointment_id: str, request: Request) -> Response:
        """One appointment by Claire's id."""
        place: dict[str, Any] = {"endpoint": "details", "location": None, "dms_nr": None}
        return await _answered(service, request, place, lambda key: _details(service, key, appointment_id))

    return router


async def _answered(
    service: ClaireService, request: Request, place: dict[str, Any], answer: Callable[[ClaireKey], Response]
) -> Response:
    """Answer through the faults that hit the call; the effect is durable before a fault of kind AFTER strikes."""
    slow = service.faults.take(("slow",), **place)
    late = service.latency_ms + (slow.latency_ms if slow else 0)
    if late:
        await asyncio.sleep(late / 1000)
    before = service.faults.take(BEFORE, **place)
    if before is not None:
        _log(service, request, place, before.kind)
        return answer_before(before)
    key = service.keys.get(request.headers.get("authorization", ""))
    if key is None:
        _log(service, request, place, "key_unknown")
        return problem(401, "this API key is not known")
    response = answer(key)
    if not getattr(request.state, "is_logged", False):
        _log(service, request, place, str(response.status_code), key.name)
    after = service.faults.take(AFTER, **place)
    return response if after is None else answer_after(after, response)


def _import(
    service: ClaireService, key: ClaireKey, request: Request, given: dict[str, Any] | None, body: bytes
) -> Response:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        return problem(400, "the Content-Type must be application/json")
    if given is None:
        return problem(400, "the body is not a JSON object")
    if isinstance(given.get("location_id"), str) and given["location_id"] not in key.locations:
        return problem(403, f"location {given['location_id']!r} is outside the scope of this key")
    try:
        model.Appointment.model_validate(given)
    except ValidationError as failure:
        return problem(422, "the appointment is not valid", model.field_errors(failure))
    request.state.is_logged = True  # by the import itself, in one transaction with its effect
    try:
        imported = service.import_appointment(key.name, given, body, request.headers.get("idempotency-key"))
    except KeyReusedError:
        message = "this key was used before with another body"
        return problem(422, message, [{"field": "Idempotency-Key", "message": message}])
    if imported.status == 409:
        return problem(409, imported.body)
    return Response(imported.body, imported.status, media_type="application/json")


def _list(service: ClaireService, key: ClaireKey, request: Request) -> Response:
    given = dict(request.query_params)
    errors = [{"field": name, "message": "unknown parameter"} for name in given if name not in LIST_PARAMETERS]
    for name in ("date_from", "date_to"):
        if name in given and not model.is_iso_date(given[name]):
            errors.append({"field": name, "message": "must be a date as YYYY-MM-DD"})
    page = given.get("page", "1")
    if not page.isdecimal() or not 1 <= int(page) <= 1_000_000:
        errors.append({"field": "page", "message": "must be a whole number from 1"})
    if errors:
        return problem(422, "the query is not valid", errors)
    location_id = given.get("location_id")
    if location_id is not None and location_id not in key.locations:
        return problem(403, f"location {location_id!r} is outside the scope of this key")
    locations = [location_id] if location_id is not None else list(key.locations)
    found = service.store.list_page(
        locations,
        given.get("dms_nr"),
        given.get("date_from"),
        given.get("date_to"),
        ROWS_PER_PAGE + 1,
        (int(page) - 1) * ROWS_PER_PAGE,
    )
    more = len(found) > ROWS_PER_PAGE
    rows = [appointment.as_json() for appointment in found[:ROWS_PER_PAGE]]
    return _json({"data": rows, "next_page": int(page) + 1 if more else None})


def _details(service: ClaireService, key: ClaireKey, appointment_id: str) -> Response:
    found = service.appointment(appointment_id)
    if found is None:
        return problem(404, f"no appointment {appointment_id!r}")
    if found.location_id not in key.locations:
        return problem(403, f"appointment {appointment_id} is outside the scope of this key")
    return _json(found.as_json())


async def _body(request: Request, limit: int) -> bytes | None:
    """The body; None as soon as it is larger than ``limit`` bytes."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        given = msgspec.json.decode(body)
    except (ValueError, RecursionError):  # bad JSON, bad UTF-8, endless nesting
        return None
    return given if isinstance(given, dict) else None


def _json(content: Any) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")


def _log(
    service: ClaireService, request: Request, place: dict[str, Any], outcome: str, key_name: str | None = None
) -> None:
    service.store.log_request(
        (
            service.now(),
            place["endpoint"],
            key_name,
            _text(place["location"]),
            _text(place["dms_nr"]),
            request.headers.get("idempotency-key"),
            None,
            outcome,
        )
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _list_parameters() -> list[dict[str, Any]]:
    return [{"name": name, "in": "query", "schema": {"type": "string"}} for name in LIST_PARAMETERS]


def _import_schema() -> dict[str, Any]:
    """The body's schema for OpenAPI; it is read by hand in the handler, which must keep the very bytes."""
    schema = model.Appointment.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return {
        "parameters": [_KEY, _IDEMPOTENCY],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
    }


def component_schemas() -> dict[str, Any]:
    """The schemas that the import's body refers to, for the components of the OpenAPI document."""
    schemas: dict[str, Any] = model.Appointment.model_json_schema(ref_template="#/components/schemas/{model}")["$defs"]
    return schemas
