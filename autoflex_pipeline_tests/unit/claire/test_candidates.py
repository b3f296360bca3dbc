"""Which appointments differ from what Claire acknowledged, and what is known of each: by rows written by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from typing import Any

import duckdb
import pytest

from autoflex_pipeline.claire.policies import Candidate

TODAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
ELSEWHERE = {"dealer_id": "pietersen"}


class Rows:
    """Writes rows of the warehouse, and asks for the candidates of dealer jansen at location 101."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def put(self, table: str, **values: Any) -> None:
        row = {"dealer_id": "jansen"} | values
        names = ", ".join(f"? AS {name}" for name in row)
        self._connection.execute(f"INSERT INTO {table} BY NAME SELECT {names}", list(row.values()))

    def document(self, number: str, *, car: str | None = None, contractor: str | None = None, **values: Any) -> None:
        dealer_id = values.get("dealer_id", "jansen")
        self.put(
            "appointment",
            dealer_id=dealer_id,
            dms_number=number,
            is_canceled=False,
            car_dms_number=car,
            contractor_dms_number=contractor,
        )
        row = {"document_hash": "new", "is_open": True, "is_owed": True, "appointment_date": TODAY}
        self.put("document", dms_number=number, first_seen_at=NOW, **row | values)

    def acknowledged(self, number: str, **values: Any) -> None:
        row = {"location_id": "101", "document_hash": "new", "is_canceled": False, "appointment_date": TODAY}
        self.put("acknowledged", dms_number=number, **row | values)

    def candidates(self, **values: Any) -> list[Candidate]:
        asked: dict[str, Any] = {
            "dealer": "jansen",
            "location": "101",
            "unanswered": [],
            "force": False,
            "history": False,
            "numbers": None,
            "from": None,
            "to": None,
            "today": TODAY,
        }
        query = files("autoflex_pipeline.claire").joinpath("candidates.sql").read_text("utf-8")
        found = self._connection.execute(query, asked | values)
        names = [column[0] for column in found.description or ()]
        return [Candidate(**dict(zip(names, row, strict=True))) for row in found.fetchall()]

    def numbers(self, **values: Any) -> list[str]:
        return [candidate.dms_number for candidate in self.candidates(**values)]

    def only(self) -> Candidate:
        (candidate,) = self.candidates()
        return candidate


@pytest.fixture
def rows(undone: duckdb.DuckDBPyConnection) -> Rows:
    return Rows(undone)


def test_what_differs_from_what_claire_acknowledged_is_a_candidate(rows: Rows) -> None:
    for number in ("1", "2", "3", "4"):
        rows.document(number)
    rows.document("5", **ELSEWHERE)
    rows.acknowledged("2")
    rows.acknowledged("3", document_hash="old")
    rows.acknowledged("4", location_id="102")
    rows.acknowledged("1", **ELSEWHERE)
    assert rows.numbers() == ["1", "3", "4"]


def test_what_has_no_answer_yet_is_a_candidate_though_it_equals_what_claire_acknowledged(rows: Rows) -> None:
    for number in ("1", "2"):
        rows.document(number)
        rows.acknowledged(number)
    assert rows.numbers(unanswered=["2"]) == ["2"]
    assert [each.is_unanswered for each in rows.candidates(unanswered=["2"])] == [True]
    assert rows.numbers(force=True) == ["1", "2"]


def test_what_claire_is_not_owed_is_a_candidate_when_claire_has_it_or_it_is_asked_for(rows: Rows) -> None:
    rows.document("1", is_owed=False)
    rows.document("2", is_owed=False)
    rows.acknowledged("2", document_hash="old")
    assert rows.numbers() == ["2"]
    assert rows.numbers(history=True) == ["1", "2"]
    assert rows.numbers(force=True) == ["1", "2"]


def test_a_few_or_some_days_can_be_asked_for(rows: Rows) -> None:
    for number, days in (("1", 0), ("2", 1), ("3", 2), ("4", 3)):
        rows.document(number, appointment_date=TODAY + timedelta(days=days))
    assert rows.numbers(numbers=["2", "4", "9"]) == ["2", "4"]
    window = {"from": TODAY + timedelta(days=1), "to": TODAY + timedelta(days=2)}
    assert rows.numbers(**window) == ["2", "3"]


def test_today_goes_first_then_the_days_to_come_then_the_past_newest_first(rows: Rows) -> None:
    for number, days in (("1", -2), ("2", -1), ("3", 2), ("5", 0), ("4", 0), ("6", 1)):
        rows.document(number, appointment_date=TODAY + timedelta(days=days))
    assert rows.numbers() == ["4", "5", "6", "3", "2", "1"]


def test_what_is_known_of_one_that_claire_has(rows: Rows) -> None:
    rows.document("1")
    rows.document("2")
    before = TODAY - timedelta(days=1)
    rows.acknowledged("1", document_hash="old", is_canceled=True, appointment_date=before)
    rows.put("absence", dms_number="1", confirmed_at=NOW)
    rows.put("absence", dms_number="2", confirmed_at=None)
    rows.put("absence", dms_number="2", confirmed_at=NOW, **ELSEWHERE)
    rows.put("line_list", order_key="1")
    rows.put("line_list", order_key="2", **ELSEWHERE)
    first, second = rows.candidates()
    assert (first.is_acknowledged, first.was_canceled, first.was_dated) == (True, True, before)
    assert (second.is_acknowledged, second.was_canceled, second.was_dated) == (False, None, None)
    assert [each.is_gone for each in (first, second)] == [True, False]
    assert [each.is_missing for each in (first, second)] == [False, True]
    assert [each.has_lines for each in (first, second)] == [True, False]
    assert [each.is_unanswered for each in (first, second)] == [False, False]


def test_a_document_without_its_appointment_is_no_candidate(rows: Rows) -> None:
    rows.put("document", dms_number="1", document_hash="new", is_open=True, is_owed=True, appointment_date=TODAY)
    rows.put("appointment", dms_number="2", is_canceled=False)
    rows.put("appointment", dms_number="1", is_canceled=False, **ELSEWHERE)
    assert rows.numbers() == []


@pytest.mark.parametrize(
    ("part", "table", "raw", "has"),
    [("car", "car", "vehicle", "has_car"), ("contractor", "party", "relation", "has_contractor")],
)
def test_a_part_is_there_when_it_is_staged_rejected_or_does_not_exist(
    rows: Rows, part: str, table: str, raw: str, has: str
) -> None:
    rejected = {"dms_number": "r", "entity": table, "state": "open"}
    missing = {"record_key": "n", "entity": raw}
    rows.put(table, dms_number="s")
    rows.put("quarantine", **rejected)
    rows.put("nonexistent", **missing)
    for other in (
        {"dms_number": "a", "entity": "appointment"},
        {"dms_number": "a", "state": "healed"},
        {"dms_number": "a", **ELSEWHERE},
    ):
        rows.put("quarantine", **rejected | other)
    for other in ({"record_key": "a", "entity": "order"}, {"record_key": "a", **ELSEWHERE}):
        rows.put("nonexistent", **missing | other)
    rows.put(table, dms_number="a", **ELSEWHERE)
    for number, named in (("1", None), ("2", "s"), ("3", "r"), ("4", "n"), ("5", "a")):
        rows.document(number, **{part: named})
    assert [getattr(each, has) for each in rows.candidates()] == [True, True, True, True, False]
