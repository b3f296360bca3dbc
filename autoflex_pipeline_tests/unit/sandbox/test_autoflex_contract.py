from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from autoflex_pipeline.sandbox.autoflex.service import AutoflexService
from autoflex_pipeline.sandbox.control import AutoflexControl
from autoflex_pipeline.sandbox.server import RunningAutoflex, running_autoflex
from autoflex_pipeline_tests.unit.sandbox.conftest import JANSEN, VRIES, Caller, login

REFUSED = {"errorCode": 401, "errorMessage": "Not authorized"}


def test_login_gives_a_token_and_another_address_for_the_calls(autoflex: RunningAutoflex, client: httpx.Client) -> None:
    answer = login(autoflex, client)
    given = answer.json()
    assert answer.status_code == 200
    assert set(given) == {"token", "api_url", "token_valid_until", "user_id", "environment"}
    assert not given["api_url"].startswith(autoflex.login_url)
    assert urlsplit(given["api_url"]).path == "/api/jansen"
    datetime.strptime(given["token_valid_until"], "%Y%m%dT%H%M%S")


@pytest.mark.parametrize("wrong", ["api_key", "username", "password"])
def test_wrong_credentials_are_401(autoflex: RunningAutoflex, client: httpx.Client, wrong: str) -> None:
    given = {"api_key": "key-jansen", "username": "user-jansen", "password": "secret-jansen"} | {wrong: "x"}
    assert client.get(f"{autoflex.login_url}/authenticate", params=given).status_code == 401


def test_a_dealer_with_an_organization_name_needs_it(autoflex: RunningAutoflex, client: httpx.Client) -> None:
    given = {"api_key": VRIES.api_key, "username": VRIES.username, "password": VRIES.password}
    assert client.get(f"{autoflex.login_url}/authenticate", params=given).status_code == 401
    assert login(autoflex, client, VRIES).status_code == 200


def test_only_the_fields_asked_for_come_back(jansen: Caller, control: AutoflexControl) -> None:
    control.put("jansen", "order", {"order_id": 50012, "order_number": "2026-1", "is_invoiced": 0})
    answer = jansen.get("order", fields="order_id,is_invoiced", page=1)
    assert answer == {"data": [{"order_id": 50012, "is_invoiced": 0}], "nextpage": False}


def test_a_filter_finds_by_number_and_null_is_not_zero(jansen: Caller, control: AutoflexControl) -> None:
    orders = [
        {"order_id": 1, "is_invoiced": 0},
        {"order_id": 2, "is_invoiced": None},
        {"order_id": 3, "is_invoiced": 1},
    ]
    control.load("jansen", {"order": orders})
    found = jansen.get("order", filter="is_invoiced[eq]:0", fields="order_id")["data"]
    assert found == [{"order_id": 1}]


def test_pages_hold_100_rows_and_say_whether_there_are_more(jansen: Caller, control: AutoflexControl) -> None:
    control.load("jansen", {"order": [{"order_id": number} for number in range(250)]})
    pages = [jansen.get("order", page=page, fields="order_id") for page in (1, 2, 3, 4)]
    assert [(len(page["data"]), page["nextpage"]) for page in pages] == [
        (100, True),
        (100, True),
        (50, False),
        (0, False),
    ]
    assert [row["order_id"] for page in pages for row in page["data"]] == list(range(250))


@pytest.mark.parametrize(
    "query",
    [
        {"fields": "order_id,nonsense"},
        {"filter": "order_id=1"},
        {"filter": "nonsense[eq]:1"},
        {"filter": "order_id[like]:1"},
        {"filter": "order_date[gte]:20260101"},
        {"page": "0"},
        {"page": "x"},
        {"sort": "order_id"},
    ],
)
def test_what_the_contract_does_not_know_is_refused(jansen: Caller, query: dict[str, str]) -> None:
    assert jansen.get("order", **query)["errorCode"] == 400


def test_brackets_must_be_percent_encoded(jansen: Caller, autoflex: RunningAutoflex) -> None:
    raw = httpx.URL(f"{jansen.api_url}/order").copy_with(raw_path=b"/api/jansen/order?filter=order_id[eq]:1")
    assert jansen.client.get(raw, headers={"token": jansen.token}).json()["errorCode"] == 400


def test_no_token_and_another_dealers_token_are_refused_with_http_200(jansen: Caller, vries: Caller) -> None:
    for token in ("", "AAAA-BBB-CCCC", vries.token):
        answer = jansen.client.get(f"{jansen.api_url}/order", headers={"token": token})
        assert (answer.status_code, answer.json()) == (200, REFUSED)


def test_errors_can_come_with_their_own_http_status(jansen: Caller, control: AutoflexControl) -> None:
    control.set_switches("jansen", error_status="real")
    assert jansen.client.get(f"{jansen.api_url}/order").status_code == 401


def test_a_token_expires_after_its_minutes(tmp_path: Path, client: httpx.Client) -> None:
    now = [datetime(2026, 11, 24, 8, 0, tzinfo=UTC)]
    service = AutoflexService(tmp_path, [JANSEN], clock=lambda: now[0])
    token, until = service.tokens.issue("jansen", 30, None)
    now[0] = until - timedelta(seconds=1)
    assert service.tokens.spend(token, "jansen")
    now[0] = until
    assert not service.tokens.spend(token, "jansen")
    service.close()


def test_a_token_expires_after_n_calls(
    autoflex: RunningAutoflex, client: httpx.Client, control: AutoflexControl
) -> None:
    control.set_switches("jansen", token_calls=2)
    given = login(autoflex, client).json()
    caller = Caller(client, given["api_url"], given["token"])
    answers = [caller.get("order") for _ in range(3)]
    assert ["data" in answer for answer in answers] == [True, True, False]
    assert answers[2] == REFUSED


def test_code_lists_come_in_two_shapes(jansen: Caller) -> None:
    assert jansen.get("util/list", list="ordertypes")["ordertypes"]["WORKSHOP"] == 1
    assert jansen.get("util/list", list="fuelcode")["fuelcode"][0] == {"description": "Benzine", "value": 1}
    assert jansen.get("util/list", list="colours")["errorCode"] == 400


def test_mileage_can_be_written_back(jansen: Caller, control: AutoflexControl) -> None:
    control.put("jansen", "vehicle", {"vehicle_id": 7001})
    headers = {"token": jansen.token}
    good = jansen.client.put(f"{jansen.api_url}/vehicle/7001", json={"milometer": 123456}, headers=headers)
    bad = jansen.client.put(f"{jansen.api_url}/vehicle/7001", json={"milometer": "many"}, headers=headers)
    assert good.json()["milometer"] == 123456
    assert bad.json()["errorCode"] == 400
    assert control.row("jansen", "vehicle", 7001)["milometer"] == 123456


def test_last_modified_moves_on_when_a_line_changes(jansen: Caller, control: AutoflexControl) -> None:
    control.put("jansen", "order", {"order_id": 1})
    control.put("jansen", "order_line", {"order_line_id": 9, "order_id": 1})
    before = jansen.get("order")["data"][0]["last_modified"]
    control.change("jansen", "order_line", 9, description="APK")
    assert jansen.get("order")["data"][0]["last_modified"] > before


@pytest.mark.parametrize(("mode", "expected"), [("null", {"last_modified": None}), ("absent", {})])
def test_last_modified_can_be_missing(jansen: Caller, control: AutoflexControl, mode: str, expected: object) -> None:
    control.put("jansen", "order", {"order_id": 1})
    control.set_switches("jansen", last_modified=mode)
    assert jansen.get("order", fields="last_modified")["data"] == [expected]


def test_range_filters_are_honoured_or_ignored_as_switched(jansen: Caller, control: AutoflexControl) -> None:
    dates = ["20260930T100000", "2026-10-01T10:00:00", "20261031", None]
    control.load("jansen", {"order": [{"order_id": n, "plan_date_from": day} for n, day in enumerate(dates)]})
    control.set_switches("jansen", range_filters="honoured")
    later = jansen.get("order", filter="plan_date_from[gte]:20261001", fields="order_id")["data"]
    until = jansen.get("order", filter="plan_date_from[lte]:2026-10-01", fields="order_id")["data"]
    assert later == [{"order_id": 1}, {"order_id": 2}]
    assert until == [{"order_id": 0}, {"order_id": 1}]
    control.set_switches("jansen", range_filters="ignored")
    assert len(jansen.get("order", filter="plan_date_from[gte]:20261001")["data"]) == 4


def test_a_bare_array_instead_of_the_envelope(jansen: Caller, control: AutoflexControl) -> None:
    control.put("jansen", "order", {"order_id": 1})
    control.set_switches("jansen", list_shape="bare")
    assert jansen.get("order", fields="order_id") == [{"order_id": 1}]


def test_rows_survive_a_restart_and_the_file_is_the_owners(tmp_path: Path) -> None:
    with running_autoflex(tmp_path, [JANSEN]) as server, AutoflexControl(server.control_url) as control:
        control.put("jansen", "order", {"order_id": 1, "notes": "Zoë 🚗"})
    with running_autoflex(tmp_path, [JANSEN]) as server, AutoflexControl(server.control_url) as control:
        assert control.row("jansen", "order", 1)["notes"] == "Zoë 🚗"
    assert (tmp_path / "autoflex.sqlite").stat().st_mode & 0o777 == 0o600


def test_calls_are_counted_by_dealer_and_no_credential_is_kept(
    jansen: Caller, vries: Caller, control: AutoflexControl, client: httpx.Client, tmp_path: Path
) -> None:
    jansen.get("order", page=1)
    vries.get("vehicle")
    assert control.requests("jansen", "order") == 1
    assert control.requests("vries") == 2
    written = client.get(str(control._http.base_url) + "requests?calls=true").text
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for secret in (JANSEN.api_key, JANSEN.password, VRIES.password, jansen.token):
        assert secret not in written
        assert secret.encode() not in stored
        assert secret not in repr(JANSEN) + repr(VRIES)


def test_openapi_names_the_contract_and_the_control_routes(autoflex: RunningAutoflex, client: httpx.Client) -> None:
    paths = client.get(f"{autoflex.url}/openapi.json").json()["paths"]
    assert {"/v2/authenticate", "/api/{environment}/{endpoint}", "/control/faults"} <= set(paths)
