"""From candidates to intents: what goes, what is sent again byte for byte, and what turns out to be equal."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, select

from autoflex_pipeline.claire.contract import Version
from autoflex_pipeline.claire.intents import Intent, Prepared, acknowledged_row, prepare
from autoflex_pipeline.claire.policies import Candidate
from autoflex_pipeline.settings import DealerSettings
from autoflex_pipeline.state import outbox
from autoflex_pipeline_tests.unit.claire.blank import blank

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
DEALER = DealerSettings(id="jansen", name="Jansen", claire_location_id="101")
PLACE = ("jansen", "101")
BASE: dict[str, Any] = blank("appointment") | {
    "dms_nr": "7",
    "wo_nr": "W7",
    "appointment_date": "2026-11-24",
    "billed": False,
    "internal": False,
    "canceled": False,
}


def candidate(document_hash: str, number: str = "7") -> Candidate:
    day = date(2026, 11, 24)
    flags = {"is_open": True, "is_canceled": False, "is_missing": False, "is_gone": False}
    has = dict.fromkeys(("has_lines", "has_car", "has_contractor"), True)
    known: dict[str, Any] = {"is_acknowledged": False, "was_canceled": None, "was_dated": None, "is_unanswered": False}
    return Candidate(number, document_hash, day, NOW, **flags, **has, **known)


def projection(references: dict[str, str | None] | None = None, **values: Any) -> Version:
    return Version(BASE | values, references or {})


def make(state: Connection, document_hash: str, version: Version | None, number: str = "7", **options: Any) -> Prepared:
    projections = {} if version is None else {("jansen", number): version}
    each = [candidate(document_hash, number)]
    return prepare(state, DEALER, each, projections, run_id="run-1", now=NOW, **options)


def one(prepared: Prepared) -> Intent:
    assert prepared.equal == []
    (intent,) = prepared.intents
    return intent


def take(state: Connection, intent: Intent) -> None:
    """Claire takes it."""
    number = intent.candidate.dms_number
    outbox.close_intents(state, *PLACE, [(number, intent.intent_number, "created")], NOW)
    outbox.acknowledge(state, *PLACE, [acknowledged_row(intent, "c7", "New entry", NOW)])


def stored(state: Connection) -> list[tuple[Any, ...]]:
    table = outbox.intent
    query = select(table.c.dms_number, table.c.intent_number, table.c.idempotency_key, table.c.body)
    return [tuple(row) for row in state.execute(query.order_by(table.c.id))]


def test_the_first_intent_holds_the_document_its_key_and_every_field_that_is_new(state: Connection) -> None:
    intent = one(make(state, "h1", projection(dms_notes="n")))
    body = outbox.from_json(intent.body)
    assert (body["location_id"], body["dms_nr"], body["dms_notes"]) == ("101", "7", "n")
    assert (intent.intent_number, intent.is_retry, intent.claire_id) == (1, False, None)
    assert stored(state) == [("7", 1, intent.idempotency_key, intent.body)]
    assert {"field": "dms_notes", "old": None, "new": "n"} in outbox.from_json(intent.fields_changed)
    origin = outbox.store_origin(state)
    assert intent.idempotency_key == outbox.idempotency_key(origin, *PLACE, "7", 1)
    (row,) = outbox.open_intents(state, *PLACE, ["7"])["7"]
    assert (row["document_hash"], row["created_at"], row["run_id"]) == ("h1", NOW, "run-1")


def test_what_claire_took_is_remembered_as_it_then_held_it(state: Connection) -> None:
    intent = one(make(state, "h1", projection(billed=True, canceled=True)))
    row = acknowledged_row(intent, "c7", "Car in shop", NOW)
    assert row == {
        "dms_number": "7",
        "claire_id": "c7",
        "status": "Car in shop",
        "held": intent.will_hold,
        "document_hash": "h1",
        "intent_number": 1,
        "is_billed": True,
        "is_canceled": True,
        "appointment_date": date(2026, 11, 24),
        "acknowledged_at": NOW,
    }
    take(state, one(make(state, "h2", projection(), number="8")))
    remembered = outbox.acknowledged_rows(state, *PLACE, ["8"])["8"]
    assert (remembered["is_billed"], remembered["is_canceled"]) == (False, False)


def test_a_change_is_the_next_intent_with_only_what_changed_and_claires_id(state: Connection) -> None:
    take(state, one(make(state, "h1", projection(dms_notes="a"))))
    intent = one(make(state, "h2", projection(dms_notes="b")))
    assert (intent.intent_number, intent.claire_id) == (2, "c7")
    assert outbox.from_json(intent.fields_changed) == [{"field": "dms_notes", "old": "a", "new": "b"}]


def test_what_differs_in_nothing_that_claire_sees_makes_no_intent_and_is_not_compared_again(state: Connection) -> None:
    take(state, one(make(state, "h1", projection(dms_mileage=5))))
    prepared = make(state, "h2", projection(dms_mileage=None))
    assert (prepared.intents, prepared.equal) == ([], ["7"])
    row = outbox.acknowledged_rows(state, *PLACE, ["7"])["7"]
    assert (row["document_hash"], row["intent_number"]) == ("h2", 1)
    assert len(stored(state)) == 1


def test_an_equal_document_goes_when_somebody_insists(state: Connection) -> None:
    take(state, one(make(state, "h1", projection())))
    assert one(make(state, "h1", projection(), force=True)).intent_number == 2


def test_what_has_no_answer_is_sent_again_byte_for_byte(state: Connection) -> None:
    first = one(make(state, "h1", projection(dms_notes="a")))
    again = one(make(state, "h1", projection(dms_notes="another text with the same hash")))
    assert again.is_retry
    assert (again.body, again.idempotency_key, again.intent_number) == (first.body, first.idempotency_key, 1)
    assert (again.will_hold, again.fields_changed, again.claire_id) == (first.will_hold, first.fields_changed, None)
    assert len(stored(state)) == 1


def test_a_retry_of_one_that_claire_has_knows_its_id(state: Connection) -> None:
    take(state, one(make(state, "h1", projection())))
    make(state, "h2", projection(dms_notes="a"))
    again = one(make(state, "h2", projection(dms_notes="a")))
    assert (again.is_retry, again.intent_number, again.claire_id) == (True, 2, "c7")


def test_a_document_that_changed_meanwhile_is_a_new_intent_and_so_is_the_one_before_it(state: Connection) -> None:
    keys = [
        one(make(state, document_hash, projection(dms_notes=document_hash))).idempotency_key for document_hash in "aba"
    ]
    assert len(set(keys)) == 3
    assert [number for _, number, _, _ in stored(state)] == [1, 2, 3]


def test_an_older_one_without_an_answer_is_not_sent_again_after_a_newer_one_was_refused(state: Connection) -> None:
    one(make(state, "h1", projection(dms_notes="a")))
    refused = one(make(state, "h2", projection(dms_notes="b")))
    outbox.close_intents(state, *PLACE, [("7", refused.intent_number, "rejected")], NOW)
    intent = one(make(state, "h1", projection(dms_notes="a")))
    assert (intent.is_retry, intent.intent_number) == (False, 3)


def test_what_was_refused_when_it_was_repeated_is_sent_again_with_another_key_and_counts_as_maybe_held(
    state: Connection,
) -> None:
    first = one(make(state, "h1", projection(dms_mileage=1)))
    outbox.note_refusals(state, *PLACE, [("7", 1)])
    again = one(make(state, "h1", projection(dms_mileage=1)))
    assert (again.is_retry, again.intent_number) == (False, 2)
    assert again.idempotency_key != first.idempotency_key
    outbox.close_intents(state, *PLACE, [("7", 2, "rejected")], NOW)
    other = one(make(state, "h2", projection(dms_mileage=None)))
    held = [each["document"].get("dms_mileage") for each in outbox.from_json(other.will_hold)]
    assert held == [None, 1], "whether or not Claire took the try that had no answer"


def test_while_an_intent_has_no_answer_a_document_goes_though_it_equals_what_claire_acknowledged(
    state: Connection,
) -> None:
    take(state, one(make(state, "h1", projection(dms_notes="a"))))
    make(state, "h2", projection(dms_notes="b"))
    intent = one(make(state, "h1", projection(dms_notes="a")))
    assert (intent.intent_number, outbox.from_json(intent.fields_changed)) == (3, [])
    held = [each["document"]["dms_notes"] for each in outbox.from_json(intent.will_hold)]
    assert held == ["a"], "whichever Claire had, it then holds this"


def test_what_claire_may_hold_keeps_each_possibility_once(state: Connection) -> None:
    take(state, one(make(state, "h1", projection(dms_mileage=1))))
    make(state, "h2", projection(dms_mileage=2))
    intent = one(make(state, "h3", projection(dms_mileage=None)))
    assert sorted(each["document"]["dms_mileage"] for each in outbox.from_json(intent.will_hold)) == [1, 2]


def test_before_claire_ever_answered_it_may_also_hold_nothing(state: Connection) -> None:
    make(state, "h1", projection(dms_mileage=1))
    intent = one(make(state, "h2", projection(dms_mileage=None)))
    held = [each["document"].get("dms_mileage") for each in outbox.from_json(intent.will_hold)]
    assert held == [None, 1]


def test_one_that_left_staging_meanwhile_is_passed_over_and_the_others_go(state: Connection) -> None:
    each = [candidate("h", "1"), candidate("h", "7")]
    prepared = prepare(state, DEALER, each, {("jansen", "7"): projection()}, run_id="r", now=NOW)
    assert [intent.candidate.dms_number for intent in prepared.intents] == ["7"]


def test_those_to_send_again_and_those_that_are_equal_keep_none_of_the_others_back(state: Connection) -> None:
    take(state, one(make(state, "h1", projection(), number="1")))
    make(state, "h1", projection(), number="2")
    versions = {("jansen", number): projection() for number in "123"}
    each = [candidate("h1", "2"), candidate("h2", "1"), candidate("h1", "3")]
    prepared = prepare(state, DEALER, each, versions, run_id="r", now=NOW)
    assert [(intent.candidate.dms_number, intent.is_retry) for intent in prepared.intents] == [
        ("2", True),
        ("3", False),
    ]
    assert prepared.equal == ["1"]


def test_a_dry_run_writes_nothing(state: Connection) -> None:
    take(state, one(make(state, "h1", projection(dms_mileage=1))))
    before = [stored(state), outbox.acknowledged_rows(state, *PLACE, ["7"])]
    make(state, "h2", projection(dms_mileage=None), dry_run=True)
    assert one(make(state, "h3", projection(dms_notes="x"), dry_run=True)).intent_number == 2
    assert [stored(state), outbox.acknowledged_rows(state, *PLACE, ["7"])] == before


def test_a_dry_run_gives_a_store_no_name(state: Connection) -> None:
    make(state, "h1", projection(), dry_run=True)
    assert state.scalar(select(outbox.origin.c.origin)) is None
