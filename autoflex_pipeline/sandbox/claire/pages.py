"""The page of the reception desk: the appointments of a day, search, and one appointment with all that Claire holds."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form
from starlette.responses import RedirectResponse, Response

from autoflex_pipeline.sandbox.claire import statuses
from autoflex_pipeline.sandbox.claire.model import is_iso_date, is_price
from autoflex_pipeline.sandbox.claire.service import ClaireService, Location
from autoflex_pipeline.sandbox.claire.store import Appointment
from autoflex_pipeline.sandbox.pages import Pages, style_sheet

SEARCH_LIMIT = 100
DAY_LIMIT = 1000
CHIPS = {"New entry": "", "Car in shop": "busy", "Car ready": "good", "Backorder": "warn", "Cancelled": "bad"}
KINDS = {"driver": "Bestuurder", "owner": "Eigenaar", "contractor": "Opdrachtgever"}


def page_routes(service: ClaireService) -> APIRouter:
    """The pages, on ``service``."""
    router = APIRouter(include_in_schema=False)
    pages = Pages("claire")

    @router.get("/style.css")
    async def style() -> Response:
        return style_sheet()

    @router.get("/")
    async def appointments(location: str = "", day: str = "", q: str = "") -> Response:
        place = service.locations.get(location) or next(iter(service.locations.values()))
        today = service.clock().astimezone(ZoneInfo(place.timezone)).date()
        chosen = date.fromisoformat(day) if is_iso_date(day) else today
        if q.strip():
            found = service.store.search(place.location_id, q, SEARCH_LIMIT)
        else:
            iso = chosen.isoformat()
            found = service.store.list_page([place.location_id], None, iso, iso, DAY_LIMIT, 0)
            found.sort(key=lambda each: (each.document["scheduled_in"] or "9", each.document["wo_nr"] or ""))
        values = {
            "locations": list(service.locations.values()),
            "location": place,
            "today": today,
            "day_chosen": chosen,
            "before": chosen - timedelta(days=1),
            "after": chosen + timedelta(days=1),
            "q": q.strip(),
            "rows": [_row(each, place) for each in found],
        }
        return pages.page("list.html", values)

    @router.get("/appointments/{appointment_id}")
    async def appointment(appointment_id: str, wrong: str = "") -> Response:
        found = service.appointment(appointment_id)
        if found is None:
            return pages.page("missing.html", {"appointment_id": appointment_id, "q": ""}, 404)
        return pages.page("detail.html", {**_details(service, found), "wrong": wrong})

    @router.post("/appointments/{appointment_id}/status")
    async def move(appointment_id: str, status: Annotated[str, Form()]) -> Response:
        found = service.appointment(appointment_id)
        if found is not None and not service.move(found, status):
            return _back(appointment_id, "Deze stap kan niet vanuit de huidige status.")
        return _back(appointment_id)

    @router.post("/appointments/{appointment_id}/lines")
    async def add_line(
        appointment_id: str, title: Annotated[str, Form()] = "", price: Annotated[str, Form()] = ""
    ) -> Response:
        found = service.appointment(appointment_id)
        amount = _amount(price)
        if found is None or not title.strip() or (price.strip() and amount is None):
            return _back(appointment_id, "Een regel heeft een omschrijving en een prijs zoals 49,50 (of geen prijs).")
        service.add_staff_line(found, title.strip(), amount)
        return _back(appointment_id)

    return router


def _row(appointment: Appointment, place: Location) -> dict[str, Any]:
    document = appointment.document
    lines = document["interventions"]
    driver = next((each for each in document["customers"] if each["customer_kind"] == "driver"), None)
    customer = driver or next(iter(document["customers"]), None)
    return {
        "id": appointment.id,
        "status": appointment.status,
        "chip": _chip(appointment.status),
        "cancelled": appointment.status == statuses.CANCELLED,
        "time": _hour(document["scheduled_in"], place),
        "document": document,
        "car": document["car"] or {},
        "customer": _name(customer),
        "titles": [line["title"] for line in lines],
        "total": _total(lines),
    }


def _details(service: ClaireService, appointment: Appointment) -> dict[str, Any]:
    place = service.locations.get(appointment.location_id) or Location(appointment.location_id, "")
    effects = service.store.effects(None, appointment.nr, 0, 1000)
    document = appointment.document
    return {
        "appointment": appointment,
        "document": document,
        "location": place,
        "q": "",
        "chip": _chip(appointment.status),
        "cancelled": appointment.status == statuses.CANCELLED,
        "moves": statuses.moves(appointment.status),
        "total": _total(document["interventions"]),
        "customers": [
            {**each, "kind": KINDS[each["customer_kind"]], "name": _name(each)} for each in document["customers"]
        ],
        "last": effects[-1],
        "earlier": effects[-2::-1],
        "day_chosen": document["appointment_date"],
    }


def _chip(status: str) -> str:
    return CHIPS.get(status, "busy")


def _hour(text: str | None, place: Location) -> str:
    return "" if text is None else datetime.fromisoformat(text).astimezone(ZoneInfo(place.timezone)).strftime("%H:%M")


def _name(customer: dict[str, Any] | None) -> str:
    if customer is None:
        return ""
    person = " ".join(part for part in (customer["title"], customer["last_name"]) if part)
    return " – ".join(part for part in (customer["company"], person) if part)


def _total(lines: list[dict[str, Any]]) -> Decimal:
    return sum((Decimal(line["price"]) for line in lines if line["price"] is not None), Decimal(0))


def _amount(text: str) -> str | None:
    """A price as typed (49,50 or 49.5 or 49) as the contract's text; None when it is empty or none."""
    plain = text.strip().replace("€", "").strip().replace(",", ".")
    whole, _, cents = plain.partition(".")
    price = f"{whole}.{cents.ljust(2, '0')}"
    return price if is_price(price) else None


def _back(appointment_id: str, wrong: str = "") -> Response:
    query = "?" + urlencode({"wrong": wrong}) if wrong else ""
    return RedirectResponse(f"/appointments/{quote(appointment_id)}{query}", 303)
