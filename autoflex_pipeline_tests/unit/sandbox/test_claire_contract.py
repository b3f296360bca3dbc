from __future__ import annotations

import httpx
import pytest

from autoflex_pipeline.sandbox.control import ClaireControl
from autoflex_pipeline.sandbox.server import RunningClaire
from autoflex_pipeline_tests.unit.sandbox.conftest import Importer

FULL = {
    "wo_nr": "2026-00417",
    "appointment_date": "2026-11-24",
    "creation_date": "2026-11-18T14:05:00+01:00",
    "scheduled_in": "2026-11-24T08:30:00+01:00",
    "scheduled_out": "2026-11-24T17:00:00+01:00",
    "billed": False,
    "dms_notes": "Klant wacht",
    "car_in_shop": True,
    "internal": False,
    "dms_mileage": 123456,
    "canceled": False,
    "interventions": [
        {"dms_nr": "900441", "position": 1, "title": "Grote beurt", "price": "389.00"},
        {"dms_nr": "900442", "position": 2, "title": "APK", "price": "49.50"},
    ],
    "car": {
        "dms_nr": "7001",
        "make": "Volkswagen",
        "model": "Golf",
        "registration_number": "GH-123-J",
        "vin": "WVWZZZ1KZAW000001",
        "engine_number": "CAX123456",
        "notes": None,
        "driver_id": "3001",
    },
    "customers": [
        {"customer_kind": "driver", "dms_nr": "3001", "title": "Mevr.", "last_name": "van den Berg"},
        {"customer_kind": "contractor", "dms_nr": "3090", "company": "Lease BV"},
    ],
}


def test_the_documents_example_is_created_as_a_new_entry(importer: Importer, desk: ClaireControl) -> None:
    answer = importer.post(**FULL)
    assert (answer.status_code, answer.json()) == (201, {"id": "A-1", "result": "created", "status": "New entry"})
    held = desk.appointment("101", "50012")
    assert held is not None
    assert {name: held[name] for name in FULL if name != "customers"} == {
        name: value for name, value in FULL.items() if name != "customers"
    }
    assert [customer["company"] for customer in held["customers"]] == [None, "Lease BV"]


def test_the_same_document_again_changes_nothing(importer: Importer, desk: ClaireControl) -> None:
    importer.post(**FULL)
    before = desk.appointment("101", "50012")
    assert importer.post(**FULL).json()["result"] == "unchanged"
    assert desk.appointment("101", "50012") == before
    assert desk.counts()["effects"] == 1


def test_left_out_keeps_and_null_clears(importer: Importer, desk: ClaireControl) -> None:
    importer.post(**FULL)
    assert importer.post(dms_notes=None, car={"vin": None}).json()["result"] == "updated"
    held = desk.appointment("101", "50012")
    assert held is not None
    assert (held["dms_notes"], held["dms_mileage"], held["wo_nr"]) == (None, 123456, "2026-00417")
    assert (held["car"]["vin"], held["car"]["make"]) == (None, "Volkswagen")
    assert len(held["interventions"]) == 2


def test_the_dms_lines_are_replaced_and_staff_lines_stay(importer: Importer, desk: ClaireControl) -> None:
    importer.post(**FULL)
    desk.add_staff_line("101", "50012", "Wachtauto", "15.00")
    importer.post(
        interventions=[
            {"dms_nr": "900443", "position": 2, "title": "Airco", "price": None},
            {"dms_nr": "900442", "position": 1, "title": "APK", "price": "55.00"},
        ]
    )
    held = desk.appointment("101", "50012")
    assert held is not None
    assert [(line["title"], line["price"]) for line in held["interventions"]] == [
        ("APK", "55.00"),
        ("Airco", None),
        ("Wachtauto", "15.00"),
    ]


def test_lines_of_one_position_stand_as_they_came(importer: Importer, desk: ClaireControl) -> None:
    lines = [{"dms_nr": number, "position": 1, "title": f"line {number}"} for number in ("9", "3", "5")]
    importer.post(interventions=lines)
    importer.post(interventions=[lines[2], lines[0], lines[1]])
    held = desk.appointment("101", "50012")
    assert held is not None
    assert [line["dms_nr"] for line in held["interventions"]] == ["5", "9", "3"]


def test_customers_are_merged_by_kind_and_an_emptied_one_goes(importer: Importer, desk: ClaireControl) -> None:
    importer.post(**FULL)
    importer.post(
        customers=[
            {"customer_kind": "driver", "last_name": "Jansen"},
            {"customer_kind": "contractor", "dms_nr": None, "company": None},
            {"customer_kind": "owner", "dms_nr": "3001", "last_name": "Pot"},
        ]
    )
    held = desk.appointment("101", "50012")
    assert held is not None
    assert [(each["customer_kind"], each["title"], each["last_name"]) for each in held["customers"]] == [
        ("driver", "Mevr.", "Jansen"),
        ("owner", None, "Pot"),
    ]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"colour": "red"}, "colour"),
        ({"car": {"colour": "red"}}, "car.colour"),
        ({"dms_nr": 50012}, "dms_nr"),
        ({"billed": None}, "billed"),
        ({"billed": 0}, "billed"),
        ({"appointment_date": "24-11-2026"}, "appointment_date"),
        ({"appointment_date": "2026-02-30"}, "appointment_date"),
        ({"scheduled_in": "2026-11-24T08:30:00"}, "scheduled_in"),
        ({"dms_mileage": "12"}, "dms_mileage"),
        ({"dms_mileage": -1}, "dms_mileage"),
        ({"interventions": [{"dms_nr": "1", "position": 1, "title": "x", "price": 1.5}]}, "interventions[0].price"),
        ({"interventions": [{"dms_nr": "1", "position": 1, "title": "x", "price": "1.5"}]}, "interventions[0].price"),
        ({"interventions": [{"dms_nr": "1", "position": 1, "title": ""}]}, "interventions[0].title"),
        ({"interventions": [{"position": 1, "title": "x"}]}, "interventions[0].dms_nr"),
        ({"customers": [{"customer_kind": "friend"}]}, "customers[0].customer_kind"),
        ({"customers": [{"customer_kind": "owner"}, {"customer_kind": "owner"}]}, "(document)"),
    ],
)
def test_an_invalid_document_is_422_and_names_the_field(
    importer: Importer, desk: ClaireControl, fields: dict[str, object], named: str
) -> None:
    answer = importer.post(**fields)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "errors"} == set(answer.json())
    assert [error["field"] for error in answer.json()["errors"]] == [named]
    assert desk.counts()["effects"] == 0


def test_malformed_large_unknown_key_and_foreign_location(
    importer: Importer, claire: RunningClaire, client: httpx.Client
) -> None:
    url = f"{claire.claire_base_url}/v1/appointments/import"
    headers = {"Authorization": "claire-key-1", "Content-Type": "application/json"}
    assert client.post(url, content=b'{"location_id":', headers=headers).status_code == 400
    assert client.post(url, content=b"[]", headers=headers).status_code == 400
    assert client.post(url, content=b'{"dms_nr": "\xff"}', headers=headers).status_code == 400
    assert client.post(url, content=rb'{"dms_nr": "\ud800"}', headers=headers).status_code == 400
    assert client.post(url, content=b"[" * 100_000, headers=headers).status_code == 400
    assert client.post(url, content=b"{}", headers=headers | {"Content-Type": "text/plain"}).status_code == 400
    assert client.post(url, content=b" " * 1_000_001, headers=headers).status_code == 413
    assert importer.post(key="Bearer claire-key-1").status_code == 401
    assert importer.post(location_id="102").status_code == 403
    assert importer.post(key="claire-key-2", location_id="102").status_code == 201


def test_an_idempotency_key_gives_the_first_answer_again(importer: Importer, desk: ClaireControl) -> None:
    first = importer.post(idempotency_key="k1", wo_nr="1")
    importer.post(idempotency_key="k2", wo_nr="2")
    again = importer.post(idempotency_key="k1", wo_nr="1")
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    held = desk.appointment("101", "50012")
    assert held is not None
    assert held["wo_nr"] == "2"
    other = importer.post(idempotency_key="k1", wo_nr="3")
    assert (other.status_code, other.json()["errors"][0]["field"]) == (422, "Idempotency-Key")
    assert [entry["outcome"] for entry in desk.log()] == ["created", "updated", "repeated", "key_reused"]
    assert [effect["idempotency_key"] for effect in desk.effects()] == ["k1", "k2"]


@pytest.mark.parametrize("status", ["New entry", "Car in shop"])
def test_cancelling_works_before_work_has_started(importer: Importer, desk: ClaireControl, status: str) -> None:
    importer.post()
    desk.set_status("101", "50012", status)
    assert importer.post(canceled=True).json() == {"id": "A-1", "result": "updated", "status": "Cancelled"}
    assert importer.post(canceled=False).json()["status"] == "New entry"


@pytest.mark.parametrize("status", ["Control started", "Calculating", "Car ready", "Backorder"])
def test_cancelling_after_work_has_started_is_409(importer: Importer, desk: ClaireControl, status: str) -> None:
    importer.post(wo_nr="1")
    desk.set_status("101", "50012", status)
    answer = importer.post(canceled=True)
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    assert importer.post(wo_nr="2", canceled=False).json() == {"id": "A-1", "result": "updated", "status": status}


def test_the_list_is_paged_filtered_and_within_scope(importer: Importer) -> None:
    for number in range(103):
        importer.post(dms_nr=str(number), appointment_date=f"2026-11-{1 + number % 28:02d}")
    importer.post(key="claire-key-2", location_id="102")
    first, second = importer.get("list").json(), importer.get("list", page=2).json()
    assert (len(first["data"]), first["next_page"]) == (100, 2)
    assert (len(second["data"]), second["next_page"]) == (3, None)
    assert {"id", "status", "updated_at", "location_id"} <= set(first["data"][0])
    assert [each["dms_nr"] for each in importer.get("list", dms_nr="7").json()["data"]] == ["7"]
    days = importer.get("list", date_from="2026-11-02", date_to="2026-11-03").json()["data"]
    assert {each["appointment_date"] for each in days} == {"2026-11-02", "2026-11-03"}
    assert importer.get("list", location_id="102").status_code == 403
    assert importer.get("list", location="101").status_code == 422
    assert importer.get("list", date_from="yesterday").status_code == 422


def test_details_by_id(importer: Importer) -> None:
    importer.post(key="claire-key-2", location_id="102")
    assert importer.get("A-1", key="claire-key-2").json()["dms_nr"] == "50012"
    assert importer.get("A-1").status_code == 403
    assert importer.get("A-99").status_code == 404


def test_openapi_shows_the_document(claire: RunningClaire, client: httpx.Client) -> None:
    schema = client.get(f"{claire.url}/openapi.json").json()
    assert "/api/v1/appointments/import" in schema["paths"]
    assert "registration_number" in schema["components"]["schemas"]["Car"]["properties"]
