"""The gate to Claire: the breaker and its probes, the pause that Claire asks for, the stop; in no real time."""

from __future__ import annotations

from threading import Thread

import pytest

from autoflex_pipeline.claire.gate import FAILURES_TO_OPEN, PROBES_TO_GIVE_UP, Gate
from autoflex_pipeline_tests.unit.claire.no_time import Time, no_real_time

FAR = 1_000_000.0


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    return no_real_time(monkeypatch)


@pytest.fixture
def gate(time: Time) -> Gate:
    return Gate(first_pause=1.0, longest_pause=3.0)


def fail(gate: Gate, times: int = 1) -> None:
    for _ in range(times):
        gate.failed()


def told(gate: Gate) -> int:
    """How often those who wait were woken."""
    return gate._changed.told  # type: ignore[attr-defined, no-any-return]


def passes(gate: Gate, time: Time, deadline: float = 0.0) -> bool:
    """Whether somebody passes at once."""
    before = list(time.waits)
    passed = gate.wait(time.now + deadline)
    return passed and time.waits == before


def test_a_new_gate_lets_everybody_pass(gate: Gate, time: Time) -> None:
    assert all(passes(gate, time) for _ in range(20))
    assert (gate.is_open, gate.has_given_up, gate.stopped_because) == (False, False, None)


def test_the_tenth_failure_in_a_row_opens_the_circuit(gate: Gate, time: Time) -> None:
    fail(gate, 9)
    assert not gate.is_open
    assert passes(gate, time)
    fail(gate)
    assert gate.is_open
    assert not passes(gate, time)
    assert FAILURES_TO_OPEN == 10


def test_an_answer_between_them_lets_the_failures_count_anew(gate: Gate) -> None:
    fail(gate, 9)
    gate.succeeded()
    fail(gate, 9)
    assert not gate.is_open
    fail(gate)
    assert gate.is_open


def test_more_failures_of_those_who_were_on_their_way_make_the_pause_no_longer(gate: Gate, time: Time) -> None:
    fail(gate, 10)
    time.now += 0.5
    fail(gate, 5)
    assert gate.wait(FAR)
    assert time.waits == [0.5]


def test_after_the_pause_one_goes_as_a_probe_and_the_others_wait_for_it(gate: Gate, time: Time) -> None:
    fail(gate, 10)
    assert gate.wait(FAR)
    assert time.waits == [1.0]
    time.waits.clear()
    assert not gate.wait(time.now + 7)
    assert time.waits == [7.0], "the whole time: nothing tells when the probe ends"


def test_an_answer_to_the_probe_closes_the_circuit_and_wakes_all(gate: Gate, time: Time) -> None:
    fail(gate, 10)
    gate.wait(FAR)
    woken = told(gate)
    gate.succeeded()
    assert told(gate) == woken + 1
    assert not gate.is_open
    assert passes(gate, time)
    assert passes(gate, time)


def test_those_who_wait_for_the_probe_pass_once_it_was_answered(gate: Gate, time: Time) -> None:
    fail(gate, 10)
    gate.wait(FAR)
    time.meanwhile.append(gate.succeeded)
    assert gate.wait(FAR)


def test_each_probe_in_vain_doubles_the_pause_up_to_the_longest_and_the_fourth_gives_up(gate: Gate, time: Time) -> None:
    fail(gate, 10)
    for _ in range(PROBES_TO_GIVE_UP):
        assert not gate.has_given_up
        assert gate.wait(FAR)
        woken = told(gate)
        fail(gate)
        assert told(gate) == woken + 1
        assert gate.is_open
    assert time.waits == [1.0, 2.0, 3.0, 3.0]
    assert gate.has_given_up
    assert not gate.wait(FAR)
    assert PROBES_TO_GIVE_UP == 4


def test_after_an_answer_the_pauses_and_probes_count_anew(gate: Gate, time: Time) -> None:
    fail(gate, 10)
    for _ in range(3):
        gate.wait(FAR)
        fail(gate)
    gate.wait(FAR)
    gate.succeeded()
    time.waits.clear()
    fail(gate, 10)
    for _ in range(3):
        assert gate.wait(FAR)
        fail(gate)
    assert time.waits == [1.0, 2.0, 3.0]
    assert not gate.has_given_up


def test_those_who_were_on_their_way_are_no_probes(gate: Gate, time: Time) -> None:
    fail(gate, 10)
    assert gate.wait(FAR)
    for _ in range(PROBES_TO_GIVE_UP):
        straggler = Thread(target=gate.failed)
        straggler.start()
        straggler.join()
        assert not gate.wait(time.now + 7), "the probe is still out"
    for _ in range(PROBES_TO_GIVE_UP):
        assert not gate.has_given_up
        fail(gate)
        gate.wait(FAR)
    assert gate.has_given_up


def test_nobody_waits_beyond_the_deadline(gate: Gate, time: Time) -> None:
    fail(gate, 10)
    assert not gate.wait(time.now + 0.4)
    assert time.waits == [pytest.approx(0.4)]
    assert not gate.wait(time.now)
    assert len(time.waits) == 1


def test_at_the_end_of_the_pause_somebody_passes_at_once(gate: Gate, time: Time) -> None:
    fail(gate, 10)
    time.now += 1.0
    assert passes(gate, time)


def test_claire_is_left_alone_as_long_as_it_asked(gate: Gate, time: Time) -> None:
    gate.pause(5)
    gate.pause(2)
    assert gate.wait(FAR)
    assert time.waits == [5.0]
    assert passes(gate, time)
    assert not gate.is_open


def test_a_longer_pause_takes_the_place_of_a_shorter_one(gate: Gate, time: Time) -> None:
    gate.pause(2)
    gate.pause(5)
    assert gate.wait(FAR)
    assert time.waits == [5.0]


def test_a_pause_that_outlasts_the_deadline_lets_nobody_pass(gate: Gate, time: Time) -> None:
    gate.pause(5)
    assert not gate.wait(time.now + 3)
    assert time.waits == [3.0]


def test_of_an_open_circuit_and_a_pause_the_longer_one_counts(gate: Gate, time: Time) -> None:
    fail(gate, 10)
    gate.pause(0.25)
    assert gate.wait(FAR)
    assert sum(time.waits) == 1.0


def test_a_probe_of_the_next_run_needs_only_claires_own_leave(gate: Gate, time: Time) -> None:
    fail(gate, 10)
    assert gate.wait(time.now, is_probe=True)
    for _ in range(4):
        gate.wait(FAR)
        fail(gate)
    assert gate.has_given_up
    assert gate.wait(time.now, is_probe=True)
    time.waits.clear()
    gate.pause(50)
    assert gate.wait(FAR, is_probe=True)
    assert sum(time.waits) == 50.0


def test_a_stop_is_for_good_with_its_first_reason(gate: Gate, time: Time) -> None:
    gate.stop("401")
    gate.stop("403")
    gate.succeeded()
    assert gate.stopped_because == "401"
    assert not gate.wait(FAR)
    assert not gate.wait(FAR, is_probe=True)
    assert time.waits == []


def test_a_stop_wakes_those_who_wait(gate: Gate, time: Time) -> None:
    fail(gate, 10)
    time.meanwhile.append(lambda: gate.stop("401"))
    assert not gate.wait(FAR)
    assert told(gate) == 2


def test_before_the_next_try_one_sleeps_unless_the_connection_stops(gate: Gate, time: Time) -> None:
    gate.sleep(5)
    assert time.waits == [5]
    gate.stop("401")
    gate.sleep(5)
    assert time.waits == [5]


def test_nobody_sleeps_once_it_was_given_up(gate: Gate, time: Time) -> None:
    fail(gate, 10)
    for _ in range(4):
        gate.wait(FAR)
        fail(gate)
    time.waits.clear()
    gate.sleep(5)
    assert time.waits == []
