"""Answers that leave open what Claire did, for one document and in the middle of a thousand.

Claire's log of effects is the judge: it ends as if each final document had been delivered once. ``make ambiguous``
(AMBIGUOUS=full) also takes each of the answers by itself, many times, in a thousand.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoflex_pipeline.claire.options import DealerDelivery
from autoflex_pipeline_tests.unit.claire.delivering import LOCATION, Bench, bench

IS_FULL = os.environ.get("AMBIGUOUS") == "full"
THOUSAND = 1_000
TIMES_IN_A_THOUSAND = 20
STARTED, WRONG = "14991", "15491"
"""Two numbers that stand in the middle of the thousand from 1000 to 1999: they are sent in the order of text."""
MIDDLE = 300
"""So many documents go before, and so many after, what is in the middle."""
HANGS = 30
PATIENT, IMPATIENT = 8.0, 0.6
"""Deadlines of a document in seconds: one for several tries, and one that a spoilt answer uses up."""

AFTER_THE_EFFECT: dict[str, dict[str, Any]] = {
    "timeout after": {"kind": "timeout_after", "seconds": HANGS},
    "reset after": {"kind": "reset_after"},
    "500 after": {"kind": "status_after", "status": 500},
    "body cut off": {"kind": "truncated"},
    "half of the JSON": {"kind": "half_json"},
    "HTML with 200": {"kind": "html", "status": 200},
    "drip": {"kind": "drip", "seconds": 0.5},
}
BEFORE_THE_EFFECT: dict[str, dict[str, Any]] = {
    "timeout before": {"kind": "timeout_before", "seconds": HANGS},
    "reset before": {"kind": "reset_before"},
    "502 before": {"kind": "status_before", "status": 502},
    "HTML with 200, no effect": {"kind": "html_before", "status": 200},
    "429 with seconds": {"kind": "rate_limited", "retry_after": 0.2},
    "429 with a date": {"kind": "rate_limited", "retry_after": 1, "retry_after_as_date": True},
}
ANSWERS = AFTER_THE_EFFECT | BEFORE_THE_EFFECT


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as patch, bench(tmp_path_factory.mktemp("ambiguous"), patch) as running:
        yield running


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with bench(tmp_path, monkeypatch) as running:
        running.deadline_seconds = PATIENT
        yield running


def each(answers: dict[str, dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("answer", answers.values(), ids=answers.keys())


def deliver(run: Bench, number: str, note: str, *faults: dict[str, Any], deadline_seconds: float) -> DealerDelivery:
    """Deliver the appointment with another note, through the faults."""
    run.deadline_seconds = deadline_seconds
    run.put(number, dms_notes=note)
    run.faults(*faults)
    return run.deliver()


def check_one_effect_each(run: Bench, numbers: list[str]) -> None:
    effects = Counter(effect["dms_nr"] for effect in run.effects())
    assert effects == dict.fromkeys(numbers, 1)
    assert run.numbers() == sorted(numbers)


def check_the_next_run_sends_nothing(run: Bench) -> None:
    before = run.requests()
    delivery = run.deliver()
    assert (delivery.error, run.requests()) == (None, before)


@each(ANSWERS)
def test_one_document_has_one_effect_a_version_however_its_answers_are_spoilt(
    shared: Bench, answer: dict[str, Any]
) -> None:
    """Every answer of a run is spoilt, and the next run sends it again, or a newer version."""
    run, number = shared, str(100 + list(ANSWERS.values()).index(answer))
    assert deliver(run, number, "A", answer, deadline_seconds=IMPATIENT).counts["failed"] == 1
    assert deliver(run, number, "A", deadline_seconds=PATIENT).counts["created"] == 1
    assert notes(run, number) == ["A"]
    assert deliver(run, number, "B", answer, deadline_seconds=IMPATIENT).counts["failed"] == 1
    assert deliver(run, number, "C", deadline_seconds=PATIENT).error is None
    assert notes(run, number) == (["A", "B", "C"] if answer in AFTER_THE_EFFECT.values() else ["A", "C"])
    keys = [effect["idempotency_key"] for effect in run.effects(number)]
    assert len(set(keys)) == len(keys)
    assert run.held(number)["dms_notes"] == "C"


@each(ANSWERS)
def test_one_document_whose_first_answer_is_spoilt_has_one_effect_in_the_same_run(
    shared: Bench, answer: dict[str, Any]
) -> None:
    run, number = shared, str(200 + list(ANSWERS.values()).index(answer))
    assert deliver(run, number, "A", answer | {"times": 1}, deadline_seconds=PATIENT).counts["created"] == 1
    assert [hit.hits for hit in run.claire.service.faults.all()] == [1]
    assert notes(run, number) == ["A"]
    check_the_next_run_sends_nothing(run)


def test_one_document_that_claire_refuses_for_one_field_is_refused_with_its_words_until_it_is_corrected(
    run: Bench,
) -> None:
    run.put("1", dms_mileage=9_000_000)
    assert run.deliver().counts["rejected"] == 1
    (refusal,) = refusals(run)
    assert refusal[0] == "1"
    assert "dms_mileage" in refusal[1]
    assert run.effects() == []
    check_the_next_run_sends_nothing(run)
    run.put("1", dms_mileage=90_000)
    assert run.deliver().counts["created"] == 1
    check_one_effect_each(run, ["1"])


def test_one_document_that_claire_refuses_because_work_has_started_is_refused_with_its_words(run: Bench) -> None:
    run.put("1")
    assert run.deliver().counts["created"] == 1
    start_work(run, "1")
    run.put("1", is_canceled=True)
    assert run.deliver().counts["rejected"] == 1
    ((number, message),) = refusals(run)
    assert (number, run.held("1")["canceled"]) == ("1", False)
    assert "work has started" in message
    check_one_effect_each(run, ["1"])
    check_the_next_run_sends_nothing(run)


def notes(run: Bench, number: str) -> list[str]:
    """The appointment's notes as they became, effect by effect."""
    return [
        change["new"]
        for effect in run.effects(number)
        for change in effect["changes"]
        if change["field"] == "dms_notes"
    ]


def test_a_thousand_documents_with_every_such_answer_among_them_are_there_once(run: Bench) -> None:
    """And the two in the middle that Claire refuses, 409 and 422, are refused with its words and stop no later one."""
    run.put(STARTED, WRONG)
    assert run.deliver().counts["created"] == 2
    start_work(run, STARTED)
    numbers = run.put_many(THOUSAND)
    run.put(STARTED, is_canceled=True)
    run.put(WRONG, dms_mileage=9_000_000)
    spoilt = dict(zip(numbers[400:], ANSWERS, strict=False))
    run.faults(*(ANSWERS[name] | {"dms_nr": number, "times": 1} for number, name in spoilt.items()))
    before = run.requests()
    delivery = run.deliver()
    assert (delivery.error, delivery.counts["created"], delivery.counts["rejected"]) == (None, THOUSAND, 2)
    assert [hit.hits for hit in run.claire.service.faults.all()] == [1] * len(ANSWERS)
    messages = dict(refusals(run))
    assert "work has started" in messages[STARTED]
    assert "dms_mileage" in messages[WRONG]
    asked = first_asked(run, since=before)
    for number in (STARTED, WRONG, *spoilt):
        assert MIDDLE <= asked.index(number) < len(asked) - MIDDLE, f"{number} was not in the middle of the thousand"
    check_one_effect_each(run, [*numbers, STARTED, WRONG])
    check_the_next_run_sends_nothing(run)


def first_asked(run: Bench, since: int) -> list[str]:
    """The appointments in the order in which Claire was first asked to take them, after so many requests."""
    return list(dict.fromkeys(row["dms_nr"] for row in run.claire.service.store.request_log(since, 100_000)))


def start_work(run: Bench, number: str) -> None:
    found = run.claire.service.store.find(LOCATION, number)
    assert found is not None
    run.claire.service.move(found, "Control started", force=True)


@pytest.mark.skipif(not IS_FULL, reason="the full form: make ambiguous")
@each(ANSWERS)
def test_each_such_answer_many_times_in_the_middle_of_a_thousand(run: Bench, answer: dict[str, Any]) -> None:
    numbers = run.put_many(THOUSAND)
    run.faults(answer | {"after": 400, "times": TIMES_IN_A_THOUSAND})
    # After ten in a row without an answer Claire counts as down: the rest waits for a next run, which sends one first.
    for _ in range(TIMES_IN_A_THOUSAND + 1):
        delivery = run.deliver()
        if delivery.error is None and not delivery.counts["failed"]:
            break
    check_one_effect_each(run, numbers)
    check_the_next_run_sends_nothing(run)


def refusals(run: Bench) -> list[tuple[str, str]]:
    with run.warehouse.open() as connection:
        return connection.execute("SELECT dms_number, message FROM delivery WHERE result = 'rejected'").fetchall()
