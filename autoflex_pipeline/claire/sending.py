"""Sending a batch of intents side by side, and writing the answers down: many threads send, one writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Any

from sqlalchemy import Connection

from autoflex_pipeline.claire.client import (
    ClaireConnection,
    ClaireUnreachableError,
    DealerStop,
    Outcome,
)
from autoflex_pipeline.claire.intents import Intent, acknowledged_row
from autoflex_pipeline.claire.policies import Hindrance, depends_on_status, hindrance
from autoflex_pipeline.settings import DealerSettings
from autoflex_pipeline.state import StateStore, ledger, outbox
from autoflex_pipeline.state.marks import PUBLISH_WANTED, set_mark

FAILURES_TO_GIVE_UP = 5
"""So many documents in a row without an answer within their deadlines, not counting those that had none in the last run
either: the rest waits for the next run."""

GATHER_SECONDS = 0.1
"""So long answers are gathered for one commit; a crash before it costs one more request each, with the same key."""

MAX_CHANGES_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one intent: an outcome, or the status in Claire that holds it back, or why nothing was known."""

    intent: Intent
    outcome: Outcome
    held_by: str | None = None
    problem: str | None = None

    @property
    def has_no_answer(self) -> bool:
        """Whether Claire was not reached for it (and not: was not asked because a person has to do something)."""
        return self.outcome.result in ("failed", "pending") and self.held_by is None


@dataclass
class Tally:
    """What a run did: numbers of appointments by result."""

    results: dict[str, str] = field(default_factory=dict)
    changes: list[dict[str, Any]] = field(default_factory=list)
    retries: int = 0
    given_up: bool = False
    failed_in_a_row: int = 0
    has_answer: bool = False


class Sender:
    """Sends for one dealer; never two requests for one appointment at once."""

    def __init__(
        self,
        dealer: DealerSettings,
        connection: ClaireConnection,
        state: StateStore,
        pool: ThreadPoolExecutor,
        *,
        run_id: str,
        clock: Callable[[], datetime],
        failed_before: Collection[str] = (),
    ) -> None:
        """``failed_before``: the appointments that had no answer in the last run either; one request each is enough."""
        self._dealer = dealer
        self._connection = connection
        self._state = state
        self._pool = pool
        self._run_id = run_id
        self._clock = clock
        self._failed_before = failed_before
        self._done: SimpleQueue[Sent | BaseException] = SimpleQueue()
        self._futures: list[Future[None]] = []
        self._in_flight = 0
        self.stop = DealerStop()
        self.tally = Tally()

    @property
    def fault(self) -> str | None:
        """The fault of configuration that stopped the sending, if any."""
        return self.stop.reason or self._connection.gate.stopped_because

    @property
    def is_stopped(self) -> bool:
        """Whether no more is to be tried in this run."""
        return self.tally.given_up or self.fault is not None

    def probe(self, intents: Sequence[Intent]) -> None:
        """Send these once, to find out whether Claire answers; without an answer no more is tried in this run."""
        self.start(intents, is_probe=True)
        self.drain()

    @property
    def is_without_answer(self) -> bool:
        """Whether nothing that was sent had an answer; one shows that Claire is there, and the rest may be at fault."""
        was_in_vain = self.tally.given_up or "failed" in self.tally.results.values()
        return self.fault is None and was_in_vain and not self.tally.has_answer

    def start(self, intents: Sequence[Intent], *, is_probe: bool = False) -> None:
        """Begin to send these; ``drain`` writes their answers down."""
        self._futures = [future for future in self._futures if not future.done()]
        self._futures += [self._pool.submit(self._work, intent, is_probe) for intent in intents]
        self._in_flight += len(intents)

    def drain(self, *, down_to: int = 0) -> None:
        """Write answers down until at most ``down_to`` intents are in flight."""
        while self._in_flight > down_to:
            answers = _gathered(self._done, self._in_flight)
            self._in_flight -= len(answers)
            self._write([answer for answer in answers if isinstance(answer, Sent)])
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer

    def would_not_go(self, intents: Sequence[Intent]) -> dict[str, Hindrance]:
        """By appointment why its document would not go, by its status in Claire; asks, and sends nothing.

        ClaireUnreachableError when Claire does not say.
        """
        statuses = self._pool.map(lambda intent: self._status(intent, once=False), intents)
        return {
            intent.candidate.dms_number: why_not
            for intent, status in zip(intents, statuses, strict=True)
            if (why_not := hindrance(intent.candidate, self._dealer, status))
        }

    def abandon(self) -> None:
        """Begin nothing more: the run is breaking off."""
        self.stop.reason = self.stop.reason or "the run was broken off"
        for future in self._futures:
            future.cancel()

    def _work(self, intent: Intent, is_probe: bool) -> None:
        try:
            self._done.put(self._send_one(intent, is_probe))
        except BaseException as error:
            self._done.put(error)

    def _send_one(self, intent: Intent, is_probe: bool) -> Sent:
        if self.is_stopped:
            return Sent(intent, Outcome("pending"))
        sent = self._asked_and_sent(intent, once=is_probe or intent.candidate.dms_number in self._failed_before)
        if sent.has_no_answer and (is_probe or self._connection.gate.is_open):
            # At once, not when the answer is written: each thread would spend one more deadline on its next intent.
            self.tally.given_up = True
        return sent

    def _asked_and_sent(self, intent: Intent, *, once: bool) -> Sent:
        if depends_on_status(intent.candidate, self._dealer):
            try:
                status = self._status(intent, once)
            except ClaireUnreachableError as error:
                return Sent(intent, Outcome("pending" if self.fault else "failed"), problem=str(error))
            why_not = hindrance(intent.candidate, self._dealer, status)
            if why_not == "held":
                return Sent(intent, Outcome("pending"), held_by=status)
            if why_not == "absent":
                return Sent(intent, Outcome("absent"))
        outcome = self._connection.import_appointment(intent.body, intent.idempotency_key, self.stop, once=once)
        return Sent(intent, outcome)

    def _status(self, intent: Intent, once: bool) -> str | None:
        if intent.claire_id is not None:
            return self._connection.status_by_id(intent.claire_id, self.stop, once=once)
        return self._connection.status_by_number(
            self._dealer.claire_location_id, intent.candidate.dms_number, self.stop, once=once
        )

    def _write(self, answers: Sequence[Sent]) -> None:
        """One commit for all answers that are there. A crash before it costs one more request with the same key."""
        if not answers:
            return
        now = self._clock()
        place = (self._dealer.id, self._dealer.claire_location_id)
        with self._state.begin() as state:
            ledger.append(state, [row for sent in answers for row in self._attempts(sent)])
            outbox.close_intents(state, *place, [closed for sent in answers if (closed := _closed(sent))], now)
            outbox.note_refusals(state, *place, [_numbers(sent) for sent in answers if _is_refused_repetition(sent)])
            taken = [sent for sent in answers if sent.outcome.result in outbox.TAKEN]
            outbox.acknowledge(state, *place, [_acknowledged(sent, now) for sent in taken])
            settled = [sent for sent in answers if sent.outcome.result in outbox.TELL_WHAT_CLAIRE_HAS]
            outbox.clear_dispositions(state, self._dealer.id, [sent.intent.candidate.dms_number for sent in settled])
            self._set_aside(
                state, [sent for sent in answers if sent.outcome.result not in outbox.TELL_WHAT_CLAIRE_HAS], now
            )
            # With the answers: a run that dies here has nothing left to tell the next one that something was sent.
            set_mark(state, PUBLISH_WANTED, True)
        for sent in answers:
            self._count(sent)

    def _attempts(self, sent: Sent) -> Iterator[dict[str, Any]]:
        for attempt in sent.outcome.attempts:
            yield {
                "dealer_id": self._dealer.id,
                "location_id": self._dealer.claire_location_id,
                "dms_number": sent.intent.candidate.dms_number,
                "intent_number": sent.intent.intent_number,
                "attempted_at": attempt.attempted_at,
                "result": attempt.result,
                "http_status": attempt.http_status,
                "message": attempt.message,
                "fields_changed": sent.intent.fields_changed,
                "run_id": self._run_id,
            }

    def _set_aside(self, state: Connection, answers: Sequence[Sent], now: datetime) -> None:
        if not answers:
            return
        known = outbox.dispositions(state, self._dealer.id)
        rows = []
        for sent in answers:
            candidate = sent.intent.candidate
            name, reason, message = _why(sent, self.fault)
            old = known.get(candidate.dms_number)
            is_same = old is not None and (old["state"], old["document_hash"]) == (name, candidate.document_hash)
            rows.append(
                {
                    "dms_number": candidate.dms_number,
                    "state": name,
                    "reason": reason,
                    "message": message,
                    "document_hash": candidate.document_hash,
                    "since": old["since"] if old is not None and is_same else now,
                    "due_at": None,
                }
            )
        outbox.set_dispositions(state, self._dealer.id, rows)

    def _count(self, sent: Sent) -> None:
        outcome, tally = sent.outcome, self.tally
        tally.retries += max(0, len(outcome.attempts) - 1)
        tally.results[sent.intent.candidate.dms_number] = "held" if sent.held_by else outcome.result
        if outcome.result in outbox.TAKEN and len(tally.changes) < MAX_CHANGES_KEPT:
            tally.changes.append(
                {
                    "dms_number": sent.intent.candidate.dms_number,
                    "fields_changed": outbox.from_json(sent.intent.fields_changed),
                    "result": outcome.result,
                }
            )
        tally.has_answer = tally.has_answer or not sent.has_no_answer
        if outcome.result != "failed":
            tally.failed_in_a_row = 0
        elif sent.intent.candidate.dms_number not in self._failed_before:
            tally.failed_in_a_row += 1
        if tally.failed_in_a_row >= FAILURES_TO_GIVE_UP:
            tally.given_up = True


def _gathered(done: SimpleQueue[Sent | BaseException], left: int) -> list[Sent | BaseException]:
    """Wait for one of ``left``, then take what comes within ``GATHER_SECONDS``, so that many share a commit."""
    answers = [done.get()]
    until = time.monotonic() + GATHER_SECONDS
    while len(answers) < left and (seconds := until - time.monotonic()) > 0:
        try:
            answers.append(done.get(timeout=seconds))
        except Empty:
            break
    return answers


def _closed(sent: Sent) -> tuple[str, int, str] | None:
    """How the intent ends; None while what Claire holds is unknown."""
    if sent.outcome.result in (*outbox.TELL_WHAT_CLAIRE_HAS, "rejected") and not _is_refused_repetition(sent):
        return *_numbers(sent), sent.outcome.result
    if not sent.outcome.attempts and not sent.intent.is_retry:
        return *_numbers(sent), "withdrawn"  # no request was made for it
    return None


def _is_refused_repetition(sent: Sent) -> bool:
    """Whether Claire refused the document, and may have taken it before: an earlier try had no answer."""
    may_be_taken = any(attempt.may_have_had_an_effect for attempt in sent.outcome.attempts)
    return sent.outcome.result == "rejected" and (sent.intent.is_retry or may_be_taken)


def _numbers(sent: Sent) -> tuple[str, int]:
    return sent.intent.candidate.dms_number, sent.intent.intent_number


def _acknowledged(sent: Sent, now: datetime) -> dict[str, Any]:
    return acknowledged_row(sent.intent, sent.outcome.claire_id or "", sent.outcome.status or "", now)


def _why(sent: Sent, fault: str | None) -> tuple[str, str | None, str | None]:
    """State, reason and message of a document that Claire did not take."""
    if sent.held_by is not None:
        held = f"Claire has it as {sent.held_by!r}: work has started, and keep_importing is off for this dealer"
        return "held", "work_started", held
    message = sent.outcome.message or sent.problem or fault
    reason = {"rejected": "refused", "failed": "transport"}.get(sent.outcome.result)
    return sent.outcome.result, reason or ("configuration" if fault else "transport"), message
