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

from autoflex_pipeline_tests.unit.claire.delivering import LOCATION, Bench, bench

IS_FULL = os.environ.get("AMBIGUOUS") == "full"
THOUSAND = 1_000
TIMES_IN_A_THOUSAND = 20
HANGS = 30
PATIENT, IMPATIENT = 10.0, 0.8
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


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with bench(tmp_path, monkeypatch) as running:
        running.deadline_seconds = PATIENT
        yield running


def each(answers: dict[str, dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("answer", answers.values(), ids=answers.keys())


def imports(run: Bench, number: str) -> list[dict[str, Any]]:
    """What Claire received for the appointment, as it logged it."""
    return [each for each in run.claire.service.store.request_log(0, 100_000) if each["dms_nr"] == number]


def check_one_effect_each(run: Bench, numbers: list[str]) -> None:
    effects = Counter(effect["dms_nr"] for effect in run.effects())
    assert effects == dict.fromkeys(numbers, 1)
    keys = Counter(effect["idempotency_key"] for effect in run.effects())
    assert keys.most_common(1)[0][1] == 1
    assert run.numbers() == sorted(numbers)


def check_the_next_run_sends_nothing(run: Bench) -> None:
    before = run.requests()
    delivery = run.deliver()
    assert (delivery.error, run.requests()) == (None, before)


@each(ANSWERS)
def test_one_document_whose_first_answer_is_spoilt_is_there_once_after_the_run(
    run: Bench, answer: dict[str, Any]
) -> None:
    run.put("1", dms_notes="A")
    run.faults(answer | {"times": 1})
    delivery = run.deliver()
    assert (delivery.error, delivery.counts["created"], delivery.retries) == (None, 1, 1)
    assert run.held("1")["dms_notes"] == "A"
    assert len({each["idempotency_key"] for each in imports(run, "1")}) == 1, "both requests have one key"
    check_one_effect_each(run, ["1"])
    check_the_next_run_sends_nothing(run)


@each(ANSWERS)
def test_one_document_without_a_good_answer_all_run_long_is_failed_and_there_once_after_the_next(
    run: Bench, answer: dict[str, Any]
) -> None:
    run.deadline_seconds = IMPATIENT
    run.put("1", dms_notes="A")
    run.faults(answer)
    assert run.deliver().counts["failed"] == 1
    run.faults()
    run.deadline_seconds = PATIENT
    assert run.deliver().counts["created"] == 1
    assert len({each["idempotency_key"] for each in imports(run, "1")}) == 1
    check_one_effect_each(run, ["1"])
    check_the_next_run_sends_nothing(run)


@each(ANSWERS)
def test_a_document_that_changes_while_its_answer_is_missing_ends_as_its_newest_version(
    run: Bench, answer: dict[str, Any]
) -> None:
    run.put("1", dms_notes="A")
    run.deadline_seconds = IMPATIENT
    run.faults(answer)
    run.deliver()
    run.faults()
    run.deadline_seconds = PATIENT
    run.put("1", dms_notes="B")
    assert run.deliver().error is None
    assert run.held("1")["dms_notes"] == "B"
    had_effect = answer in AFTER_THE_EFFECT.values()
    assert len(run.effects("1")) == (2 if had_effect else 1)
    assert len({effect["idempotency_key"] for effect in run.effects("1")}) == len(run.effects("1"))
    check_the_next_run_sends_nothing(run)


def test_a_thousand_documents_with_every_such_answer_among_them_are_there_once(run: Bench) -> None:
    """And the two that Claire refuses, 409 and 422, are refused with its words and stop none of the others."""
    run.put("77", "78")
    assert run.deliver().counts["created"] == 2
    found = run.claire.service.store.find(LOCATION, "77")
    assert found is not None
    run.claire.service.move(found, "Control started", force=True)
    numbers = run.put_many(THOUSAND)
    run.put("77", is_canceled=True)
    run.put("78", dms_mileage=9_000_000)
    spoilt = dict(zip(numbers[400:], ANSWERS, strict=False))
    run.faults(*(ANSWERS[name] | {"dms_nr": number, "times": 1} for number, name in spoilt.items()))
    delivery = run.deliver()
    assert (delivery.error, delivery.counts["created"], delivery.counts["rejected"]) == (None, THOUSAND, 2)
    assert [hit.hits for hit in run.claire.service.faults.all()] == [1] * len(ANSWERS)
    messages = dict(refusals(run))
    assert "work has started" in messages["77"]
    assert "dms_mileage" in messages["78"]
    check_one_effect_each(run, [*numbers, "77", "78"])
    check_the_next_run_sends_nothing(run)


@pytest.mark.skipif(not IS_FULL, reason="the full form: make ambiguous")
@each(ANSWERS)
def test_each_such_answer_many_times_in_the_middle_of_a_thousand(run: Bench, answer: dict[str, Any]) -> None:
    numbers = run.put_many(THOUSAND)
    run.faults(answer | {"after": 400, "times": TIMES_IN_A_THOUSAND})
    runs = 1
    while run.deliver().counts["failed"] and runs < 4:
        runs += 1
    check_one_effect_each(run, numbers)
    check_the_next_run_sends_nothing(run)


def refusals(run: Bench) -> list[tuple[str, str]]:
    with run.warehouse.open() as connection:
        return connection.execute("SELECT dms_number, message FROM delivery WHERE result = 'rejected'").fetchall()
