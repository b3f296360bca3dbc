from __future__ import annotations

import re
from datetime import UTC, date, datetime

import httpx
import pytest

from autoflex_pipeline.sandbox.control import AutoflexControl, ClaireControl
from autoflex_pipeline.sandbox.server import RunningAutoflex, RunningClaire
from autoflex_pipeline_tests.unit.sandbox.conftest import Importer

ORDER = {"order_id": 50012, "order_number": "2026-00417", "order_type": 1, "plan_date_from": "20261124T083000"}


@pytest.fixture
def order_page(autoflex: RunningAutoflex, control: AutoflexControl) -> str:
    lines = [
        {"order_line_id": 1, "order_id": 50012, "line_number": 1, "description": "Beurt", "price_incl_vat": "389.00"},
        {"order_line_id": 2, "order_id": 50012, "line_number": 2, "description": "APK", "price_incl_vat": 49.5},
    ]
    car = {"vehicle_id": 7001, "brand": "Kia", "license_plate": "GH123J", "formatted_license_plate": "GH-123-J"}
    order = ORDER | {"vehicle_id": 7001, "notes": "Eén\nTwee"}
    control.load("jansen", {"order": [order], "order_line": lines, "vehicle": [car]})
    return f"{autoflex.url}/dealers/jansen/orders/50012"


def save(client: httpx.Client, page: str, action: str = "save", **fields: str) -> httpx.Response:
    return client.post(page, data={"action": action, **fields}, follow_redirects=True)


def test_an_order_is_found_by_day_number_and_plate(
    autoflex: RunningAutoflex, client: httpx.Client, order_page: str
) -> None:
    dealer = f"{autoflex.url}/dealers/jansen"
    assert "Garage Jansen" in client.get(autoflex.url).text
    for query in ({"day": "2026-11-24"}, {"q": "00417"}, {"q": "gh-123"}):
        assert "2026-00417" in client.get(dealer, params=query).text
    assert "2026-00417" not in client.get(dealer, params={"day": "2026-11-25"}).text


def test_what_is_saved_keeps_its_type_and_the_rest_is_untouched(
    client: httpx.Client, control: AutoflexControl, order_page: str
) -> None:
    before = control.row("jansen", "order", 50012)
    fields = {
        "order.50012.notes": "Drie\r\nVier <b>",
        "order.50012.is_invoiced": "1",
        "order.50012.order_number": "2026-00417",
        "order_line.1.price_incl_vat": "399.00",
        "order_line.2.price_incl_vat": "59,50",
        "vehicle.7001.model": "Ceed",
    }
    answer = save(client, order_page, **fields)
    assert "saved" in answer.text
    assert "Vier &lt;b&gt;" in answer.text
    after = control.row("jansen", "order", 50012)
    assert after == before | {"notes": "Drie\nVier <b>", "is_invoiced": 1, "last_modified": after["last_modified"]}
    assert [line["price_incl_vat"] for line in control.rows("jansen", "order_line")] == ["399.00", 59.5]
    assert control.row("jansen", "vehicle", 7001)["model"] == "Ceed"


def test_lines_are_added_moved_and_removed(client: httpx.Client, control: AutoflexControl, order_page: str) -> None:
    save(client, order_page, "add")
    save(client, order_page, "up:2")
    lines = sorted(control.rows("jansen", "order_line"), key=lambda line: line["line_number"])
    assert [(line["order_line_id"], line["line_number"]) for line in lines] == [(2, 1), (1, 2), (3, 3)]
    save(client, order_page, "remove:1")
    assert [line["order_line_id"] for line in control.rows("jansen", "order_line")] == [2, 3]


def test_a_new_order_is_on_the_list_of_today(
    autoflex: RunningAutoflex, client: httpx.Client, control: AutoflexControl
) -> None:
    answer = client.post(f"{autoflex.url}/dealers/jansen/orders", follow_redirects=True)
    assert answer.status_code == 200
    assert [row["is_invoiced"] for row in control.rows("jansen", "order")] == [0]


def test_the_desk_shows_a_day_and_finds_by_number_and_plate(
    claire: RunningClaire, client: httpx.Client, importer: Importer
) -> None:
    importer.post(
        wo_nr="2026-00417",
        appointment_date="2026-11-24",
        canceled=True,
        car={"registration_number": "GH-123-J"},
    )
    for query in ({"day": "2026-11-24"}, {"q": "417"}, {"q": "gh123j"}):
        text = client.get(claire.url, params={"location": "101", **query}).text
        assert "2026-00417" in text
        assert re.search(r'<tr class="link cancelled">', text)
    assert "2026-00417" not in client.get(claire.url, params={"location": "101", "day": "2026-11-25"}).text
    assert "2026-00417" not in client.get(claire.url, params={"location": "102", "day": "2026-11-24"}).text


def test_without_a_day_the_desk_shows_today(claire: RunningClaire, client: httpx.Client) -> None:
    claire.service.clock = lambda: datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
    assert str(date(2026, 11, 25)) in client.get(claire.url).text


def test_the_detail_page_shows_lines_in_order_total_and_the_last_change(
    claire: RunningClaire, client: httpx.Client, importer: Importer
) -> None:
    lines = [
        {"dms_nr": "2", "position": 2, "title": "APK", "price": "49.50"},
        {"dms_nr": "1", "position": 1, "title": "Grote beurt <i>", "price": "1389.00"},
    ]
    importer.post(wo_nr="2026-00417", interventions=lines, dms_mileage=1)
    importer.post(dms_mileage=22222)
    text = client.get(f"{claire.url}/appointments/A-1").text
    assert text.index("Grote beurt &lt;i&gt;") < text.index("APK")
    assert "€ 1.438,50" in text
    last = text[text.index('id="last-change"') : text.index("<details>")]
    assert "dms_mileage" in last
    assert "22222" in last
    assert client.get(f"{claire.url}/appointments/A-9").status_code == 404


def test_buttons_move_the_status_on_and_a_line_can_be_typed(
    claire: RunningClaire, client: httpx.Client, importer: Importer, desk: ClaireControl
) -> None:
    importer.post(wo_nr="1")
    page = f"{claire.url}/appointments/A-1"
    assert 'value="Car in shop"' in client.get(page).text
    client.post(f"{page}/status", data={"status": "Car in shop"})
    client.post(f"{page}/status", data={"status": "Car ready"})
    client.post(f"{page}/lines", data={"title": "Wachtauto", "price": "15,5"})
    client.post(f"{page}/lines", data={"title": "Te duur", "price": "veel"})
    held = desk.appointment("101", "50012")
    assert held is not None
    assert held["status"] == "Car in shop"
    assert [(line["title"], line["price"]) for line in held["interventions"]] == [("Wachtauto", "15.50")]
    assert desk.counts()["effects"] == 1
