"""A Claire that is down, and a slow one: few probes, no run held open, nothing piled up, all caught up in order."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from autoflex_pipeline.claire.delivery import SENT_TOGETHER, STILL_ON_THEIR_WAY
from autoflex_pipeline.claire.gate import FAILURES_TO_OPEN, PROBES_TO_GIVE_UP, Gate
from autoflex_pipeline.state.outbox import intent
from autoflex_pipeline_tests.soak import resident_mb
from autoflex_pipeline_tests.unit.claire.delivering import Bench, bench
from autoflex_pipeline_tests.world import JANSEN, World, load

DOWN = {"kind": "status_before", "status": 503}
SILENT = {"kind": "timeout_before", "seconds": 30}
LONGEST_RUN_IN_DEADLINES = 20
"""A document takes one deadline, and its last try half of one more; ten to open the breaker take two rounds of
documents; the pauses before the probes (1, 2, 4 and 8 twentieths) take less than one, the four probes two. That is some
six deadlines in a row, and the rest is for a slow machine. Without a breaker, ``MANY`` documents take 50."""
MANY = 400
SLOW_DOCUMENTS = int(os.environ.get("SLOW_DOCUMENTS", "700"))
SLOW_MS = 30
MANY_MB = 150
"""Several times what 700 documents take (docs/reliability.md), as a bound on what piles up."""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with bench(tmp_path, monkeypatch) as running:
        yield running


def test_a_claire_that_is_down_for_an_hour_costs_a_few_probes_and_is_caught_up_with_the_newest_versions(
    run: Bench,
) -> None:
    """Regression: every minute's run sent ten documents and more, for two minutes each, all hour long.

    The minutes are the schedule's: a run when something changed or is due, as ``outlook`` decides.
    """
    numbers = [str(number) for number in range(1, 13)]
    run.put(*numbers, dms_notes="before")
    assert run.deliver(patient=True).counts["created"] == 12
    run.deadline_seconds = 1.0
    run.faults(DOWN)
    before, runs, due = run.requests(), 0, run.now
    for minute in range(60):
        changes = minute % 10 == 0
        if changes:
            run.put(*numbers[: 10 - minute // 10], dms_notes=f"minute {minute}")
        if changes or run.now >= due:
            delivery = run.deliver(patient=True)
            assert (delivery.error_kind, delivery.counts["updated"]) == ("transport", 0)
            assert delivery.retry_at is not None
            runs, due = runs + 1, delivery.retry_at
        run.later(minutes=1)
    probes = run.requests() - before
    print(f"an hour without Claire: {runs} runs, {probes} requests")
    assert probes <= 40
    assert due - run.now <= timedelta(minutes=5), "when it is back, it is known soon"
    run.faults()
    run.deadline_seconds = 10
    run.now = due
    delivery = run.deliver(patient=True)
    assert (delivery.error, delivery.counts["updated"], delivery.counts["pending"]) == (None, 10, 0)
    assert [run.held(number)["dms_notes"] for number in numbers] == [
        f"minute {min(50, 10 * (10 - int(number)))}" if int(number) <= 10 else "before" for number in numbers
    ]
    assert all(len(run.effects(number)) == 2 for number in numbers[:10]), "of an hour's versions the newest went"
    requests = run.requests()
    assert run.deliver(patient=True).error is None
    assert run.requests() == requests


def test_todays_appointments_go_first(run: Bench) -> None:
    today = run.now.date()
    days = {"1": -3, "2": 5, "3": 0, "4": 1, "5": -1}
    for number, days_ahead in days.items():
        run.put(number, appointment_date=today + timedelta(days=days_ahead))
    run.max_concurrency = 1
    assert run.deliver().counts["created"] == len(days)
    assert [effect["dms_nr"] for effect in run.effects()] == ["3", "4", "2", "5", "1"]


def test_after_an_outage_the_most_urgent_go_first_tried_before_or_not(run: Bench) -> None:
    today = run.now.date()
    numbers = [f"{number:02}" for number in range(1, 31)]
    for days_ahead, number in enumerate(numbers):
        run.put(number, appointment_date=today + timedelta(days=days_ahead))
    run.deadline_seconds = 1.0
    run.faults(DOWN)
    failed = run.deliver().counts["failed"]
    assert 1 <= failed < 30
    run.faults()
    run.deadline_seconds, run.max_concurrency = 10, 1
    assert run.deliver().counts["created"] == 30
    went = [effect["dms_nr"] for effect in run.effects()]
    probe = numbers[failed]
    assert went == [probe, *(number for number in numbers if number != probe)]


def test_a_person_does_not_wait_for_the_next_try_and_spends_one_request(run: Bench) -> None:
    run.put("1", "2", "3")
    run.deadline_seconds = 1.0
    run.faults(DOWN)
    run.deliver()
    before = run.requests()
    assert run.deliver(patient=True).error_kind == "transport"
    assert run.requests() == before, "the schedule's runs wait for the next try"
    assert run.deliver().error_kind == "transport"
    assert run.requests() == before + 1
    run.faults()
    run.deadline_seconds = 10
    assert run.deliver().counts["created"] == 3


def test_a_document_that_fails_by_itself_costs_one_request_a_run_and_stops_no_other(run: Bench) -> None:
    """Regression: it was tried for its whole deadline in every run, so that each run took two minutes."""
    run.put("1", "2")
    run.deadline_seconds = 1.0
    run.faults({"kind": "status_before", "status": 500, "dms_nr": "1"})
    delivery = run.deliver()
    assert (delivery.error, delivery.counts["failed"], delivery.counts["created"]) == (None, 1, 1)
    before = run.requests()
    assert run.deliver(patient=True).retry_at is not None, "by itself it is not tried every minute"
    assert run.requests() == before + 1
    run.put("3")
    run.deadline_seconds = 60
    delivery = run.deliver(patient=True)
    assert (delivery.error, delivery.counts["failed"], delivery.counts["created"]) == (None, 1, 1)
    assert run.requests() == before + 3, "another document does not wait for it"


def test_many_documents_that_fail_by_themselves_keep_no_other_from_being_sent(run: Bench) -> None:
    """Regression: with five of them Claire counted as down, and a new appointment waited for up to five minutes."""
    failing = [str(number) for number in range(1, 7)]
    run.put(*failing, "good")
    run.deadline_seconds = 1.0
    run.faults(*({"kind": "status_before", "status": 500, "dms_nr": number} for number in failing))
    assert run.deliver(patient=True).counts["created"] == 1
    for number in ("7", "8", "9"):
        run.later(minutes=1)
        assert run.deliver(patient=True).counts["failed"] == 6, "nothing but what fails"
        run.put(number)
        before = run.requests()
        delivery = run.deliver(patient=True)
        assert (delivery.error, delivery.counts["created"], delivery.counts["failed"]) == (None, 1, 6)
        assert run.requests() == before + 7, "one request each"


def test_a_dealer_whose_own_documents_fail_does_not_keep_another_from_claire(world: World) -> None:
    for dealer_id in ("garage-jansen", "autobedrijf-devries"):
        load(world, dealer_id, orders=1)
    world.claire.set_fault("status_before", status=500, location="101")
    world.tick(publish=False)
    assert world.tick(publish=False)["autobedrijf-devries"]["ok"]
    assert len(world.claire.appointments("202")) == 1


def test_while_claire_is_down_the_schedule_goes_on_staging_and_tries_again_when_it_is_due(world: World) -> None:
    load(world, JANSEN, orders=1)
    assert world.tick(publish=False)[JANSEN]["ok"]
    world.configure(claire={"deadline_seconds": 1})
    world.restart()
    world.claire.set_fault("status_before", status=503)
    world.autoflex.change(JANSEN, "order", 50001, notes="een")
    world.tick(publish=False, patient=True)
    assert not world.look()[JANSEN].has_work, "nothing changed, and the next try is not due"
    imports = world.imports()
    world.autoflex.change(JANSEN, "order", 50001, notes="twee")
    assert world.look()[JANSEN].has_work
    summary = world.tick(publish=False, patient=True)[JANSEN]
    assert (world.imports(), summary["ok"]) == (imports, False)
    assert "Claire has not answered since" in summary["error"]
    assert world.query("SELECT dms_notes FROM appointment WHERE dms_number = '50001'") == [("twee",)]
    world.claire.clear_faults()
    world.configure()
    world.restart()
    world.pass_time(minutes=1)
    assert world.look()[JANSEN].reason == "deliveries left by a Claire that did not answer"
    assert world.tick(publish=False, patient=True)[JANSEN]["ok"]
    held = world.held("50001")
    assert held is not None
    assert held["dms_notes"] == "twee"


def test_nobody_waits_any_longer_after_some_probes_in_vain() -> None:
    gate = Gate(first_pause=0.001, longest_pause=0.01)
    for _ in range(FAILURES_TO_OPEN):
        gate.failed()
    far = time.monotonic() + 3_600
    for _ in range(PROBES_TO_GIVE_UP):
        assert gate.wait(far)
        gate.failed()
    assert gate.has_given_up
    assert not gate.wait(far)
    gate.sleep(3_600)
    assert gate.wait(far, is_probe=True), "the next run finds out whether Claire is back"
    gate.succeeded()
    assert gate.wait(far)


def test_a_claire_that_is_silent_for_an_hour_holds_no_run_open(run: Bench) -> None:
    """It takes what is sent and answers nothing, so that each request lasts until it is given up."""
    run.deadline_seconds = 1.0
    numbers = run.put_many(MANY)
    run.faults(SILENT)
    seconds, requests, due = [], [], run.now
    for _ in range(60):
        if run.now >= due:
            before, started = run.requests(), time.monotonic()
            delivery = run.deliver(patient=True)
            seconds.append(time.monotonic() - started)
            requests.append(run.requests() - before)
            assert (delivery.error_kind, delivery.counts["created"]) == ("transport", 0)
            assert delivery.retry_at is not None
            due = delivery.retry_at
        run.later(minutes=1)
    longest = max(seconds)
    print(
        f"an hour of silence, {MANY} documents: {len(seconds)} runs, {sum(requests)} requests, at most {longest:.1f} s"
    )
    assert longest < LONGEST_RUN_IN_DEADLINES * run.deadline_seconds
    assert requests[0] <= FAILURES_TO_OPEN + run.max_concurrency - 1 + PROBES_TO_GIVE_UP
    assert set(requests[1:]) == {1}, "a run during the outage asks once"
    run.faults()
    run.deadline_seconds, run.now = 60, due
    assert run.deliver(patient=True).counts["created"] == MANY
    assert sorted(effect["dms_nr"] for effect in run.effects()) == numbers


def test_a_slow_claire_has_a_bounded_number_of_documents_on_their_way(run: Bench) -> None:
    """The memory is printed for docs/reliability.md, SLOW_DOCUMENTS=n tries it with more; the number bounds it."""
    run.put_many(SLOW_DOCUMENTS)
    run.deadline_seconds = 60
    run.claire.service.latency_ms = SLOW_MS
    before = resident_mb()
    with watched(run) as seen:
        assert run.deliver().counts["created"] == SLOW_DOCUMENTS
    most, memory = max(number for number, _ in seen), max(megabytes for _, megabytes in seen) - before
    print(f"{SLOW_DOCUMENTS} documents: at most {most} without an answer at once, {memory:.0f} MB more than before")
    assert most <= SENT_TOGETHER + STILL_ON_THEIR_WAY
    assert memory < MANY_MB


@contextmanager
def watched(run: Bench) -> Iterator[list[tuple[int, float]]]:
    """The number of intents without an answer, and the memory, looked at again and again during the block."""
    seen = [(0, 0.0)]
    over = threading.Event()
    query = select(func.count()).select_from(intent).where(intent.c.answered_at.is_(None))

    def watch() -> None:
        while not over.wait(0.05):
            with run.state.begin() as connection:
                seen.append((connection.scalar(query) or 0, resident_mb()))

    thread = threading.Thread(target=watch, name="watch")
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
