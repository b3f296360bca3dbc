"""The Autoflex source against the sandbox's Autoflex, over a real socket, while that misbehaves in every way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from autoflex_pipeline.errors import LoginRefusedError
from autoflex_pipeline.sandbox.autoflex.dealers import SandboxDealer
from autoflex_pipeline.sandbox.control import AutoflexControl
from autoflex_pipeline.sandbox.server import RunningAutoflex, running_autoflex
from autoflex_pipeline.settings import Credentials, DealerSettings
from autoflex_pipeline.sources.autoflex_api import AutoflexApi, doctor_checks, look

DEALER = "garage-jansen"
ORDERS = 250


class Dms:
    """A running Autoflex with 250 open orders, 50 invoiced ones, two lines each, and connections to it."""

    def __init__(self, server: RunningAutoflex, control: AutoflexControl, stack: ExitStack) -> None:
        self.server = server
        self.control = control
        self._stack = stack
        orders = [
            {
                "order_id": number,
                "order_number": f"2026-{number}",
                "order_type": 1,
                "is_invoiced": int(number > ORDERS),
                "order_date": "20260901",
                "plan_date_from": f"2026{1 + number % 12:02}15T083000",
            }
            for number in range(1, ORDERS + 51)
        ]
        lines = [
            {"order_line_id": 10 * number + place, "order_id": number, "line_number": place}
            for number in range(1, ORDERS + 51)
            for place in (1, 2)
        ]
        control.load(DEALER, {"order": orders, "order_line": lines, "vehicle": [{"vehicle_id": 7001}]})

    def api(self, *, password: str = "wachtwoord", **api: Any) -> AutoflexApi:
        settings = DealerSettings.model_validate(
            {
                "id": DEALER,
                "name": DEALER,
                "claire_location_id": "101",
                "api": {
                    "login_url": self.server.login_url,
                    "api_key_env": "KEY",
                    "username_env": "USER",
                    "password_env": "PASSWORD",
                    "max_requests_per_second": 0,
                    **api,
                },
            }
        )
        credentials = Credentials(api_key="sleutel", username="gebruiker", password=password)
        return self._stack.enter_context(AutoflexApi(settings, credentials, sleep=lambda _: None))


@pytest.fixture
def dms(tmp_path: Path) -> Iterator[Dms]:
    dealer = SandboxDealer(DEALER, "Garage Jansen", "sleutel", "gebruiker", "wachtwoord")
    with ExitStack() as stack:
        server = stack.enter_context(running_autoflex(tmp_path, [dealer]))
        control = stack.enter_context(AutoflexControl(server.control_url))
        yield Dms(server, control, stack)


ALL_OPEN = {str(number) for number in range(1, ORDERS + 1)}


def open_keys(api: AutoflexApi) -> set[str | None]:
    reading = api.open_orders()
    assert reading.complete, reading.error
    assert len(reading.records) == ORDERS
    return {record.key for record in reading.records}


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "login_busy", "times": 3, "retry_ms": 20},
        {"kind": "token_refused", "times": 2},
        {"kind": "status", "times": 3, "status": 500},
        {"kind": "status", "times": 2, "status": 429, "retry_after": 1},
        {"kind": "status", "times": 1, "status": 503, "retry_after": 1, "retry_after_as_date": True},
        {"kind": "error", "times": 2, "code": 500},
        {"kind": "timeout", "times": 1, "seconds": 0.1},
        {"kind": "reset", "times": 3},
        {"kind": "truncated", "times": 3, "endpoint": "order"},
        {"kind": "half_json", "times": 3},
        {"kind": "html", "times": 3},
        {"kind": "html", "times": 1, "status": 502},
        {"kind": "slow", "times": 2, "latency_ms": 50},
        {"kind": "duplicate", "rows": 5},
        {"kind": "shift", "rows": 3, "times": 4},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('status', '')}",
)
def test_open_orders_arrive_whole_through_faults_that_pass(dms: Dms, fault: dict[str, Any]) -> None:
    api = dms.api()
    dms.control.set_fault(**fault)
    assert open_keys(api) == ALL_OPEN
    assert dms.control.faults()[0]["hits"] > 0


@pytest.mark.parametrize("shape", ["envelope", "bare"])
@pytest.mark.parametrize("status", ["200", "real"])
def test_token_that_runs_out_after_some_calls_is_renewed(dms: Dms, shape: str, status: str) -> None:
    dms.control.set_switches(token_calls=2, list_shape=shape, error_status=status)
    api = dms.api()
    assert open_keys(api) == ALL_OPEN
    assert len(api.by_ids("order", [str(number) for number in range(1, 30)]).read_ids) == 29


@pytest.mark.parametrize("last_modified", ["present", "null", "absent", "unknown"])
def test_last_modified_may_be_there_or_not(dms: Dms, last_modified: str) -> None:
    dms.control.set_switches(last_modified=last_modified)
    assert open_keys(dms.api()) == ALL_OPEN


@pytest.mark.parametrize("ranges", ["honoured", "ignored", "refused"])
def test_orders_since_a_day_come_whatever_the_range_filters_do(dms: Dms, ranges: str) -> None:
    dms.control.set_switches(range_filters=ranges)
    reading = dms.api(range_filters=True).work_orders_since(date(2026, 11, 1))
    expected = {str(number) for number in range(1, ORDERS + 51) if 1 + number % 12 >= 11}
    assert reading.complete
    assert {record.key for record in reading.records} >= expected


@pytest.mark.parametrize("kind", ["reset", "html", "half_json", "status"])
def test_fault_that_stays_leaves_a_partial_reading_with_what_came(dms: Dms, kind: str) -> None:
    api = dms.api()
    assert api.open_orders().complete
    dms.control.set_fault(kind, endpoint="order", page=3)
    reading = api.open_orders()
    assert not reading.complete
    assert {"1", "101", "200"} <= {record.key for record in reading.records}
    assert len(reading.records) == 200
    assert "page=3" in (reading.error or "")


def test_wrong_password_is_asked_once(dms: Dms) -> None:
    api = dms.api(password="wrong")
    with pytest.raises(LoginRefusedError):
        api.by_ids("vehicle", ["7001", "7002", "7003"])
    assert dms.control.requests(DEALER, "authenticate") == 1


def test_requests_at_once_stay_within_the_limit(dms: Dms) -> None:
    dms.control.set_switches(latency_ms=10)
    api = dms.api(max_concurrency=3)
    assert len(api.lines_of([str(number) for number in range(1, 13)], by_id=True).read_ids) == 12
    assert 2 <= dms.control.peak_concurrency(DEALER) <= 3


def test_lines_of_many_orders_are_read_by_whole_pages(dms: Dms) -> None:
    wanted = sorted(ALL_OPEN)
    reading = dms.api().lines_of(wanted)
    assert reading.read_ids == ALL_OPEN
    assert len(reading.records) == 2 * ORDERS
    assert dms.control.requests(DEALER, "order_line") <= 10


def test_dealer_that_is_suddenly_empty_is_empty_and_complete(dms: Dms) -> None:
    api = dms.api()
    seen = look(api)
    dms.control.set_fault("empty", endpoint="order")
    empty = look(api)
    assert (empty.open_count, empty.complete) == (0, True)
    assert empty.digest != seen.digest


@pytest.mark.parametrize("to", ["object", "list", "null", "boolean"])
def test_id_of_another_type_never_means_not_found(dms: Dms, to: str) -> None:
    dms.control.set_fault("field_type", endpoint="order", field="order_id", to=to)
    reading = dms.api().by_ids("order", ["5", "6"])
    assert reading.not_found == frozenset()
    assert reading.read_ids == frozenset()


def test_ids_that_are_missing_on_some_rows_keep_the_rows(dms: Dms) -> None:
    dms.control.set_fault("field_missing", endpoint="order", field="order_id", rows=2, page=1)
    reading = dms.api().open_orders()
    assert len(reading.records) == ORDERS
    assert sum(record.key is None for record in reading.records) == 2


def test_doctor_finds_every_name_right_on_the_sandbox(dms: Dms) -> None:
    dms.control.put(DEALER, "vehicle", {"vehicle_id": 7002})
    dms.control.put(DEALER, "relation", {"relation_id": 3001})
    dms.control.put(DEALER, "relation", {"relation_id": 3002})
    dms.control.put(DEALER, "order", {"order_id": 1, "is_invoiced": 1, "order_type": 2})
    checks = doctor_checks(dms.api())
    assert [check for check in checks if check.ok is False] == []
    unjudged = {check.name for check in checks if check.ok is None}
    assert unjudged == {"vehicle page=2", "relation page=2"}


def test_doctor_says_what_does_not_hold(dms: Dms) -> None:
    dms.control.set_fault("field_missing", endpoint="order", field="milometer")
    dms.control.set_switches(last_modified="absent")
    checks = {check.name: check for check in doctor_checks(dms.api())}
    assert checks["order.milometer"].ok is False
    assert checks["order.last_modified"].ok is None
    assert checks["GET relation"].ok is True
    assert checks["relation.postcode"].ok is None
    assert checks["relation.postcode"].detail == "no row to judge by"
