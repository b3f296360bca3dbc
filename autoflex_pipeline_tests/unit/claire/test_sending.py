"""Sending intents and writing the answers down, with a Claire that answers by script and a store in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select

from autoflex_pipeline.claire import sending
from autoflex_pipeline.claire.client import Attempt, ClaireUnreachableError, DealerStop, Outcome, Result
from autoflex_pipeline.claire.gate import Gate
from autoflex_pipeline.claire.intents import Intent
from autoflex_pipeline.claire.sending import Sender, Sent, Tally
from autoflex_pipeline.settings import DealerSettings
from autoflex_pipeline.state import ledger, outbox
from autoflex_pipeline.state.marks import PUBLISH_WANTED, mark
from autoflex_pipeline.state.store import metadata
from autoflex_pipeline_tests.unit.claire.test_intents import candidate

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
PLACE = ("jansen", "101")
WILL_HOLD = '[{"document":{"billed":false,"canceled":false,"appointment_date":"2026-11-24"},"references":{}}]'


def outcome(result: Result, *attempts: Result, message: str | None = None) -> Outcome:
    """So many attempts, the last one with that result."""
    made = tuple(Attempt(NOW, each, 200, message) for each in attempts or (result,))
    if result in outbox.TAKEN:
        return Outcome(result, made, claire_id="c7", status="New entry")
    return Outcome(result, made)


UNASKED = Outcome("pending")


class Claire:
    """Stands for the connection: answers by appointment, and remembers what it was asked."""

    def __init__(self) -> None:
        self.gate = Gate(first_pause=1, longest_pause=1)
        self.outcomes: dict[str, Outcome | Exception] = {}
        self.statuses: dict[str, str | Exception | None] = {}
        self.asked: list[tuple[str, str, bool]] = []
        self.before_answer: Callable[[DealerStop], object] = lambda stop: None

    def import_appointment(self, body: str, key: str, stop: DealerStop, *, once: bool = False) -> Outcome:
        number = body.removeprefix("body-")
        self.asked.append(("import", number, once))
        assert key == f"key-{number}"
        self.before_answer(stop)
        answer = self.outcomes.get(number, outcome("created"))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def status_by_id(self, claire_id: str, stop: DealerStop, *, once: bool = False) -> str | None:
        return self._status("id", claire_id, once)

    def status_by_number(self, location: str, number: str, stop: DealerStop, *, once: bool = False) -> str | None:
        return self._status(location, number, once)

    def _status(self, how: str, number: str, once: bool) -> str | None:
        self.asked.append((how, number, once))
        status = self.statuses[number]
        if isinstance(status, Exception):
            raise status
        return status

    @property
    def imported(self) -> list[str]:
        return sorted(number for how, number, _ in self.asked if how == "import")


class Bench:
    """A sender with its Claire and its store; ``now`` can be moved."""

    def __init__(self, pool: ThreadPoolExecutor, engine: Engine) -> None:
        self.engine, self.claire, self.pool, self.now, self.commits = engine, Claire(), pool, NOW, 0
        self.sender = self.another_run()

    def another_run(self, *, failed_before: tuple[str, ...] = (), **dealer: Any) -> Sender:
        settings = DealerSettings(id="jansen", name="Jansen", claire_location_id="101", **dealer)
        clock: Any = lambda: self.now  # noqa: E731
        connection: Any = self.claire
        store: Any = self
        self.sender = Sender(
            settings, connection, store, self.pool, run_id="run-1", clock=clock, failed_before=failed_before
        )
        return self.sender

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        self.commits += 1
        with self.engine.begin() as connection:
            yield connection

    def intent(self, number: str, document_hash: str = "h", **values: Any) -> Intent:
        """An intent that is in the outbox."""
        made = Intent(
            candidate(document_hash, number), 1, f"key-{number}", f"body-{number}", WILL_HOLD, "[]", False, None
        )
        row = {"dealer_id": "jansen", "location_id": "101", "dms_number": number, "intent_number": 1}
        row |= {"idempotency_key": made.idempotency_key, "body": made.body, "document_hash": document_hash}
        row |= {"will_hold": WILL_HOLD, "fields_changed": "[]", "created_at": NOW, "run_id": "run-1"}
        with self.engine.begin() as state:
            state.execute(outbox.intent.delete().where(outbox.intent.c.dms_number == number))
            outbox.add_intents(state, [row])
        return replace(made, **values)

    def send(self, *intents: Intent) -> Tally:
        self.sender.start(intents)
        self.sender.drain()
        return self.sender.tally

    def dispositions(self) -> dict[str, tuple[str, str | None, str | None]]:
        with self.engine.begin() as state:
            rows = outbox.dispositions(state, "jansen")
        return {number: (row["state"], row["reason"], row["message"]) for number, row in rows.items()}

    def since(self, number: str = "7") -> datetime:
        with self.engine.begin() as state:
            moment: datetime = outbox.dispositions(state, "jansen")[number]["since"]
        return moment

    def ends(self) -> dict[str, str | None]:
        """By appointment how its intent ended."""
        with self.engine.begin() as state:
            rows = state.execute(select(outbox.intent.c.dms_number, outbox.intent.c.result)).all()
        return {row.dms_number: row.result for row in rows}

    def attempts(self) -> list[tuple[Any, ...]]:
        with self.engine.begin() as state:
            rows = state.execute(select(ledger.ledger).order_by(ledger.ledger.c.id)).all()
        return [tuple(row)[1:] for row in rows]


@pytest.fixture
def bench(engine: Engine) -> Iterator[Bench]:
    with engine.begin() as state:
        for table in metadata.tables.values():
            state.execute(table.delete())
    with ThreadPoolExecutor(4) as pool:
        yield Bench(pool, engine)


def known(number: str = "7", **values: bool) -> Any:
    return replace(candidate("h", number), **values or {"is_acknowledged": True})


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


def test_a_cancel_of_what_is_gone_goes_only_when_claire_has_it_or_has_said_so(bench: Bench) -> None:
    bench.claire.statuses |= {"7": None, "8": "New entry", "9": ClaireUnreachableError("down")}
    gone = {number: known(number, is_unanswered=True, is_gone=True) for number in "789"}
    has_it = known("6", is_acknowledged=True, is_gone=True)
    bench.send(
        *(bench.intent(number, candidate=each) for number, each in gone.items()), bench.intent("6", candidate=has_it)
    )
    assert bench.claire.imported == ["6", "8"]
    assert bench.ends() == {"6": "created", "7": "absent", "8": "created", "9": "withdrawn"}
    assert bench.dispositions() == {"9": ("failed", "transport", "down")}
    assert bench.sender.tally.results["7"] == "absent"


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


def test_once_work_has_started_an_update_is_held_where_importing_ends(bench: Bench) -> None:
    bench.another_run(keep_importing=False)
    bench.claire.statuses = {"c1": "Control started", "2": "Control started", "c3": "New entry"}
    tally = bench.send(
        bench.intent("1", candidate=known("1"), claire_id="c1"),
        bench.intent("2", candidate=known("2", is_unanswered=True)),
        bench.intent("3", candidate=known("3"), claire_id="c3"),
        bench.intent("4"),
    )
    assert sorted(bench.claire.asked) == [
        ("101", "2", False),
        ("id", "c1", False),
        ("id", "c3", False),
        ("import", "3", False),
        ("import", "4", False),
    ]
    assert tally.results == {"1": "held", "2": "held", "3": "created", "4": "created"}
    why = "Claire has it as 'Control started': work has started, and keep_importing is off for this dealer"
    assert bench.dispositions() == dict.fromkeys("12", ("held", "work_started", why))
    assert bench.ends() == {"1": "withdrawn", "2": "withdrawn", "3": "created", "4": "created"}
    assert tally.has_answer
    assert not bench.sender.is_without_answer


def test_where_importing_goes_on_no_status_is_asked_for(bench: Bench) -> None:
    bench.send(bench.intent("7", candidate=known(), claire_id="c7"))
    assert bench.claire.asked == [("import", "7", False)]


def test_a_status_that_cannot_be_had_is_a_document_without_an_answer(bench: Bench) -> None:
    bench.another_run(keep_importing=False)
    bench.claire.statuses["c7"] = ClaireUnreachableError("no answer")
    tally = bench.send(bench.intent("7", candidate=known(), claire_id="c7"))
    assert bench.dispositions() == {"7": ("failed", "transport", "no answer")}
    assert tally.results == {"7": "failed"}
    assert bench.claire.imported == []
    assert bench.ends() == {"7": "withdrawn"}


def test_a_status_that_a_fault_of_configuration_hides_leaves_it_pending(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.another_run(keep_importing=False)

    def refuse(*_: object, **__: object) -> None:
        bench.claire.gate.stop("Claire answered 401")
        raise ClaireUnreachableError("Claire answered 401")

    monkeypatch.setattr(bench.claire, "status_by_id", refuse)
    bench.send(bench.intent("7", candidate=known(), claire_id="c7"))
    assert bench.dispositions() == {"7": ("pending", "configuration", "Claire answered 401")}


def test_who_work_has_started_on_is_known_without_sending(bench: Bench) -> None:
    bench.another_run(keep_importing=False)
    bench.claire.statuses = {"c1": "Control started", "c2": "New entry", "c3": None, "4": None}
    intents = [bench.intent(number, candidate=known(number), claire_id=f"c{number}") for number in "123"]
    gone = bench.intent("4", candidate=known("4", is_unanswered=True, is_gone=True))
    assert bench.sender.would_not_go([*intents, gone]) == {"1": "held", "4": "absent"}
    assert sorted(bench.claire.asked) == [("101", "4", False), *(("id", f"c{number}", False) for number in "123")]


def test_what_failed_in_the_last_run_too_gets_one_request(bench: Bench) -> None:
    bench.another_run(failed_before=("7",), keep_importing=False)
    bench.claire.statuses["c7"] = None
    bench.send(bench.intent("7", candidate=known(), claire_id="c7"), bench.intent("8"))
    assert sorted(bench.claire.asked) == [("id", "c7", True), ("import", "7", True), ("import", "8", False)]


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


def test_what_is_done_is_let_go_of(bench: Bench) -> None:
    bench.send(bench.intent("7"))
    bench.sender._futures[0].result(5)
    bench.send(bench.intent("8"))
    assert len(bench.sender._futures) == 1
