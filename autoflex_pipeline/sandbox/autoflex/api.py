"""The contract's routes: login, lists, code lists, and the mileage write-back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from autoflex_pipeline.sandbox.autoflex.dealers import SandboxDealer
from autoflex_pipeline.sandbox.autoflex.faulty import (
    BROKEN,
    INSTEAD,
    answer_instead,
    broken,
    shifted_offset,
    with_field_fault,
)
from autoflex_pipeline.sandbox.autoflex.journal import Call
from autoflex_pipeline.sandbox.autoflex.query import QueryError, read_query
from autoflex_pipeline.sandbox.autoflex.schema import ENDPOINTS, FUEL_CODES, ORDER_TYPES, ROWS_PER_PAGE, Endpoint
from autoflex_pipeline.sandbox.autoflex.service import AutoflexService
from autoflex_pipeline.sandbox.refusals import AT_THE_DOOR, answered_with

LOGIN_PARAMETERS = frozenset({"api_key", "username", "password", "organization_name"})
Answering = Callable[[SandboxDealer, Request], Awaitable[Response]]

_TOKEN = {"name": "token", "in": "header", "required": True, "schema": {"type": "string"}}
_LIST_PARAMETERS = [
    _TOKEN,
    {"name": "page", "in": "query", "schema": {"type": "integer", "minimum": 1}, "description": "1-based."},
    {"name": "fields", "in": "query", "schema": {"type": "string"}, "description": "Comma-separated."},
    {"name": "filter", "in": "query", "schema": {"type": "string"}, "description": "field[eq]:value"},
]

_ERROR = {
    "type": "object",
    "required": ["errorCode", "errorMessage"],
    "properties": {"errorCode": {"type": "integer"}, "errorMessage": {"type": "string"}},
}
_REFUSED: dict[int | str, dict[str, Any]] = {
    status: answered_with(description, _ERROR)
    for status, description in ((400, "Not as the API takes it."), (401, "Not authorized."), (404, "Unknown."))
}
_BUSY = answered_with(
    "No session is free: come back after so many milliseconds.",
    {"type": "object", "required": ["retry"], "properties": {"retry": {"type": "integer"}}},
)


def api_routes(service: AutoflexService) -> APIRouter:
    """The routes of the contract page, on ``service``."""
    router = APIRouter(tags=["Autoflex 10"], responses={**AT_THE_DOOR, **_REFUSED})

    @router.get("/v2/authenticate", openapi_extra={"parameters": _login_parameters()}, responses={202: _BUSY})
    async def authenticate(request: Request) -> Response:
        """Log in: a token and the address of all later calls; 202 when no session is free."""
        known = service.dealer_of_api_key(request.query_params.get("api_key", ""))
        name = known.dealer_id if known else "unknown"
        return await _answered(service, name, "authenticate", request, lambda: _login(service, known, request))

    async def call(environment: str, endpoint: str, request: Request, answer: Answering) -> Response:
        dealer = service.dealers.get(environment)
        if dealer is None:
            return error(404, f"unknown environment {environment!r}", real=True)
        return await _answered(
            service, environment, endpoint, request, lambda: _authorised(service, dealer, endpoint, request, answer)
        )

    @router.get("/api/{environment}/util/list", openapi_extra={"parameters": [_TOKEN]})
    async def util_list(environment: str, request: Request) -> Response:
        """Code lists, in the two shapes that occur."""

        async def answer(dealer: SandboxDealer, request: Request) -> Response:
            return _code_list(service, dealer, request)

        return await call(environment, "util/list", request, answer)

    @router.get("/api/{environment}/{endpoint}", openapi_extra={"parameters": _LIST_PARAMETERS})
    async def list_rows(environment: str, endpoint: str, request: Request) -> Response:
        """A page of at most 100 rows of `order`, `order_line`, `vehicle` or `relation`."""
        if endpoint not in ENDPOINTS:
            return error(404, f"unknown endpoint {endpoint!r}", real=True)

        async def answer(dealer: SandboxDealer, request: Request) -> Response:
            return _page(service, dealer, endpoint, request)

        return await call(environment, endpoint, request, answer)

    @router.put("/api/{environment}/vehicle/{vehicle_id}", openapi_extra={"parameters": [_TOKEN]})
    async def put_vehicle(environment: str, vehicle_id: str, request: Request) -> Response:
        """Write the mileage of a vehicle: `{"milometer": 123456}`."""

        async def answer(dealer: SandboxDealer, request: Request) -> Response:
            return await _write_mileage(service, dealer, vehicle_id, request)

        return await call(environment, "vehicle:put", request, answer)

    return router


def error(code: int, message: str, *, real: bool) -> JSONResponse:
    """The vendor's error answer; ``real``: with that code as the HTTP status, else with 200."""
    return JSONResponse({"errorCode": code, "errorMessage": message}, code if real else 200)


def _login_parameters() -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": name != "organization_name", "schema": {"type": "string"}}
        for name in ("api_key", "username", "password", "organization_name")
    ]


async def _answered(
    service: AutoflexService, dealer_id: str, endpoint: str, request: Request, answer: Callable[[], Awaitable[Response]]
) -> Response:
    """Answer a call through the faults that hit it, and write it down."""
    page = request.query_params.get("page", "1")
    place = {"dealer": dealer_id, "endpoint": endpoint, "page": int(page) if page.isdecimal() else None}
    service.journal.begin(dealer_id)
    outcome = "failed"
    try:
        slow = service.faults.take(("slow",), **place)
        switches = service.switches.get(dealer_id)
        late = (switches.latency_ms if switches else 0) + (slow.latency_ms if slow else 0)
        if late:
            await asyncio.sleep(late / 1000)
        fault = service.faults.take(INSTEAD, **place)
        if fault is not None:
            outcome = fault.kind
            return answer_instead(fault)
        response = await answer()
        outcome = str(response.status_code)
        fault = service.faults.take(BROKEN, **place)
        if fault is not None:
            outcome = fault.kind
            return broken(fault, response)
        return response
    finally:
        query = "" if endpoint == "authenticate" else str(request.query_params)
        service.journal.end(Call(service.clock().isoformat(), dealer_id, endpoint, query, outcome))


async def _login(service: AutoflexService, dealer: SandboxDealer | None, request: Request) -> Response:
    given = dict(request.query_params)
    if set(given) - LOGIN_PARAMETERS:
        return error(400, "unknown login parameter: known are " + ", ".join(sorted(LOGIN_PARAMETERS)), real=True)
    if dealer is None or not dealer.accepts(given):
        return error(401, "Not authorized", real=True)
    busy = service.faults.take(("login_busy",), dealer=dealer.dealer_id)
    if busy is not None:
        return JSONResponse({"retry": busy.retry_ms}, 202)
    switches = service.switches[dealer.dealer_id]
    token, valid_until = service.tokens.issue(dealer.dealer_id, switches.token_minutes, switches.token_calls)
    return JSONResponse(
        {
            "token": token,
            "api_url": f"{request.base_url}api/{dealer.dealer_id}",
            "token_valid_until": service.local(dealer.dealer_id, valid_until).strftime("%Y%m%dT%H%M%S"),
            "user_id": 7,
            "environment": dealer.dealer_id,
        }
    )


async def _authorised(
    service: AutoflexService, dealer: SandboxDealer, endpoint: str, request: Request, answer: Answering
) -> Response:
    real = service.switches[dealer.dealer_id].error_status == "real"
    refused = service.faults.take(("token_refused",), dealer=dealer.dealer_id, endpoint=endpoint)
    api_key = request.headers.get("apikey", dealer.api_key)
    good = api_key == dealer.api_key and service.tokens.spend(request.headers.get("token", ""), dealer.dealer_id)
    if refused is not None or not good:
        return error(401, "Not authorized", real=real)
    try:
        return await answer(dealer, request)
    except QueryError as failure:
        return error(400, str(failure), real=real)


def _page(service: AutoflexService, dealer: SandboxDealer, endpoint: Endpoint, request: Request) -> Response:
    switches = service.switches[dealer.dealer_id]
    query = read_query(request, endpoint, switches)
    place = {"dealer": dealer.dealer_id, "endpoint": endpoint, "page": query.page}
    shift = service.faults.take(("shift",), **place)
    offset = shifted_offset(shift, query.page, ROWS_PER_PAGE)
    rows, more = service.store.slice(dealer.dealer_id, endpoint, query.condition, offset, ROWS_PER_PAGE)
    if service.faults.take(("empty",), **place):
        rows, more = [], False
    wanted = query.fields
    if switches.last_modified == "absent":
        wanted = tuple(name for name in wanted if name != "last_modified")
    if switches.last_modified == "null":
        rows = [{**row, "last_modified": None} for row in rows]
    picked = [{name: row[name] for name in wanted} for row in rows]
    for kind in ("field_missing", "field_type", "unknown_order_type"):
        fault = service.faults.take((kind,), **place)
        if fault is not None:
            picked = with_field_fault(fault, picked)
    duplicate = service.faults.take(("duplicate",), **place)
    if duplicate is not None:
        picked = picked + picked[: duplicate.rows or 1]
    if switches.list_shape == "bare":
        return JSONResponse(picked)
    return JSONResponse({"data": picked, "nextpage": more})


def _code_list(service: AutoflexService, dealer: SandboxDealer, request: Request) -> Response:
    if set(request.query_params) != {"list"}:
        raise QueryError("util/list takes one parameter: list")
    name = request.query_params["list"]
    if name == "ordertypes":
        return JSONResponse({"ordertypes": ORDER_TYPES})
    if name == "fuelcode":
        codes = [{"description": text, "value": value} for value, text in enumerate(FUEL_CODES, 1)]
        return JSONResponse({"fuelcode": codes, "count": 1})
    raise QueryError(f"unknown list {name!r}: known are ordertypes and fuelcode")


async def _write_mileage(
    service: AutoflexService, dealer: SandboxDealer, vehicle_id: str, request: Request
) -> Response:
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise QueryError("the body is not JSON") from None
    mileage = body.get("milometer") if isinstance(body, dict) else None
    if set(body) != {"milometer"} or isinstance(mileage, bool) or not isinstance(mileage, int) or mileage < 0:
        raise QueryError('the body is not {"milometer": <whole number of km>}')
    row = service.store.change(dealer.dealer_id, "vehicle", vehicle_id, {"milometer": mileage})
    if row is None:
        return error(404, f"unknown vehicle {vehicle_id!r}", real=True)
    return JSONResponse({"vehicle_id": row["vehicle_id"], "milometer": row["milometer"]})
