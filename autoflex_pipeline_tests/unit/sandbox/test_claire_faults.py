from __future__ import annotations

from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from autoflex_pipeline.sandbox.control import ClaireControl
from autoflex_pipeline.sandbox.server import running_claire
from autoflex_pipeline_tests.unit.sandbox.conftest import KEYS, Importer


def test_429_with_retry_after_in_seconds_or_as_a_date(importer: Importer, desk: ClaireControl) -> None:
    desk.set_fault("rate_limited", retry_after=2, times=1)
    desk.set_fault("rate_limited", retry_after=2, retry_after_as_date=True, times=1)
    seconds, dated = importer.post(), importer.post()
    assert (seconds.status_code, seconds.headers["Retry-After"]) == (429, "2")
    assert parsedate_to_datetime(dated.headers["Retry-After"]).tzinfo is not None
    assert importer.post().status_code == 201


@pytest.mark.parametrize("kind", ["status_before", "html_before", "unauthorized"])
def test_faults_before_the_effect_leave_nothing(importer: Importer, desk: ClaireControl, kind: str) -> None:
    desk.set_fault(kind, times=1)
    assert "result" not in importer.post().text
    assert desk.counts() == {"appointments": 0, "requests": 1, "imports": 1, "effects": 0}


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "truncated"])
def test_broken_connections(importer: Importer, desk: ClaireControl, kind: str) -> None:
    desk.set_fault(kind, times=1)
    with pytest.raises(httpx.TransportError):
        importer.post()
    assert desk.counts()["effects"] == (0 if kind == "reset_before" else 1)


@pytest.mark.parametrize("kind", ["status_after", "reset_after", "truncated", "half_json", "html", "timeout_after"])
def test_after_the_effect_a_retry_gets_the_first_answer_and_makes_no_second_effect(
    importer: Importer, desk: ClaireControl, kind: str
) -> None:
    desk.set_fault(kind, times=1, seconds=0.05)
    try:
        spoilt = importer.post(idempotency_key="k").text
    except httpx.TransportError:
        spoilt = ""
    assert "New entry" not in spoilt
    again = importer.post(idempotency_key="k")
    assert (again.status_code, again.json()["result"]) == (201, "created")
    assert [entry["outcome"] for entry in desk.log()] == ["created", "repeated"]
    assert len(desk.effects("101", "50012")) == 1


def test_a_fault_hits_one_appointment_or_location_only(importer: Importer, desk: ClaireControl) -> None:
    desk.set_fault("status_before", dms_nr="1", status=500)
    desk.set_fault("status_before", location="103", status=502)
    assert importer.post(dms_nr="1").status_code == 500
    assert importer.post(dms_nr="2").status_code == 201
    assert importer.post(key="claire-key-2", location_id="103").status_code == 502
    assert importer.post(key="claire-key-2", location_id="102").status_code == 201
    assert [fault["hits"] for fault in desk.faults()] == [1, 1]


def test_401_from_now_on_until_cleared(importer: Importer, desk: ClaireControl) -> None:
    importer.post()
    desk.set_fault("unauthorized")
    assert [importer.post().status_code for _ in range(2)] == [401, 401]
    assert importer.get("list").status_code == 401
    desk.clear_faults()
    assert importer.post().status_code == 200


def test_slow_answers(importer: Importer, desk: ClaireControl) -> None:
    desk.set_fault("slow", latency_ms=120, times=1)
    assert importer.post().elapsed.total_seconds() >= 0.12


def test_an_answer_that_drips_comes_byte_by_byte_after_the_effect(importer: Importer, desk: ClaireControl) -> None:
    desk.set_fault("drip", seconds=0.001, times=1)
    answer = importer.post()
    assert answer.json()["result"] == "created"
    assert answer.elapsed.total_seconds() >= 0.001 * len(answer.content)
    assert len(desk.effects()) == 1


def test_everything_survives_a_restart(tmp_path: Path, client: httpx.Client) -> None:
    with running_claire(tmp_path, KEYS) as server, ClaireControl(server.control_url) as desk:
        first = Importer(client, server.claire_base_url).post(idempotency_key="k", wo_nr="1").json()
        desk.set_status("101", "50012", "Calculating")
    with running_claire(tmp_path, KEYS) as server, ClaireControl(server.control_url) as desk:
        assert Importer(client, server.claire_base_url).post(idempotency_key="k", wo_nr="1").json() == first
        held = desk.appointment("101", "50012")
        assert held is not None
        assert held["status"] == "Calculating"
        assert [entry["outcome"] for entry in desk.log()] == ["created", "repeated"]
        assert len(desk.effects()) == 1
    assert (tmp_path / "claire.sqlite").stat().st_mode & 0o777 == 0o600
    assert b"claire-key-1" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
