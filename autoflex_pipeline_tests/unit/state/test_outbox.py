"""The outbox: intents and their answers, what Claire acknowledged, why a document has not gone; each dealer's own."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, select
from sqlalchemy.exc import IntegrityError

from autoflex_pipeline.state import outbox

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
PLACES = (("jansen", "101"), ("jansen", "102"), ("pietersen", "101"))
"""The one that is asked about, another location of its dealer, and another dealer with a location of that name."""


def intent(
    dms_number: str, intent_number: int = 1, place: tuple[str, str] = PLACES[0], **values: Any
) -> dict[str, Any]:
    dealer_id, location_id = place
    return {
        "dealer_id": dealer_id,
        "location_id": location_id,
        "dms_number": dms_number,
        "intent_number": intent_number,
        "idempotency_key": f"key-{dealer_id}-{location_id}-{dms_number}-{intent_number}",
        "body": f"body-{intent_number}",
        "document_hash": f"hash-{intent_number}",
        "will_hold": "[]",
        "fields_changed": "[]",
        "created_at": NOW,
        "run_id": "run-1",
    } | values


def everywhere(dms_number: str, *intent_numbers: int) -> list[dict[str, Any]]:
    return [intent(dms_number, number, place) for place in PLACES for number in intent_numbers]


def states(state: Connection) -> dict[tuple[str, str, str, int], tuple[str | None, str | None]]:
    """By intent its result and its body."""
    table = outbox.intent
    query = select(
        table.c.dealer_id,
        table.c.location_id,
        table.c.dms_number,
        table.c.intent_number,
        table.c.result,
        table.c.body,
        table.c.will_hold,
        table.c.answered_at,
    )
    found = {}
    for *key, result, body, will_hold, answered_at in state.execute(query):
        assert (body is None) == (will_hold is None) == (answered_at is not None) == (result is not None)
        assert answered_at in (None, LATER)
        found[tuple(key)] = (result, body)
    return found  # type: ignore[return-value]


def answered(state: Connection) -> dict[tuple[str, str, str, int], str]:
    return {key: result for key, (result, _) in states(state).items() if result is not None}


def acknowledgement(dms_number: str, **values: Any) -> dict[str, Any]:
    return {
        "dms_number": dms_number,
        "claire_id": f"c{dms_number}",
        "status": "New entry",
        "held": "[]",
        "document_hash": "hash",
        "intent_number": 1,
        "is_billed": False,
        "is_canceled": False,
        "appointment_date": date(2026, 11, 24),
        "acknowledged_at": NOW,
    } | values


def disposition(dms_number: str, name: str = "waiting") -> dict[str, Any]:
    return {
        "dms_number": dms_number,
        "state": name,
        "reason": "lines",
        "message": None,
        "document_hash": "hash",
        "since": NOW,
        "due_at": None,
    }


def test_the_store_keeps_its_name_and_gets_another_one_when_it_was_put_back(state: Connection) -> None:
    name = outbox.store_origin(state)
    assert outbox.store_origin(state) == name
    other = outbox.renew_origin(state)
    assert other not in (name, "", None)
    assert outbox.store_origin(state) == other


def test_a_store_that_has_no_name_yet_gets_one_when_it_is_put_back(state: Connection) -> None:
    name = outbox.renew_origin(state)
    assert outbox.store_origin(state) == name


def test_another_name_does_not_begin_the_change_numbers_anew(state: Connection) -> None:
    outbox.acknowledge(state, *PLACES[0], [acknowledgement("1")])
    outbox.renew_origin(state)
    assert outbox.newest_change(state) == 1


def test_each_part_of_what_an_intent_is_makes_another_key() -> None:
    parts: tuple[Any, ...] = ("origin", "jansen", "101", "7", 1)
    others = [(*parts[:place], other, *parts[place + 1 :]) for place, other in enumerate(("o", "p", "102", "8", 2))]
    keys = {outbox.idempotency_key(*each) for each in (parts, *others)}
    assert len(keys) == 6
    assert {len(key) for key in keys} == {40}
    assert outbox.idempotency_key(*parts) == outbox.idempotency_key(*parts)


def test_the_parts_of_a_key_do_not_run_into_each_other() -> None:
    assert outbox.idempotency_key("o", "1", "01", "7", 1) != outbox.idempotency_key("o", "10", "1", "7", 1)


def test_without_an_answer_are_the_ones_of_this_dealer_at_this_location(state: Connection) -> None:
    outbox.add_intents(state, [intent("1"), intent("2", 2), intent("2", 1), intent("3"), *everywhere("4", 1)[1:]])
    outbox.close_intents(state, *PLACES[0], [("3", 1, "rejected")], LATER)
    assert outbox.open_numbers(state, *PLACES[0]) == {"1", "2"}
    found = outbox.open_intents(state, *PLACES[0], ["2", "3", "4", "5"])
    assert {number: [row["intent_number"] for row in rows] for number, rows in found.items()} == {"2": [1, 2]}
    assert found["2"][0]["body"] == "body-1"


def test_more_appointments_can_be_asked_for_than_fit_in_one_question(
    state: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "NUMBERS_AT_ONCE", 2)
    numbers = [str(number) for number in range(5)]
    outbox.add_intents(state, [intent(number) for number in numbers])
    assert set(outbox.open_intents(state, *PLACES[0], numbers)) == set(numbers)
    assert set(outbox.last_intent_numbers(state, *PLACES[0], numbers)) == set(numbers)
    outbox.acknowledge(state, *PLACES[0], [acknowledgement(number) for number in numbers])
    assert set(outbox.acknowledged_rows(state, *PLACES[0], numbers)) == set(numbers)


def test_the_newest_intent_of_an_appointment_counts_whether_or_not_it_is_answered(state: Connection) -> None:
    outbox.add_intents(state, [*(intent("1", number) for number in (1, 2, 3)), intent("2")])
    outbox.add_intents(state, [intent("1", 9, place) for place in PLACES[1:]])
    outbox.close_intents(state, *PLACES[0], [("1", 3, "rejected")], LATER)
    assert outbox.last_intent_numbers(state, *PLACES[0], ["1", "7"]) == {"1": 3}


def test_refused_is_what_was_refused_last_at_this_location(state: Connection) -> None:
    outbox.add_intents(
        state, [intent("1"), intent("2", 1), intent("2", 2), intent("3"), intent("4", 1), intent("4", 2)]
    )
    outbox.add_intents(state, [intent("3", 1, place) for place in PLACES[1:]])
    answers = [("1", 1, "rejected"), ("2", 1, "rejected"), ("2", 2, "updated"), ("3", 1, "created")]
    outbox.close_intents(state, *PLACES[0], [*answers, ("4", 1, "created"), ("4", 2, "rejected")], LATER)
    for place in PLACES[1:]:
        outbox.close_intents(state, *place, [("3", 1, "rejected")], LATER)
    assert outbox.refused_numbers(state, *PLACES[0], ["1", "2", "3", "4", "5"]) == {"1", "4"}
    assert outbox.refused_numbers(state, *PLACES[0], ["2"]) == set()


@pytest.mark.parametrize("result", ["created", "updated", "unchanged"])
def test_what_claire_took_closes_the_older_ones_of_that_appointment_and_place_only(
    state: Connection, result: str
) -> None:
    outbox.add_intents(state, [*everywhere("1", 1, 2, 3), *everywhere("2", 1, 2)])
    outbox.close_intents(state, *PLACES[0], [("1", 2, result)], LATER)
    assert answered(state) == {(*PLACES[0], "1", 1): "superseded", (*PLACES[0], "1", 2): result}


def test_a_refusal_says_nothing_of_the_older_ones_without_an_answer(state: Connection) -> None:
    outbox.add_intents(state, everywhere("1", 1, 2))
    outbox.close_intents(state, *PLACES[0], [("1", 2, "rejected")], LATER)
    assert answered(state) == {(*PLACES[0], "1", 2): "rejected"}


def test_a_refused_repetition_stays_open_until_claire_takes_another_of_that_appointment(state: Connection) -> None:
    outbox.add_intents(state, [*everywhere("1", 1, 2), *everywhere("2", 1)])
    outbox.note_refusals(state, *PLACES[0], [])
    outbox.note_refusals(state, *PLACES[0], [("1", 2), ("3", 1)])
    refused = {
        (*key, row["intent_number"])
        for key in PLACES
        for rows in outbox.open_intents(state, *key, ["1", "2"]).values()
        for row in rows
        if row["result"] is not None
    }
    assert refused == {(*PLACES[0], 2)}
    assert outbox.refused_numbers(state, *PLACES[0], ["1", "2"]) == {"1"}
    assert outbox.open_numbers(state, *PLACES[0]) == {"1", "2"}
    outbox.add_intents(state, [intent("1", 3)])
    outbox.close_intents(state, *PLACES[0], [("1", 3, "created")], LATER)
    assert outbox.open_numbers(state, *PLACES[0]) == {"2"}
    assert answered(state) == {(*PLACES[0], "1", 1): "superseded", (*PLACES[0], "1", 2): "superseded"} | {
        (*PLACES[0], "1", 3): "created"
    }


def test_an_older_one_that_had_an_answer_keeps_it(state: Connection) -> None:
    outbox.add_intents(state, everywhere("1", 1, 2))
    outbox.close_intents(state, *PLACES[0], [("1", 1, "rejected")], LATER)
    outbox.close_intents(state, *PLACES[0], [("1", 2, "updated")], LATER)
    assert answered(state) == {(*PLACES[0], "1", 1): "rejected", (*PLACES[0], "1", 2): "updated"}


def test_no_answers_close_nothing(state: Connection) -> None:
    outbox.add_intents(state, [])
    outbox.add_intents(state, everywhere("1", 1))
    outbox.close_intents(state, *PLACES[0], [], LATER)
    assert answered(state) == {}


def test_all_without_an_answer_are_given_up_at_one_location(state: Connection) -> None:
    outbox.add_intents(state, [*everywhere("1", 1), *everywhere("2", 1, 2)])
    outbox.close_intents(state, *PLACES[0], [("2", 1, "rejected")], LATER)
    outbox.give_up_intents(state, *PLACES[0], LATER)
    assert answered(state) == {
        (*PLACES[0], "1", 1): "superseded",
        (*PLACES[0], "2", 1): "rejected",
        (*PLACES[0], "2", 2): "superseded",
    }


def test_an_intent_has_one_row(state: Connection) -> None:
    outbox.add_intents(state, everywhere("1", 1))
    with pytest.raises(IntegrityError):
        outbox.add_intents(state, [intent("1")])


def test_what_claire_acknowledged_last_takes_the_place_of_what_it_did_before(state: Connection) -> None:
    for place in PLACES:
        outbox.acknowledge(state, *place, [acknowledgement("1"), acknowledgement("2")])
    outbox.acknowledge(state, *PLACES[0], [acknowledgement("1", document_hash="new")])
    rows = outbox.acknowledged_rows(state, *PLACES[0], ["1", "3"])
    assert {number: row["document_hash"] for number, row in rows.items()} == {"1": "new"}
    for place in PLACES[1:]:
        assert outbox.acknowledged_rows(state, *place, ["1"])["1"]["document_hash"] == "hash"
    assert set(outbox.acknowledged_rows(state, *PLACES[0], ["1", "2"])) == {"1", "2"}


def changes(state: Connection, after: int) -> list[tuple[Any, ...]]:
    parts = outbox.acknowledged_after(state, after, ["change_number", "dms_number"], at_once=2)
    return [tuple(row) for part in parts for row in part]


def test_change_numbers_rise_and_tell_what_changed_since(state: Connection) -> None:
    assert outbox.newest_change(state) == 0
    outbox.store_origin(state)
    assert outbox.newest_change(state) == 0
    outbox.acknowledge(state, *PLACES[0], [acknowledgement("2"), acknowledgement("1"), acknowledgement("3")])
    assert changes(state, 0) == [(1, "2"), (2, "1"), (3, "3")]
    outbox.acknowledge(state, *PLACES[0], [acknowledgement("2")])
    assert outbox.newest_change(state) == 4
    assert changes(state, 2) == [(3, "3"), (4, "2")]
    outbox.acknowledge(state, *PLACES[0], [])
    assert outbox.newest_change(state) == 4


def test_changes_are_given_in_parts_of_a_size(state: Connection) -> None:
    outbox.acknowledge(state, *PLACES[0], [acknowledgement(str(number)) for number in range(5)])
    parts = outbox.acknowledged_after(state, 0, ["dms_number"], at_once=2)
    assert [len(part) for part in parts] == [2, 2, 1]


def test_a_change_number_is_not_given_twice_though_the_row_that_had_it_is_gone(state: Connection) -> None:
    outbox.acknowledge(state, *PLACES[0], [acknowledgement("1")])
    state.exec_driver_sql("DELETE FROM acknowledged")
    outbox.acknowledge(state, *PLACES[0], [acknowledgement("2")])
    assert changes(state, 0) == [(2, "2")]


def test_why_a_document_has_not_gone_is_cleared_where_only_its_dealer_has_any(state: Connection) -> None:
    outbox.set_dispositions(state, "jansen", [disposition("1")])
    outbox.clear_dispositions(state, "pietersen", ["1"])
    assert outbox.dispositions(state, "jansen").keys() == {"1"}
    outbox.clear_dispositions(state, "jansen", ["1"])
    assert outbox.dispositions(state, "jansen") == {}


def test_why_a_document_has_not_gone_is_replaced_and_cleared_for_one_dealer(state: Connection) -> None:
    for dealer_id in ("jansen", "pietersen"):
        outbox.set_dispositions(state, dealer_id, [disposition("1"), disposition("2"), disposition("3")])
    outbox.set_dispositions(state, "jansen", [disposition("1", "held")])
    outbox.set_dispositions(state, "jansen", [])
    outbox.clear_dispositions(state, "jansen", [])
    outbox.clear_dispositions(state, "jansen", ["2", "7"])
    found = {
        dealer_id: {number: row["state"] for number, row in outbox.dispositions(state, dealer_id).items()}
        for dealer_id in ("jansen", "pietersen")
    }
    assert found == {
        "jansen": {"1": "held", "3": "waiting"},
        "pietersen": {"1": "waiting", "2": "waiting", "3": "waiting"},
    }


def test_json_is_the_same_for_the_same_value_and_comes_back() -> None:
    value = [{"field": "dms_notes", "old": None, "new": "é €"}]
    assert outbox.as_json(value) == '[{"field":"dms_notes","old":null,"new":"é €"}]'
    assert outbox.from_json(outbox.as_json(value)) == value


@pytest.mark.parametrize(
    ("table", "may_be_empty"),
    [
        ("outbox_origin", set()),
        ("intent", {"body", "will_hold", "answered_at", "result"}),
        ("acknowledged", {"appointment_date"}),
        ("disposition", {"reason", "message", "due_at"}),
    ],
)
def test_only_what_can_be_unknown_may_be_empty(state: Connection, table: str, may_be_empty: set[str]) -> None:
    columns = inspect(state).get_columns(table)
    assert {column["name"] for column in columns if column["nullable"]} == may_be_empty


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("outbox_origin", ["origin"]),
        ("intent", ["id"]),
        ("acknowledged", ["dealer_id", "location_id", "dms_number"]),
        ("disposition", ["dealer_id", "dms_number"]),
    ],
)
def test_what_there_is_one_row_of(state: Connection, table: str, key: list[str]) -> None:
    assert inspect(state).get_pk_constraint(table)["constrained_columns"] == key


def test_no_two_changes_have_one_number(state: Connection) -> None:
    assert [found["column_names"] for found in inspect(state).get_unique_constraints("acknowledged")] == [
        ["change_number"]
    ]
