"""The switchboard: faults, latency, both logs, and staff's hands. Outside the contract, for tests and demos."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from autoflex_pipeline.sandbox.claire import statuses
from autoflex_pipeline.sandbox.claire.faulty import ClaireFault
from autoflex_pipeline.sandbox.claire.model import PRICE
from autoflex_pipeline.sandbox.claire.service import ClaireService
from autoflex_pipeline.sandbox.claire.store import Appointment
from autoflex_pipeline.sandbox.fault_routes import add_fault_routes
from autoflex_pipeline.sandbox.refusals import OF_CONTROL


class StatusChange(BaseModel):
    """A status, and whether the moves that staff may make bind it."""

    model_config = ConfigDict(extra="forbid")
    status: str
    force: bool = Field(True, description="Set it whatever the status is now.")


class StaffLine(BaseModel):
    """A line that staff types in Claire."""

    model_config = ConfigDict(extra="forbid")
    title: str = Field(min_length=1)
    price: str | None = Field(None, pattern=PRICE)


class Latency(BaseModel):
    """How late every answer is."""

    model_config = ConfigDict(extra="forbid")
    latency_ms: float = Field(ge=0)


def control_routes(service: ClaireService) -> APIRouter:
    """The control routes, on ``service``."""
    router = APIRouter(prefix="/control", tags=["control (outside the contract)"], responses={**OF_CONTROL})
    add_fault_routes(router, service.faults, ClaireFault)
    _latency_route(router, service)
    _log_routes(router, service)
    _appointment_routes(router, service)
    return router


def _latency_route(router: APIRouter, service: ClaireService) -> None:
    @router.put("/latency")
    async def set_latency(latency: Latency) -> Latency:
        """Make every answer that late (the wait holds no thread)."""
        service.latency_ms = latency.latency_ms
        return latency


def _log_routes(router: APIRouter, service: ClaireService) -> None:
    @router.get("/counts")
    async def read_counts() -> dict[str, int]:
        """How many appointments, requests, import requests and effects of imports there are."""
        return service.store.counts()

    @router.get("/log")
    async def read_log(after: int = 0, limit: int = 100_000) -> list[dict[str, Any]]:
        """Every request received, oldest first."""
        return service.store.request_log(after, limit)

    @router.get("/effects")
    async def read_effects(
        source: Literal["import", "staff", "all"] = "import", after: int = 0, limit: int = 100_000
    ) -> list[dict[str, Any]]:
        """Every effect made, oldest first, with what changed."""
        return service.store.effects(None if source == "all" else source, None, after, limit)

    @router.post("/reset")
    async def reset() -> dict[str, bool]:
        """Forget all appointments, answers and logs."""
        service.store.reset()
        return {"ok": True}


def _appointment_routes(router: APIRouter, service: ClaireService) -> None:
    def found(location: str, dms_nr: str) -> Appointment:
        appointment = service.store.find(location, dms_nr)
        if appointment is None:
            raise HTTPException(404, f"location {location!r} has no appointment {dms_nr!r}")
        return appointment

    @router.get("/appointments/{location}")
    async def read_appointments(location: str) -> list[dict[str, Any]]:
        """All appointments of a location, without the API's paging and key."""
        return [each.as_json() for each in service.store.list_page([location], None, None, None, -1, 0)]

    @router.get("/appointments/{location}/{dms_nr}")
    async def read_appointment(location: str, dms_nr: str) -> dict[str, Any]:
        """One appointment by its DMS number."""
        return found(location, dms_nr).as_json()

    @router.put("/appointments/{location}/{dms_nr}/status")
    async def set_status(location: str, dms_nr: str, change: StatusChange) -> dict[str, Any]:
        """Move an appointment to a status."""
        if change.status not in statuses.STATUSES:
            raise HTTPException(422, f"unknown status {change.status!r}: known are {', '.join(statuses.STATUSES)}")
        if not service.move(found(location, dms_nr), change.status, force=change.force):
            raise HTTPException(409, f"that move is not allowed from {found(location, dms_nr).status!r}")
        return found(location, dms_nr).as_json()

    @router.post("/appointments/{location}/{dms_nr}/lines")
    async def add_line(location: str, dms_nr: str, line: StaffLine) -> dict[str, Any]:
        """Add a line as staff does."""
        service.add_staff_line(found(location, dms_nr), line.title, line.price)
        return found(location, dms_nr).as_json()
