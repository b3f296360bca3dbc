"""A sender with a Claire that answers by script and a store in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, select

from autoflex_pipeline.claire.client import Attempt, DealerStop, Outcome, Result
from autoflex_pipeline.claire.gate import Gate
from autoflex_pipeline.claire.intents import Intent
from autoflex_pipeline.claire.sending import Sender, Tally
from autoflex_pipeline.settings import DealerSettings
from autoflex_pipeline.state import ledger, outbox
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


def known(number: str = "7", **values: bool) -> Any:
    return replace(candidate("h", number), **values or {"is_acknowledged": True})
