"""When sending ends before all is sent: no answer, a fault of configuration, a run that breaks off."""

from __future__ import annotations

import threading

from autoflex_pipeline_tests.unit.claire.bench import Bench, outcome


def test_a_fault_of_configuration_leaves_it_pending_and_nothing_more_is_asked(bench: Bench) -> None:
    bench.claire.outcomes["7"] = outcome("pending")
    bench.claire.before_answer = lambda stop: setattr(stop, "reason", "Claire answered 403")
    bench.send(bench.intent("7"))
    bench.send(bench.intent("8"))
    assert bench.sender.fault == "Claire answered 403"
    assert bench.sender.is_stopped
    assert bench.claire.imported == ["7"]
    assert bench.dispositions() == dict.fromkeys("78", ("pending", "configuration", "Claire answered 403"))
    assert bench.ends() == {"7": None, "8": "withdrawn"}


def test_a_fault_of_the_whole_connection_counts_for_each_dealer(bench: Bench) -> None:
    assert (bench.sender.fault, bench.sender.is_stopped) == (None, False)
    bench.claire.gate.stop("Claire answered 401")
    assert (bench.sender.fault, bench.sender.is_stopped) == ("Claire answered 401", True)


def test_a_probe_is_one_request_and_in_vain_ends_the_run(bench: Bench) -> None:
    bench.claire.outcomes["7"] = outcome("failed")
    bench.sender.probe([bench.intent("7")])
    assert bench.claire.asked == [("import", "7", True)]
    assert bench.sender.tally.results == {"7": "failed"}
    assert bench.sender.tally.given_up
    assert bench.sender.is_stopped
    assert bench.sender.is_without_answer
    bench.send(bench.intent("8"))
    assert bench.claire.imported == ["7"]
    assert bench.dispositions()["8"] == ("pending", "transport", None)


def test_a_probe_that_is_answered_lets_the_others_go(bench: Bench) -> None:
    bench.sender.probe([bench.intent("7")])
    bench.send(bench.intent("8"))
    assert bench.claire.imported == ["7", "8"]
    assert not bench.sender.tally.given_up


def test_without_an_answer_while_the_circuit_is_open_no_more_is_tried(bench: Bench) -> None:
    bench.claire.outcomes["7"] = outcome("failed")
    bench.send(bench.intent("7"))
    assert not bench.sender.tally.given_up
    for _ in range(10):
        bench.claire.gate.failed()
    bench.send(bench.intent("8"))
    assert not bench.sender.tally.given_up, "it was answered"
    bench.send(bench.intent("7"))
    assert bench.sender.tally.given_up


def test_five_without_an_answer_in_a_row_end_the_run(bench: Bench) -> None:
    bench.claire.outcomes = {number: outcome("failed") for number in "12345"}
    for number in "1234":
        bench.send(bench.intent(number))
    bench.send(bench.intent("9"))
    for number in "1234":
        bench.send(bench.intent(number))
    assert not bench.sender.is_stopped
    bench.send(bench.intent("5"))
    assert bench.sender.tally.given_up
    assert bench.sender.is_stopped
    assert not bench.sender.is_without_answer, "one was answered"


def test_claire_was_not_reached_when_nothing_had_an_answer(bench: Bench) -> None:
    assert not bench.sender.is_without_answer, "nothing was sent"
    bench.claire.outcomes["7"] = outcome("failed")
    bench.send(bench.intent("7"))
    assert bench.sender.is_without_answer
    bench.claire.outcomes["8"] = outcome("rejected")
    bench.send(bench.intent("8"))
    assert not bench.sender.is_without_answer, "a refusal is an answer"


def test_a_fault_of_configuration_is_not_claire_that_does_not_answer(bench: Bench) -> None:
    bench.claire.outcomes["7"] = outcome("failed")
    bench.send(bench.intent("7"))
    bench.sender.stop.reason = "Claire answered 403"
    assert not bench.sender.is_without_answer


def test_a_run_that_breaks_off_begins_nothing_more(bench: Bench) -> None:
    go_on = threading.Event()
    bench.claire.before_answer = lambda stop: go_on.wait(10)
    bench.sender.start([bench.intent(str(number)) for number in range(10)])
    while len(bench.claire.asked) < 4:
        go_on.wait(0.01)
    bench.sender.abandon()
    go_on.set()
    bench.pool.shutdown()
    assert len(bench.claire.asked) == 4
    assert sum(future.cancelled() for future in bench.sender._futures) == 6
    assert bench.sender.fault == "the run was broken off"


def test_a_run_that_breaks_off_for_a_fault_keeps_its_reason(bench: Bench) -> None:
    bench.sender.stop.reason = "Claire answered 403"
    bench.sender.abandon()
    assert bench.sender.fault == "Claire answered 403"
