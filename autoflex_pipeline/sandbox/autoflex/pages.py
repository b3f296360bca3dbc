"""The pages on which a person changes an order of this Autoflex and then watches it travel."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from autoflex_pipeline.sandbox.autoflex.dealers import SandboxDealer
from autoflex_pipeline.sandbox.autoflex.editing import as_text, do_to_lines, lines_of, save_row
from autoflex_pipeline.sandbox.autoflex.query import Condition
from autoflex_pipeline.sandbox.autoflex.schema import KEYS, Endpoint
from autoflex_pipeline.sandbox.autoflex.service import AutoflexService
from autoflex_pipeline.sandbox.pages import Pages, style_sheet

ORDERS_SHOWN = 300
LABELS: dict[Endpoint, dict[str, str]] = {
    "order": {
        "order_number": "Ordernummer",
        "order_type": "Ordertype",
        "order_date": "Orderdatum",
        "plan_date_from": "Plandatum van",
        "plan_date_to": "Plandatum tot",
        "is_invoiced": "Gefactureerd",
        "is_present": "Aanwezig",
        "is_internal": "Intern",
        "is_canceled": "Geannuleerd",
        "milometer": "Tellerstand",
        "vehicle_id": "Voertuig ID",
        "relation_id": "Relatienummer",
        "notes": "Notitie",
    },
    "vehicle": {
        "brand": "Merk",
        "model": "Model",
        "license_plate": "Kenteken",
        "vin": "Chassisnummer",
        "engine_number": "Motornummer",
        "driver_relation_id": "Bestuurder",
        "owner_relation_id": "Eigenaar",
        "notes": "Notitie",
    },
    "relation": {
        "company_name": "Bedrijfsnaam",
        "title": "Titel",
        "last_name_prefix": "Tussenvoegsel",
        "last_name": "Achternaam",
        "street": "Adres",
        "house_number": "Huisnummer",
        "house_number_addition": "Huisnr. toev.",
        "postcode": "Postcode",
        "city": "Plaats",
    },
}
"""The inputs of the form, in order; the DMS's own Dutch words."""

FLAGS = frozenset({"is_invoiced", "is_present", "is_internal", "is_canceled"})


def page_routes(service: AutoflexService) -> APIRouter:
    """The pages, on ``service``."""
    router = APIRouter(include_in_schema=False)
    pages = Pages("autoflex")

    @router.get("/style.css")
    async def style() -> Response:
        return style_sheet()

    @router.get("/")
    async def dealers() -> Response:
        rows = [(dealer, *_counts(service, dealer.dealer_id)) for dealer in service.dealers.values()]
        return pages.page("dealers.html", {"rows": rows})

    @router.get("/dealers/{dealer_id}")
    async def orders(dealer_id: str, day: str = "", q: str = "") -> Response:
        dealer = service.dealers.get(dealer_id)
        if dealer is None:
            return pages.page("missing.html", {"what": f"Dealer {dealer_id}"}, 404)
        return pages.page("orders.html", _orders(service, dealer, day, q.strip()))

    @router.post("/dealers/{dealer_id}/orders")
    async def new_order(dealer_id: str) -> Response:
        if dealer_id not in service.dealers:
            return pages.page("missing.html", {"what": f"Dealer {dealer_id}"}, 404)
        return _to_order(dealer_id, _new_order(service, dealer_id))

    @router.get("/dealers/{dealer_id}/orders/{order_id}")
    async def order(dealer_id: str, order_id: str, saved: str = "") -> Response:
        dealer = service.dealers.get(dealer_id)
        row = service.store.row(dealer_id, "order", order_id) if dealer else None
        if dealer is None or row is None:
            return pages.page("missing.html", {"what": f"Order {order_id} van {dealer_id}"}, 404)
        values = {**_order(service, dealer, order_id, row), "saved": saved}
        return pages.page("order.html", values)

    @router.post("/dealers/{dealer_id}/orders/{order_id}")
    async def save(dealer_id: str, order_id: str, request: Request) -> Response:
        row = service.store.row(dealer_id, "order", order_id) if dealer_id in service.dealers else None
        if row is None:
            return pages.page("missing.html", {"what": f"Order {order_id} van {dealer_id}"}, 404)
        form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
        for endpoint, each in _rows_on_page(service, dealer_id, order_id, row):
            save_row(service.store, dealer_id, endpoint, each, form)
        do_to_lines(service.store, dealer_id, order_id, form.get("action", "save"))
        return _to_order(dealer_id, order_id, saved=True)

    return router


def _counts(service: AutoflexService, dealer_id: str) -> tuple[int, int]:
    return (
        service.store.count(dealer_id, "order", Condition("is_invoiced", "eq", "0")),
        service.store.count(dealer_id, "order"),
    )


def _orders(service: AutoflexService, dealer: SandboxDealer, day: str, q: str) -> dict[str, Any]:
    today = service.local(dealer.dealer_id, service.clock()).date()
    chosen = datetime.strptime(day, "%Y-%m-%d").date() if re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", day) else today
    if q:
        found = service.store.search_orders(dealer.dealer_id, q, ORDERS_SHOWN)
    else:
        found = service.store.orders_of_day(dealer.dealer_id, chosen.strftime("%Y%m%d"), ORDERS_SHOWN)
    rows = [
        {**each, "vehicle": service.store.row(dealer.dealer_id, "vehicle", str(each["vehicle_id"])) or {}}
        for each in found
    ]
    return {
        "dealer": dealer,
        "q": q,
        "rows": [row for row in rows if row["order_id"] is not None],
        "today": today,
        "day_chosen": chosen,
        "before": chosen - timedelta(days=1),
        "after": chosen + timedelta(days=1),
    }


def _new_order(service: AutoflexService, dealer_id: str) -> str:
    """An empty work order for today, half an hour from now."""
    now = service.local(dealer_id, service.clock())
    order_id = service.store.highest_id(dealer_id, "order") + 1
    row = {
        "order_id": order_id,
        "order_number": f"{now.year}-{order_id:05d}",
        "order_type": 1,
        "order_date": now.strftime("%Y%m%dT%H%M%S"),
        "plan_date_from": (now + timedelta(minutes=30)).strftime("%Y%m%dT%H%M00"),
        **dict.fromkeys(FLAGS, 0),
    }
    service.store.put(dealer_id, "order", str(order_id), row)
    return str(order_id)


def _rows_on_page(
    service: AutoflexService, dealer_id: str, order_id: str, order: dict[str, Any]
) -> list[tuple[Endpoint, dict[str, Any]]]:
    """The order, its lines, its car and its contractor: everything that the form can change."""
    rows: list[tuple[Endpoint, dict[str, Any]]] = [("order", order)]
    rows += [("order_line", line) for line in lines_of(service.store, dealer_id, order_id)]
    for endpoint in ("vehicle", "relation"):
        found = service.store.row(dealer_id, endpoint, str(order[KEYS[endpoint]]))
        if found is not None and found[KEYS[endpoint]] is not None:
            rows.append((endpoint, found))
    return rows


def _order(service: AutoflexService, dealer: SandboxDealer, order_id: str, order: dict[str, Any]) -> dict[str, Any]:
    rows = _rows_on_page(service, dealer.dealer_id, order_id, order)
    parts = {endpoint: _inputs(endpoint, row) for endpoint, row in rows if endpoint != "order_line"}
    return {
        "dealer": dealer,
        "order": order,
        "order_id": order_id,
        "parts": parts,
        "plate": next((_plate(row) for endpoint, row in rows if endpoint == "vehicle"), None),
        "lines": [{name: as_text(value) for name, value in row.items()} for kind, row in rows if kind == "order_line"],
    }


def _inputs(endpoint: Endpoint, row: dict[str, Any]) -> list[dict[str, Any]]:
    row_id = row[KEYS[endpoint]]
    return [
        {
            "name": f"{endpoint}.{row_id}.{field}",
            "label": label,
            "value": as_text(row[field]),
            "flag": field in FLAGS,
            "long": field == "notes",
        }
        for field, label in LABELS[endpoint].items()
    ]


def _plate(vehicle: dict[str, Any]) -> Any:
    return vehicle["formatted_license_plate"] or vehicle["license_plate"]


def _to_order(dealer_id: str, order_id: str, *, saved: bool = False) -> Response:
    query = "?saved=1" if saved else ""
    return RedirectResponse(f"/dealers/{quote(dealer_id)}/orders/{quote(order_id)}{query}", 303)
