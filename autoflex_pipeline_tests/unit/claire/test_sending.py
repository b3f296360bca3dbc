"""Sending intents: what came of each is written down, the answers together."""

from __future__ import annotations

import threading
from datetime import timedelta
from queue import SimpleQueue
from typing import Any

import pytest

from autoflex_pipeline.claire import sending
from autoflex_pipeline.claire.client import Attempt, Outcome
from autoflex_pipeline.claire.sending import Sent
from autoflex_pipeline.state import outbox
from autoflex_pipeline.state.marks import PUBLISH_WANTED, mark
from autoflex_pipeline_tests.unit.claire.bench import NOW, PLACE, UNASKED, WILL_HOLD, Bench, outcome


@pytest.mark.parametrize("result", ["created", "updated", "unchanged"])
def test_what_claire_took_is_written_down_and_nothing_stands_in_its_way_any_more(bench: Bench, result: Any) -> None:
    bench.claire.outcomes["7"] = outcome("rejected", message="no")
    bench.send(bench.intent("7"))
    bench.claire.outcomes["7"] = outcome(result, "failed", result)
    tally = bench.send(bench.intent("7"))
    assert bench.dispositions() == {}
    assert bench.ends() == {"7": result}
    with bench.begin() as state:
        row = outbox.acknowledged_rows(state, *PLACE, ["7"])["7"]
        assert mark(state, PUBLISH_WANTED) is True
    assert (row["claire_id"], row["status"], row["held"]) == ("c7", "New entry", WILL_HOLD)
    assert (tally.results, tally.retries) == ({"7": result}, 1)
    assert tally.changes == [{"dms_number": "7", "fields_changed": [], "result": result}]


def test_each_request_is_in_the_ledger(bench: Bench) -> None:
    bench.claire.outcomes["7"] = outcome("created", "failed", "created", message="m")
    bench.send(bench.intent("7", fields_changed="[1]"))
    same = ("jansen", "101", "7", 1, NOW)
    assert bench.attempts() == [
        (*same, "failed", 200, "m", "[1]", "run-1"),
        (*same, "created", 200, "m", "[1]", "run-1"),
    ]


def test_what_claire_refused_is_set_aside_with_its_words(bench: Bench) -> None:
    bench.claire.outcomes["7"] = outcome("rejected", message="price: no number")
    tally = bench.send(bench.intent("7"))
    assert bench.dispositions() == {"7": ("rejected", "refused", "price: no number")}
    assert bench.ends() == {"7": "rejected"}
    assert (tally.results, tally.changes) == ({"7": "rejected"}, [])


def test_what_claire_refused_stays_open_only_when_an_earlier_try_had_no_answer(bench: Bench) -> None:
    bench.claire.outcomes |= {"7": outcome("rejected"), "8": outcome("rejected", "failed", "rejected")}
    bench.claire.outcomes["9"] = outcome("rejected")
    bench.send(bench.intent("7"), bench.intent("8"), bench.intent("9", is_retry=True))
    assert bench.ends() == dict.fromkeys("789", "rejected")
    with bench.begin() as state:
        assert outbox.open_numbers(state, *PLACE) == {"8", "9"}
    assert {number: state for number, (state, _, _) in bench.dispositions().items()} == dict.fromkeys("789", "rejected")


def test_what_claire_did_not_look_at_leaves_nothing_open_when_it_is_refused(bench: Bench) -> None:
    tries = [Attempt(NOW, "failed", status, None) for status in (429, 425)]
    refused = Attempt(NOW, "rejected", 422, None)
    bench.claire.outcomes["7"] = Outcome("rejected", (*tries, refused))
    bench.claire.outcomes["8"] = Outcome("rejected", (Attempt(NOW, "failed", None, None), *tries, refused))
    bench.send(bench.intent("7"), bench.intent("8"))
    with bench.begin() as state:
        assert outbox.open_numbers(state, *PLACE) == {"8"}


def test_what_had_no_answer_stays_open_to_be_sent_again(bench: Bench) -> None:
    bench.claire.outcomes["7"] = outcome("failed", message="no answer within 15 s")
    tally = bench.send(bench.intent("7"))
    assert bench.dispositions() == {"7": ("failed", "transport", "no answer within 15 s")}
    assert bench.ends() == {"7": None}
    assert tally.results == {"7": "failed"}


def test_what_was_not_sent_is_withdrawn_unless_it_may_have_been_sent_before(bench: Bench) -> None:
    bench.claire.outcomes |= {"7": UNASKED, "8": UNASKED}
    bench.send(bench.intent("7"), bench.intent("8", is_retry=True))
    assert bench.ends() == {"7": "withdrawn", "8": None}
    assert bench.dispositions() == dict.fromkeys("78", ("pending", "transport", None))
    bench.claire.outcomes["9"] = outcome("pending")
    bench.send(bench.intent("9"))
    assert bench.ends()["9"] is None


def test_since_when_stays_for_the_same_document_in_the_same_state(bench: Bench) -> None:
    bench.claire.outcomes["7"] = outcome("failed")
    bench.send(bench.intent("7"))
    bench.now += timedelta(hours=1)
    bench.send(bench.intent("7"))
    assert bench.since() == NOW
    bench.send(bench.intent("7", "another document"))
    assert bench.since() == NOW + timedelta(hours=1)
    bench.now += timedelta(hours=1)
    bench.claire.outcomes["7"] = outcome("rejected")
    bench.send(bench.intent("7", "another document"))
    assert bench.since() == NOW + timedelta(hours=2)


def test_no_more_changes_are_kept_than_a_summary_can_show(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "MAX_CHANGES_KEPT", 2)
    tally = bench.send(*(bench.intent(number) for number in "1234"))
    assert (len(tally.changes), len(tally.results)) == (2, 4)


def test_requests_beyond_the_first_of_a_document_are_counted(bench: Bench) -> None:
    bench.claire.outcomes = {
        "1": outcome("created", "failed", "failed", "created"),
        "2": UNASKED,
        "3": outcome("created"),
    }
    assert bench.send(*(bench.intent(number) for number in "123")).retries == 2


def test_answers_that_come_together_share_a_commit(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "GATHER_SECONDS", 10)
    bench.send(*(bench.intent(str(number)) for number in range(20)))
    assert bench.commits == 1


def test_answers_are_gathered_for_a_moment_and_no_longer_than_there_are_some_left() -> None:
    done: SimpleQueue[Sent | BaseException] = SimpleQueue()
    for _ in range(3):
        done.put(ValueError())
    assert len(sending._gathered(done, 2)) == 2
    threading.Timer(0.02, done.put, [ValueError()]).start()
    assert len(sending._gathered(done, 2)) == 2
    done.put(ValueError())
    assert len(sending._gathered(done, 2)) == 1


def test_writing_answers_down_ends_while_some_are_still_on_their_way(bench: Bench) -> None:
    go_on = threading.Event()
    bench.claire.before_answer = lambda stop: go_on.wait(10)
    bench.sender.start([bench.intent(number) for number in "123"])
    bench.sender.drain(down_to=3)
    assert bench.ends() == {"1": None, "2": None, "3": None}
    go_on.set()
    bench.sender.drain(down_to=2)
    bench.sender.drain()
    assert set(bench.ends().values()) == {"created"}


def test_a_defect_in_sending_is_raised_after_the_answers_that_are_there_were_written(bench: Bench) -> None:
    bench.claire.outcomes["7"] = ZeroDivisionError("a defect")
    bench.sender.start([bench.intent("7"), bench.intent("8")])
    with pytest.raises(ZeroDivisionError):
        bench.sender.drain()
    bench.sender.drain()
    assert bench.ends() == {"7": None, "8": "created"}


def test_what_is_done_is_let_go_of(bench: Bench) -> None:
    bench.send(bench.intent("7"))
    bench.sender._futures[0].result(5)
    bench.send(bench.intent("8"))
    assert len(bench.sender._futures) == 1
