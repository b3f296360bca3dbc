"""Delivery to a Claire that misbehaves: afterwards it is exact, and each document had one effect."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoflex_pipeline.claire.gate import FAILURES_TO_OPEN, PROBES_TO_GIVE_UP
from autoflex_pipeline.state.locks import dealer_lock
from autoflex_pipeline_tests.unit.claire.delivering import DEALER, KEY, LOCATION, Bench, bench

NUMBERS = tuple(str(number) for number in range(1, 9))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with bench(tmp_path, monkeypatch) as running:
        yield running


PASSING_FAULTS = {
    "503 before the effect": {"kind": "status_before", "status": 503, "times": 4},
    "500 after the effect": {"kind": "status_after", "status": 500, "times": 4},
    "502 before the effect": {"kind": "status_before", "status": 502, "times": 4},
    "408": {"kind": "status_before", "status": 408, "times": 3},
    "reset before the effect": {"kind": "reset_before", "times": 4},
    "reset after the effect": {"kind": "reset_after", "times": 4},
    "silence before the effect": {"kind": "timeout_before", "seconds": 30, "times": 2},
    "silence after the effect": {"kind": "timeout_after", "seconds": 30, "times": 2},
    "a slow drip": {"kind": "drip", "seconds": 0.5, "times": 2},
    "truncated": {"kind": "truncated", "times": 4},
    "half of the JSON": {"kind": "half_json", "times": 4},
    "HTML with 200": {"kind": "html", "status": 200, "times": 4},
    "HTML with 200 before the effect": {"kind": "html_before", "status": 200, "times": 4},
    "429 with seconds": {"kind": "rate_limited", "retry_after": 0.05, "times": 4},
    "429 with a date": {"kind": "rate_limited", "retry_after": 1, "retry_after_as_date": True, "times": 2},
}


@pytest.mark.parametrize("fault", PASSING_FAULTS.values(), ids=PASSING_FAULTS.keys())
def test_a_fault_that_passes_leaves_claire_exact_with_one_effect_a_document(run: Bench, fault: dict[str, Any]) -> None:
    run.put(*NUMBERS)
    run.faults(fault)
    delivery = run.deliver()
    assert (delivery.error, delivery.counts["created"]) == (None, len(NUMBERS))
    assert delivery.retries >= fault["times"]
    assert run.numbers() == sorted(NUMBERS)
    assert sorted(effect["dms_nr"] for effect in run.effects()) == sorted(NUMBERS)
    before = run.requests()
    assert run.deliver().counts["created"] == 0
    assert run.requests() == before


def test_a_claire_that_is_down_stops_the_run_and_the_next_one_completes_it(run: Bench) -> None:
    run.deadline_seconds = 0.6
    run.put(*NUMBERS, *(str(number) for number in range(100, 140)))
    run.faults({"kind": "status_before", "status": 503})
    delivery = run.deliver()
    assert delivery.error_kind == "transport"
    assert delivery.counts["pending"] + delivery.counts["failed"] == 48
    assert run.effects() == []
    assert delivery.retry_at is not None
    run.faults()
    run.deadline_seconds = 10
    assert run.deliver().counts["created"] == 48
    assert len(run.effects()) == 48


def test_a_claire_that_asks_for_no_pause_is_not_hammered(run: Bench) -> None:
    """``Retry-After: 0`` asks for no pause of its own: the usual, growing one is made."""
    run.deadline_seconds = 2
    run.put("1")
    run.faults({"kind": "rate_limited", "retry_after": 0})
    assert run.deliver().counts["failed"] == 1
    assert 2 <= run.requests() <= 40


def test_a_claire_that_is_down_costs_the_breakers_requests_and_not_some_more_for_each_document(run: Bench) -> None:
    """Regression: each thread spent one more deadline on its next document."""
    run.deadline_seconds = 3
    run.put(*(str(number) for number in range(100, 140)))
    run.faults({"kind": "status_before", "status": 503})
    assert run.deliver().error_kind == "transport"
    on_their_way = run.settings.claire.max_concurrency - 1
    assert run.requests() <= FAILURES_TO_OPEN + on_their_way + PROBES_TO_GIVE_UP


def test_a_key_that_is_refused_half_way_stops_at_once_and_the_rest_stays_pending(run: Bench) -> None:
    numbers = [str(number) for number in range(100, 160)]
    run.put(*numbers)
    run.faults({"kind": "unauthorized", "after": 10})
    delivery = run.deliver()
    assert delivery.error_kind == "configuration"
    assert delivery.counts["created"] == 10
    assert delivery.counts["pending"] == 50
    assert run.requests() <= 10 + run.settings.claire.max_concurrency
    run.faults()
    delivery = run.deliver()
    assert (delivery.counts["created"], delivery.counts["pending"], delivery.error) == (50, 0, None)
    assert len(run.effects()) == 60


def test_a_location_outside_the_scope_of_the_key_is_a_fault_of_configuration(run: Bench) -> None:
    run.put(*NUMBERS)
    run.location = "999"
    delivery = run.deliver()
    assert delivery.error_kind == "configuration"
    assert delivery.counts["pending"] == len(NUMBERS)


def test_the_document_that_claire_refuses_does_not_stop_the_others_and_goes_when_it_changes(run: Bench) -> None:
    run.put(*NUMBERS)
    run.faults({"kind": "status_before", "status": 422, "dms_nr": "3"})
    delivery = run.deliver()
    assert (delivery.counts["created"], delivery.counts["rejected"], delivery.error) == (7, 1, None)
    before = run.requests()
    run.faults()
    assert run.deliver().counts["rejected"] == 1
    assert run.requests() == before
    assert run.deliver(numbers=frozenset({"3"}), force=True).counts["created"] == 1
    run.faults({"kind": "status_before", "status": 422, "dms_nr": "4"})
    run.put("4", dms_notes="refused")
    assert run.deliver().counts["rejected"] == 1
    run.faults()
    run.put("4", dms_notes="corrected")
    assert run.deliver().counts == dict.fromkeys(delivery.counts, 0) | {"updated": 1}
    assert run.held("4")["dms_notes"] == "corrected"


def test_what_one_location_refused_is_tried_at_the_location_that_the_dealer_has_next(run: Bench) -> None:
    run.put("1", "2")
    run.faults({"kind": "status_before", "status": 422, "dms_nr": "1"})
    run.location = "102"
    assert run.deliver().counts["rejected"] == 1
    run.location = LOCATION
    delivery = run.deliver()
    assert (delivery.counts["created"], delivery.counts["rejected"]) == (1, 1)
    before = run.requests()
    run.deliver()
    assert run.requests() == before, "refused here too, it is not tried again"
    run.faults()
    run.location = "103"
    assert run.deliver().counts["created"] == 2


def test_a_cancel_after_work_has_started_is_rejected_with_claires_words(run: Bench) -> None:
    run.put("1")
    run.deliver()
    service = run.claire.service
    found = service.store.find(LOCATION, "1")
    assert found is not None
    service.move(found, "Control started", force=True)
    run.put("1", is_canceled=True)
    assert run.deliver().counts["rejected"] == 1
    assert run.held("1")["canceled"] is False


def test_there_and_back_again_are_three_intents_and_three_effects(run: Bench) -> None:
    for note in ("A", "B", "A"):
        run.put("1", dms_notes=note)
        run.deliver()
    assert run.held("1")["dms_notes"] == "A"
    assert len(run.effects("1")) == 3


def test_back_to_the_acknowledged_document_goes_although_equal_while_an_answer_is_missing(run: Bench) -> None:
    run.put("1", dms_notes="A")
    run.deliver()
    run.deadline_seconds = 0.4
    run.put("1", dms_notes="B")
    run.faults({"kind": "reset_after"})
    assert run.deliver().counts["failed"] == 1
    assert run.held("1")["dms_notes"] == "B"
    run.faults()
    run.deadline_seconds = 10
    run.put("1", dms_notes="A")
    assert run.deliver().counts["updated"] == 1
    assert run.held("1")["dms_notes"] == "A"
    before = run.requests()
    run.deliver()
    assert run.requests() == before


def refuse_the_repetition(run: Bench, status: int = 422, *, in_another_run: bool = False) -> None:
    """Claire takes the next document, its answer is lost, and the repetition is refused."""
    refusal = {"kind": "status_before", "status": status, "times": 1}
    if in_another_run:
        run.deadline_seconds = 0.4
        run.faults({"kind": "reset_after"})
        assert run.deliver().counts["failed"] == 1
        run.faults(refusal)
        run.deadline_seconds = 10
    else:
        run.faults({"kind": "reset_after", "times": 1}, refusal | {"after": 1})
    assert run.deliver().counts["rejected"] == 1
    run.faults()


@pytest.mark.parametrize("status", [400, 409, 413, 422])
@pytest.mark.parametrize("in_another_run", [False, True], ids=["the same run", "another run"])
def test_what_claire_took_without_an_answer_and_refused_when_it_was_repeated_is_not_forgotten(
    run: Bench, status: int, in_another_run: bool
) -> None:
    """Found by the histories of seed 17: canceled later, the appointment stayed in Claire as if it were on."""
    run.put("1")
    refuse_the_repetition(run, status, in_another_run=in_another_run)
    before = run.requests()
    assert run.deliver().counts["rejected"] == 1
    assert run.requests() == before, "what was refused is not sent again by itself"
    run.gone("1")
    assert run.deliver().error is None
    assert run.held("1")["canceled"] is True
    assert [effect["result"] for effect in run.effects("1")] == ["created", "updated"]
    before = run.requests()
    run.deliver()
    assert run.requests() == before


def test_back_to_the_acknowledged_document_goes_after_the_repetition_of_another_was_refused(run: Bench) -> None:
    run.put("1", dms_notes="A")
    run.deliver()
    run.put("1", dms_notes="B")
    refuse_the_repetition(run)
    assert run.held("1")["dms_notes"] == "B"
    run.put("1", dms_notes="A")
    assert run.deliver().counts["updated"] == 1
    assert run.held("1")["dms_notes"] == "A"


@pytest.mark.parametrize("status", [422, 503])
def test_what_claire_turns_out_never_to_have_had_is_not_canceled_there_when_it_is_gone(run: Bench, status: int) -> None:
    """It became a canceled appointment that nobody had made."""
    run.put("1", "2")
    of_it = {"dms_nr": "1", "endpoint": "import"}
    run.faults(of_it | {"kind": "reset_before", "times": 1}, of_it | {"kind": "status_before", "status": status})
    run.deadline_seconds = 1
    delivery = run.deliver()
    assert delivery.counts["rejected"] + delivery.counts["failed"] == 1
    run.deadline_seconds = 10
    run.gone("1")
    preview = run.deliver(dry_run=True)
    assert (preview.error, preview.changes, sum(preview.counts.values())) == (None, [], preview.counts["unchanged"])
    delivery = run.deliver()
    assert (delivery.error, sum(delivery.counts.values())) == (None, delivery.counts["unchanged"])
    assert run.numbers() == ["2"]
    before = run.claire.service.store.request_log(0, 100)
    run.deliver()
    assert run.claire.service.store.request_log(0, 100) == before


def test_what_claire_did_not_have_when_it_was_gone_is_made_when_it_comes_back(run: Bench) -> None:
    run.put("1")
    run.faults({"kind": "reset_before", "times": 1}, {"kind": "status_before", "status": 422, "times": 1})
    assert run.deliver().counts["rejected"] == 1
    run.gone("1")
    run.deliver()
    assert run.numbers() == []
    run.back("1")
    assert run.deliver().counts["created"] == 1
    assert run.held("1")["canceled"] is False


def test_whether_claire_has_what_is_gone_is_found_out_later_when_it_does_not_say(run: Bench) -> None:
    run.put("1")
    refuse_the_repetition(run)
    run.gone("1")
    run.deadline_seconds = 0.4
    run.faults({"kind": "status_before", "status": 503, "endpoint": "list"})
    delivery = run.deliver()
    assert (delivery.counts["failed"], run.held("1")["canceled"]) == (1, False)
    run.faults()
    run.deadline_seconds = 10
    assert run.deliver().counts["updated"] == 1
    assert run.held("1")["canceled"] is True


def test_a_refusal_after_claire_asked_to_wait_leaves_nothing_open(run: Bench) -> None:
    """What Claire holds is known: nothing of it is emptied for the sake of what it may have had in between."""
    run.put("1", dms_notes="A")
    run.deliver()
    run.put("1", dms_notes="B")
    run.faults(
        {"kind": "rate_limited", "retry_after": 0.05, "times": 1},
        {"kind": "status_before", "status": 422, "times": 1},
    )
    assert run.deliver().counts["rejected"] == 1
    run.faults()
    run.put("1", dms_notes="A")
    before = run.requests()
    assert run.deliver().counts["rejected"] == 0
    assert run.requests() == before, "Claire has A, and never had another"


def test_what_claire_took_without_an_answer_goes_on_though_it_is_not_owed(run: Bench) -> None:
    """Billed when it was first read, resent by a person: the change after it was never sent."""
    run.put("1", is_billed=True, dms_notes="A")
    run.faults({"kind": "reset_after", "times": 1}, {"kind": "status_before", "status": 422, "times": 1, "after": 1})
    assert run.deliver(numbers=frozenset({"1"}), force=True).counts["rejected"] == 1
    run.faults()
    run.put("1", is_billed=True, dms_notes="B")
    assert run.deliver().counts["updated"] == 1
    assert run.held("1")["dms_notes"] == "B"


def test_resending_what_was_refused_when_it_was_repeated_is_a_new_intent(run: Bench) -> None:
    """With the old key Claire would give the old answer for ever."""
    run.put("1")
    refuse_the_repetition(run)
    keys = {row["idempotency_key"] for row in run.claire.service.store.request_log(0, 100)}
    assert run.deliver(numbers=frozenset({"1"}), force=True).error is None
    assert len({row["idempotency_key"] for row in run.claire.service.store.request_log(0, 100)} - keys) == 1
    assert len(run.effects("1")) == 1


def test_a_failed_document_is_sent_again_byte_for_byte_with_its_key(run: Bench) -> None:
    run.deadline_seconds = 0.4
    run.put("1")
    run.faults({"kind": "reset_after"})
    run.deliver()
    run.faults()
    run.deadline_seconds = 10
    assert run.deliver().counts["created"] == 1
    with sqlite3.connect(run.state.path) as store:
        assert store.execute("SELECT count(*), max(intent_number) FROM intent").fetchone() == (1, 1)
    store.close()
    assert len(run.effects("1")) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
import pytest
from autoflex_pipeline.claire import sending
from autoflex_pipeline_tests.unit.claire import delivering
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.warehouse import Warehouse

class Claire:
    claire_base_url = sys.argv[2]

def die(*_args):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[3] == "before the request":
    sending.Sender.start = die
else:
    sending.Sender._write = die
folder = Path(sys.argv[1])
run = delivering.Bench(folder, Claire(), Warehouse(folder / "w.duckdb"), StateStore(folder / "w.state.sqlite"))
run.deliver()
"""


@pytest.mark.parametrize("moment", ["before the request", "before the answer is written"])
def test_a_run_that_is_killed_costs_no_second_effect_and_holds_no_lock(run: Bench, moment: str) -> None:
    run.put(*NUMBERS)
    arguments = [sys.executable, "-c", KILLED, str(run.folder), run.claire.claire_base_url, moment]
    killed = subprocess.run(arguments, env=os.environ, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    delivery = run.deliver()
    assert delivery.error is None
    assert sum(delivery.counts[name] for name in ("created", "updated", "unchanged")) == len(NUMBERS)
    assert run.numbers() == sorted(NUMBERS)
    assert len(run.effects()) == len(NUMBERS)


def test_a_second_run_for_the_dealer_waits_and_then_says_so(run: Bench) -> None:
    run.put("1")
    with dealer_lock(run.state.path, DEALER):
        delivery = run.deliver()
    assert delivery.error_kind == "busy"
    assert run.effects() == []
    assert run.deliver().counts["created"] == 1


def test_the_key_stands_in_no_file_and_no_message(run: Bench, caplog: pytest.LogCaptureFixture) -> None:
    run.put(*NUMBERS)
    run.faults({"kind": "unauthorized", "after": 3})
    delivery = run.deliver()
    assert KEY not in repr(delivery) + caplog.text
    for file in run.folder.glob("w.*"):
        if file.is_file():
            assert KEY.encode() not in file.read_bytes()
