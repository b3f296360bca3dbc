"""The switchboard: faults, switches, calls counted, and the rows. Outside the contract, for tests and demos."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException

from autoflex_pipeline.sandbox.autoflex.dealers import Switches
from autoflex_pipeline.sandbox.autoflex.faulty import AutoflexFault
from autoflex_pipeline.sandbox.autoflex.schema import KEYS, Endpoint
from autoflex_pipeline.sandbox.autoflex.service import AutoflexService
from autoflex_pipeline.sandbox.fault_routes import add_fault_routes
from autoflex_pipeline.sandbox.refusals import OF_CONTROL

Row = dict[str, Any]


def control_routes(service: AutoflexService) -> APIRouter:
    """The control routes, on ``service``."""
    router = APIRouter(prefix="/control", tags=["control (outside the contract)"], responses={**OF_CONTROL})
    add_fault_routes(router, service.faults, AutoflexFault)
    _switch_routes(router, service)
    _row_routes(router, service)
    return router


def _switch_routes(router: APIRouter, service: AutoflexService) -> None:
    @router.get("/switches")
    async def read_switches() -> dict[str, Switches]:
        """The switches of each dealer."""
        return service.switches

    @router.patch("/switches")
    async def set_switches(switches: Switches, dealer: str | None = None) -> dict[str, Switches]:
        """Set the given switches, leave the others; of one dealer, or of all."""
        given = switches.model_dump(exclude_unset=True)
        for dealer_id in service.dealers if dealer is None else (_known(service, dealer),):
            service.switches[dealer_id] = service.switches[dealer_id].model_copy(update=given)
        return service.switches

    @router.delete("/tokens")
    async def revoke_tokens(dealer: str | None = None) -> dict[str, bool]:
        """Make the tokens of a dealer (of all) void."""
        service.tokens.revoke(dealer)
        return {"ok": True}

    @router.get("/requests")
    async def read_requests(calls: bool = False) -> dict[str, Any]:
        """How often each endpoint was called per dealer, the most calls at once, and (`calls=true`) the newest."""
        return service.journal.report(calls=calls)

    @router.delete("/requests")
    async def clear_requests() -> dict[str, bool]:
        """Count anew."""
        service.journal.clear()
        return {"ok": True}


def _row_routes(router: APIRouter, service: AutoflexService) -> None:
    @router.get("/state/{dealer}")
    async def read_counts(dealer: str) -> dict[str, int]:
        """How many rows each endpoint holds."""
        return {endpoint: service.store.count(_known(service, dealer), endpoint) for endpoint in KEYS}

    @router.get("/state/{dealer}/{endpoint}")
    async def read_rows(dealer: str, endpoint: Endpoint) -> list[Row]:
        """All rows of an endpoint."""
        return service.store.rows(_known(service, dealer), endpoint)

    @router.post("/state/{dealer}")
    async def load_rows(dealer: str, rows: dict[Endpoint, list[Row]], replace: bool = False) -> dict[str, int]:
        """Create or replace many rows, `{"order": [...], …}`, each with its key; `replace`: and delete all others."""
        for endpoint in KEYS if replace else ():
            service.store.clear(_known(service, dealer), endpoint)
        for endpoint, given in rows.items():
            keyed = [(_row_id(row.get(KEYS[endpoint]), index), row) for index, row in enumerate(given)]
            _stored(lambda keyed=keyed, endpoint=endpoint: service.store.load(_known(service, dealer), endpoint, keyed))
        return await read_counts(dealer)

    @router.get("/state/{dealer}/{endpoint}/{row_id}")
    async def read_row(dealer: str, endpoint: Endpoint, row_id: str) -> Row:
        """One row."""
        return _found(service.store.row(_known(service, dealer), endpoint, row_id))

    @router.put("/state/{dealer}/{endpoint}/{row_id}")
    async def put_row(dealer: str, endpoint: Endpoint, row_id: str, row: Row) -> Row:
        """Create or replace one row: fields left out become null, the key (when not given) row_id."""
        stored: Row = _stored(lambda: service.store.put(_known(service, dealer), endpoint, row_id, row))
        return stored

    @router.patch("/state/{dealer}/{endpoint}/{row_id}")
    async def change_row(dealer: str, endpoint: Endpoint, row_id: str, fields: Row) -> Row:
        """Change some fields of a row."""
        return _found(_stored(lambda: service.store.change(_known(service, dealer), endpoint, row_id, fields)))

    @router.delete("/state/{dealer}/{endpoint}/{row_id}")
    async def delete_row(dealer: str, endpoint: Endpoint, row_id: str) -> dict[str, bool]:
        """Delete a row; the lines of an order are rows of their own and stay."""
        return {"deleted": service.store.delete(_known(service, dealer), endpoint, row_id)}


def _known(service: AutoflexService, dealer: str) -> str:
    if dealer not in service.dealers:
        raise HTTPException(404, f"unknown dealer {dealer!r}: known are {', '.join(service.dealers)}")
    return dealer


def _row_id(key: Any, index: int) -> str:
    return f"keyless-{index}" if key is None else str(key)


def _stored(write: Any) -> Any:
    try:
        return write()
    except ValueError as failure:
        raise HTTPException(422, str(failure)) from None


def _found(row: Row | None) -> Row:
    if row is None:
        raise HTTPException(404, "no such row")
    return row
