"""After a restore: Claire's own list takes the place of what is remembered, where the two differ."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoflex_pipeline.claire import comparing
from autoflex_pipeline.claire.client import ClaireConnections, ClaireUnreachableError
from autoflex_pipeline.state import outbox
from autoflex_pipeline.state.marks import RESTORED, set_mark
from autoflex_pipeline_tests.unit.claire.delivering import DEALER, LOCATION, Bench, bench


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with bench(tmp_path, monkeypatch) as running:
        yield running


def compare(run: Bench) -> int:
    with ClaireConnections(run.settings) as connections:
        return comparing.compare(run.dealer, connections.get(run.dealer), run.state, now=run.now)


def remembered(run: Bench) -> dict[str, dict[str, Any]]:
    with run.state.begin() as state:
        return outbox.acknowledged_rows(state, DEALER, LOCATION, ["1", "2"])


def go_back_to(run: Bench, rows: dict[str, dict[str, Any]]) -> None:
    """The store as it was when it remembered ``rows``, put back from a backup."""
    with run.state.begin() as state:
        state.exec_driver_sql("DELETE FROM acknowledged")
        state.exec_driver_sql("DELETE FROM intent WHERE intent_number > 1")
        outbox.acknowledge(state, DEALER, LOCATION, list(rows.values()))
        set_mark(state, RESTORED, outbox.renew_origin(state))


def imports(run: Bench) -> int:
    return sum(entry["endpoint"] == "import" for entry in run.claire.service.store.request_log(0, 100_000))


def test_what_was_delivered_is_listed_as_it_is_remembered_over_several_pages_and_beside_lines_of_staff(
    run: Bench,
) -> None:
    run.put(*(str(number) for number in range(1, 251)))
    run.deliver()
    found = run.claire.service.store.find(LOCATION, "1")
    assert found is not None
    run.claire.service.add_staff_line(found, "Wassen", "10.00")
    assert compare(run) == 0
    run.put("1", dms_notes=None, dms_mileage=None, contractor_dms_number=None)
    run.deliver()
    assert compare(run) == 0


def test_a_newer_document_in_claire_is_neither_sent_again_nor_taken_for_the_older_one(run: Bench) -> None:
    run.put("1", "2", dms_notes="eerste")
    run.deliver()
    before = remembered(run)
    run.put("1", "2", dms_notes="tweede")
    run.deliver()
    go_back_to(run, before)
    sent = imports(run)
    run.put("2", dms_notes="eerste")
    assert run.deliver().counts["updated"] == 1
    assert imports(run) == sent + 1
    assert (run.held("1")["dms_notes"], run.held("2")["dms_notes"]) == ("tweede", "eerste")
    assert run.deliver().counts["updated"] == 0
    assert imports(run) == sent + 1


def test_what_staff_canceled_is_known_to_be_canceled(run: Bench) -> None:
    run.put("1")
    run.deliver()
    found = run.claire.service.store.find(LOCATION, "1")
    assert found is not None
    assert run.claire.service.move(found, "Cancelled", force=True)
    with run.state.begin() as state:
        state.exec_driver_sql("DELETE FROM acknowledged")
    assert compare(run) == 1
    assert remembered(run)["1"]["is_canceled"] is True


def test_nothing_is_sent_while_claire_does_not_say_what_it_holds(run: Bench) -> None:
    run.deadline_seconds = 0.5
    run.put("1")
    run.deliver()
    go_back_to(run, remembered(run))
    run.put("1", dms_notes="anders")
    sent = imports(run)
    run.faults({"kind": "status_before", "endpoint": "list", "status": 503})
    delivery = run.deliver()
    assert "after the restore, what Claire holds could not be read" in (delivery.error or "")
    assert imports(run) == sent
    run.faults()
    assert run.deliver().counts["updated"] == 1


def test_a_list_that_turns_in_a_circle_is_given_up(run: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    run.put("1")
    run.deliver()
    monkeypatch.setattr("autoflex_pipeline.claire.client.read_page", lambda _: ([], 1))
    with pytest.raises(ClaireUnreachableError, match="page 1 follows page 1"):
        compare(run)


def test_nothing_is_sent_while_claires_list_has_no_end_and_the_dealer_says_so(
    run: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.put("1")
    run.deliver()
    go_back_to(run, remembered(run))
    run.put("1", dms_notes="anders")
    sent, numbers = imports(run), iter(range(2, 500))
    with monkeypatch.context() as patch:
        patch.setattr("autoflex_pipeline.claire.client.read_page", lambda _: ([], next(numbers)))
        delivery = run.deliver()
    assert delivery.error_kind == "transport"
    assert "goes on without an end" in (delivery.error or "")
    assert imports(run) == sent
    assert run.deliver().counts["updated"] == 1
