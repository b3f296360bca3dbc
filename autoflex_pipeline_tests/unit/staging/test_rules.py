"""Every rule by its name: where it holds, and where it does not."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from autoflex_pipeline_tests.unit.staging.lab import ABSENT, DEALER, Lab

PLANNED = "2026-11-24T08:30:00"


def rules_of(lab: Lab, raw_entity: str, **changes: Any) -> list[str]:
    return [rule for _, rule, _ in lab.staged(raw_entity, **changes).rules]


@pytest.mark.parametrize("raw_entity", ["order", "order_line", "vehicle", "relation"])
def test_a_good_record_has_no_findings(lab: Lab, raw_entity: str) -> None:
    outcome = lab.staged(raw_entity)
    assert outcome.row is not None
    assert outcome.rules == []


@pytest.mark.parametrize(("raw_entity", "key"), [("order", "order_id"), ("relation", "relation_id")])
def test_key_missing(lab: Lab, raw_entity: str, key: str) -> None:
    lab.put(raw_entity, **{key: None})
    lab.stage()
    entry = lab.row("quarantine")
    assert (entry["rule"], entry["field"], entry["dms_number"]) == ("key_missing", "dms_number", None)


def test_two_records_without_a_key_are_two_entries(lab: Lab) -> None:
    lab.put("relation", relation_id=None)
    lab.put("relation", relation_id=None, last_name="Bos")
    lab.stage()
    assert len(lab.rows("quarantine", state="open")) == 2


def test_key_missing_holds_for_a_line_that_names_no_order(lab: Lab) -> None:
    assert lab.staged("order_line", order_id=None).rules == [("reject", "key_missing", "appointment_dms_number")]


@pytest.mark.parametrize("text", ['{"order_id": 1', "[1, 2]", '"x"', "null", "", '{"a": "\\ud800"}', "geen json"])
def test_record_unreadable(lab: Lab, text: str) -> None:
    lab.put_text("order", text, "1")
    lab.put("order")
    lab.stage()
    assert lab.row("quarantine")["rule"] == "record_unreadable"
    assert len(lab.rows("appointment")) == 1, "the good one beside it goes on"


@pytest.mark.parametrize("empty", [None, "", "  ", "\u0000"])
def test_wo_number_missing(lab: Lab, empty: str | None) -> None:
    outcome = lab.staged("order", order_number=empty)
    assert outcome.row is None
    assert ("reject", "wo_number_missing", "wo_number") in outcome.rules


@pytest.mark.parametrize(
    "dates",
    [
        {"plan_date_from": "00000000"},
        {"plan_date_from": "morgen"},
        {"plan_date_from": None, "order_date": None},
        {"plan_date_from": "", "order_date": "gisteren"},
    ],
)
def test_appointment_date_unreadable(lab: Lab, dates: dict[str, Any]) -> None:
    outcome = lab.staged("order", **dates)
    assert outcome.row is None
    assert ("reject", "appointment_date_unreadable", "appointment_date") in outcome.rules


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_appointment_date_from_order_date(lab: Lab, empty: str | None) -> None:
    outcome = lab.staged("order", plan_date_from=empty)
    assert outcome["appointment_date"] == date(2026, 11, 18)
    assert outcome["scheduled_in_at"] is None
    assert outcome.rules == [("warn", "appointment_date_from_order_date", "appointment_date")]


@pytest.mark.parametrize(
    ("planned", "is_possible"),
    [
        ("1999-12-31", False),
        ("2000-01-01", True),
        ("0001-01-01", False),
        ("2028-11-23", True),
        ("2028-11-24", False),
        ("9999-12-31", False),
    ],
)
def test_date_out_of_range(lab: Lab, planned: str, is_possible: bool) -> None:
    outcome = lab.staged("order", plan_date_from=planned, plan_date_to=None, order_date=None)
    assert (outcome.row is not None) is is_possible
    assert (("reject", "date_out_of_range", "appointment_date") in outcome.rules) is not is_possible


@pytest.mark.parametrize(
    ("planned", "ordered", "is_swapped"),
    [
        ("2026-01-12T08:30:00", "20261120", False),  # exchanged it is 1 December
        ("2027-10-01T08:30:00", "20261220", True),  # exchanged it is 10 January
        ("2027-10-13T08:30:00", "20261220", False),  # there is no month 13
        ("2027-05-01T08:30:00", "20261220", False),  # within 180 days
        ("2027-10-06T08:30:00", "20261220", False),  # exchanged it is 10 June: too far as well
    ],
)
def test_date_day_month_swapped(lab: Lab, planned: str, ordered: str, is_swapped: bool) -> None:
    if planned.startswith("2026-01-12"):
        is_swapped = True
    outcome = lab.staged("order", plan_date_from=planned, plan_date_to=None, order_date=ordered + "T100000")
    assert ("date_day_month_swapped" in [rule for _, rule, _ in outcome.rules]) is is_swapped


@pytest.mark.parametrize(
    ("comes", "leaves", "is_bad"),
    [
        (PLANNED, "2026-11-24T08:29:59", True),
        (PLANNED, PLANNED, False),
        (PLANNED, "2026-11-24", False),  # by day when one has no time
        (PLANNED, "2026-11-23", True),
        ("2026-11-24", "2026-11-24T07:00:00", False),
        ("2026-11-24", "2026-11-23T23:00:00", True),
        (PLANNED, None, False),
    ],
)
def test_out_before_in(lab: Lab, comes: str, leaves: str | None, is_bad: bool) -> None:
    outcome = lab.staged("order", plan_date_from=comes, plan_date_to=leaves)
    assert (("warn", "out_before_in", "scheduled_out_at") in outcome.rules) is is_bad
    assert (outcome["scheduled_out_at"] is None) is (is_bad or leaves is None)


@pytest.mark.parametrize(("ordered", "is_late"), [("20261125T000000", True), ("20261124T235959", False)])
def test_created_after_appointment(lab: Lab, ordered: str, is_late: bool) -> None:
    outcome = lab.staged("order", order_date=ordered)
    assert (("warn", "created_after_appointment", "created_at") in outcome.rules) is is_late
    assert outcome["created_at"] is not None


def test_mileage_lower(lab: Lab) -> None:
    for number, day, mileage in ((1, "20261101", 50_000), (2, "20261110", 40_000), (3, "20261110", 60_000)):
        lab.put("order", order_id=number, plan_date_from=day, plan_date_to=None, milometer=mileage, order_date=None)
    lab.put("order", order_id=4, plan_date_from="20261120", milometer=1, vehicle_id=8, order_date=None)
    lab.stage()
    lower = {row["dms_number"]: row["before"] for row in lab.rows("finding", rule="mileage_lower")}
    assert lower == {"2": "40000"}, "only lower than on an earlier day, of the same car"
    assert lab.outcome("appointment", "2")["dms_mileage"] == 40_000


def test_mileage_lower_looks_at_what_was_staged_before(lab: Lab) -> None:
    lab.staged("order", order_id=1, plan_date_from="20261101", milometer=50_000)
    lab.next_run()
    assert "mileage_lower" in rules_of(lab, "order", order_id=2, plan_date_from="20261102", milometer=49_999)


@pytest.mark.parametrize("empty", [None, "", " ", "\t"])
def test_title_empty(lab: Lab, empty: str | None) -> None:
    outcome = lab.staged("order_line", description=empty)
    assert outcome.row is None
    assert ("reject", "title_empty", "title") in outcome.rules


@pytest.mark.parametrize(("price", "is_possible"), [("100000", True), ("-100000", True), ("-100.000,01", False)])
def test_price_out_of_range(lab: Lab, price: str, is_possible: bool) -> None:
    outcome = lab.staged("order_line", price_incl_vat=price)
    assert (outcome.row is not None) is is_possible


def test_orphan(lab: Lab) -> None:
    assert lab.staged("order_line").rules == [], "it waits for its order"
    lab.next_run(hours=23)
    lab.stage()
    assert lab.outcome("intervention", "900441").rules == []
    for _ in range(2):
        lab.next_run(hours=2)
        lab.stage()
        found = lab.outcome("intervention", "900441")
        assert found.rules == [("warn", "orphan", "appointment_dms_number")], "once"
    assert found["title"] == "Grote beurt"


def test_a_line_whose_order_came_is_no_orphan(lab: Lab) -> None:
    lab.put("order_line")
    lab.put("order")
    lab.stage()
    lab.next_run(hours=48)
    lab.stage()
    assert lab.rows("finding", rule="orphan") == []


SIDECODES = [
    "XX-99-99", "99-99-XX", "99-XX-99", "XX-99-XX", "XX-XX-99", "99-XX-XX", "99-XXX-9", "9-XXX-99", "XX-999-X",
    "X-999-XX", "XXX-99-X", "X-99-XXX", "9-XX-999", "999-XX-9",
]  # fmt: skip


@pytest.mark.parametrize("sidecode", SIDECODES)
def test_plate_normalised(lab: Lab, sidecode: str) -> None:
    plate = sidecode.replace("X", "G").replace("9", "7")
    signs = plate.replace("-", "")
    ways = [signs, signs.lower(), f" {plate.lower()} ", " ".join(signs), plate[:3] + "." + plate[3:]]
    for number, typed in enumerate([*ways, plate], start=1):
        lab.put("vehicle", vehicle_id=number, license_plate=typed)
    lab.stage()
    for number, typed in enumerate(ways, start=1):
        outcome = lab.outcome("car", str(number))
        assert outcome["registration_number"] == plate
        assert outcome.rules == [("repair", "plate_normalised", "registration_number")]
        assert outcome.finding("plate_normalised")["before"] == typed
    assert lab.outcome("car", str(len(ways) + 1)).rules == []


def test_the_three_ways_to_type_one_plate(lab: Lab) -> None:
    for number, typed in enumerate(["12ab3c", "12-AB-3C", " 12 AB 3 C "]):
        assert lab.staged("vehicle", vehicle_id=number + 1, license_plate=typed)["registration_number"] == "12-AB-3C"


@pytest.mark.parametrize(
    ("typed", "passed_on"),
    [
        (" m ab 1234 ", "M AB 1234"),
        ("1-abc-234", "1-ABC-234"),
        ("ABCDEF", "ABCDEF"),
        ("Ä1-23-BB", "Ä1-23-BB"),
        ("x", "X"),
    ],
)
def test_plate_foreign_or_invalid(lab: Lab, typed: str, passed_on: str) -> None:
    outcome = lab.staged("vehicle", license_plate=typed)
    assert outcome["registration_number"] == passed_on
    assert ("warn", "plate_foreign_or_invalid", "registration_number") in outcome.rules


@pytest.mark.parametrize(
    ("vin", "is_good"),
    [("wvwzzz1kzaw000001", True), ("WVWZZZ1KZAW00000", False), ("WVWZZZ1KZAW0000O1", False), ("IOQ", False)],
)
def test_vin_invalid(lab: Lab, vin: str, is_good: bool) -> None:
    outcome = lab.staged("vehicle", vin=vin)
    assert outcome["vin"] == vin.upper()
    assert (("warn", "vin_invalid", "vin") in outcome.rules) is not is_good


def test_car_unidentified(lab: Lab) -> None:
    nothing = {"brand": "", "model": None, "license_plate": " ", "vin": None}
    outcome = lab.staged("vehicle", **nothing)
    assert outcome.row is None
    assert [rule for severity, rule, _ in outcome.rules if severity == "reject"] == ["car_unidentified"]
    assert lab.staged("vehicle", vehicle_id=2, **{**nothing, "model": "Golf"}).row is not None


@pytest.mark.parametrize(
    ("company", "prefix", "last_name", "is_named"),
    [(None, None, None, False), ("", "van", " ", False), ("Lease BV", None, None, True), (None, None, "Bos", True)],
)
def test_party_nameless(lab: Lab, company: str, prefix: str, last_name: str, is_named: bool) -> None:
    outcome = lab.staged("relation", company_name=company, last_name_prefix=prefix, last_name=last_name)
    assert (outcome.row is not None) is is_named
    assert ("party_nameless" in [rule for _, rule, _ in outcome.rules]) is not is_named


@pytest.mark.parametrize("typed", ["1234ab", "1234AB", " 1234  ab", "1234-AB", "12 34 AB"])
def test_postcode_normalised(lab: Lab, typed: str) -> None:
    outcome = lab.staged("relation", postcode=typed)
    assert outcome["postcode"] == "1234 AB"
    assert outcome.rules == [("repair", "postcode_normalised", "postcode")]


@pytest.mark.parametrize("typed", ["0123 AB", "1234 SS", "1234 A", "1234 ABC", "1234A1"])
def test_postcode_malformed(lab: Lab, typed: str) -> None:
    outcome = lab.staged("relation", postcode=typed)
    assert outcome["postcode"] == typed
    assert outcome.rules == [("warn", "postcode_malformed", "postcode")]


@pytest.mark.parametrize("typed", ["B-1000", "1000", "50667", "SW1A 1AA", "D-50667", "1000-205", "75008"])
def test_foreign_postcodes_are_fine(lab: Lab, typed: str) -> None:
    outcome = lab.staged("relation", postcode=typed)
    assert outcome["postcode"] == typed
    assert outcome.rules == []


def test_orders_of_another_type_are_skipped(lab: Lab) -> None:
    types = {
        1: 1,
        2: "1",
        3: "WORKSHOP",
        4: "Werkplaats",
        5: 2,
        6: "INTERNAL_REVERSAL",
        7: None,
        8: "",
        9: ABSENT,
        10: 99,
        11: " werkplaats ",
    }
    for number, order_type in types.items():
        lab.put("order", order_id=number, order_type=order_type)
    lab.stage()
    assert [row["dms_number"] for row in lab.rows("appointment")] == ["1", "11", "2", "3", "4"]
    reasons = {row["record_key"]: row["reason"] for row in lab.rows("skipped")}
    assert reasons == {
        "5": "not_workshop", "6": "not_workshop", "7": "type_missing", "8": "type_missing", "9": "type_missing",
        "10": "not_workshop",
    }  # fmt: skip
    assert lab.rows("finding") == []


def test_an_order_that_becomes_a_workshop_order_is_staged(lab: Lab) -> None:
    lab.staged("order", order_type=2)
    lab.next_run()
    assert lab.staged("order").row is not None
    assert lab.rows("skipped") == []


def test_gone_from_dms_and_returned_to_dms(lab: Lab) -> None:
    lab.staged("order")
    lab.next_run()
    lab.execute(
        "INSERT INTO absence BY NAME SELECT ? AS dealer_id, '50012' AS dms_number, now() AS confirmed_at", DEALER
    )
    lab.execute("INSERT INTO restage VALUES (?, 'order', '50012')", DEALER)
    lab.stage()
    gone = lab.outcome("appointment", "50012")
    assert gone["is_canceled"] is True
    assert gone.rules == [("warn", "gone_from_dms", "is_canceled")]
    lab.next_run()
    lab.execute("UPDATE absence SET returned_at = now()")
    lab.execute("INSERT INTO restage VALUES (?, 'order', '50012')", DEALER)
    lab.stage()
    back = lab.outcome("appointment", "50012")
    assert back["is_canceled"] is False
    assert back.rules == [("warn", "returned_to_dms", "is_canceled")]
    assert lab.rows("absence") == []
    assert [row["is_canceled"] for row in lab.rows("appointment_history")].count(True) == 1


def test_field_absent_keeps_the_last_value(lab: Lab) -> None:
    lab.staged("order", is_invoiced=1)
    lab.next_run()
    outcome = lab.staged("order", notes=ABSENT, is_invoiced=ABSENT, plan_date_from=ABSENT, order_number="2")
    assert outcome["dms_notes"] == "Klant wacht"
    assert outcome["is_billed"] is True
    assert outcome["appointment_date"] == date(2026, 11, 24)
    assert outcome["wo_number"] == "2"
    absent = {field for _, rule, field in outcome.rules if rule == "field_absent"}
    assert absent == {"dms_notes", "is_billed", "appointment_date", "scheduled_in_at"}


def test_a_null_field_is_not_absent(lab: Lab) -> None:
    lab.staged("order")
    lab.next_run()
    outcome = lab.staged("order", notes=None)
    assert outcome["dms_notes"] is None
    assert outcome.rules == []


def test_a_new_record_that_lacks_a_field_is_empty_there(lab: Lab) -> None:
    outcome = lab.staged("order", notes=ABSENT)
    assert outcome["dms_notes"] is None
    assert outcome.rules == [("warn", "field_absent", "dms_notes")]


def test_a_record_beside_one_that_lacks_a_field_is_not_touched(lab: Lab) -> None:
    lab.put("order", order_id=1, notes=ABSENT)
    lab.put("order", order_id=2, notes="notes")
    lab.stage()
    assert lab.outcome("appointment", "2").rules == []


def test_last_modified_may_be_absent(lab: Lab) -> None:
    lab.staged("order", last_modified="20261120T100000")
    lab.next_run()
    outcome = lab.staged("order", last_modified=ABSENT)
    assert outcome["modified_at"] is None
    assert outcome.rules == []


def test_gone_counts_where_the_dms_has_no_canceled_flag(lab: Lab) -> None:
    lab.staged("order", is_canceled=ABSENT)
    lab.next_run()
    lab.execute(
        "INSERT INTO absence BY NAME SELECT ? AS dealer_id, '50012' AS dms_number, now() AS confirmed_at", DEALER
    )
    lab.execute("INSERT INTO restage VALUES (?, 'order', '50012')", DEALER)
    lab.stage()
    assert lab.outcome("appointment", "50012")["is_canceled"] is True


NASTY = [
    "'; DROP TABLE appointment; --",
    '"; SELECT 1',
    "$now",
    "{entity}",
    "%s",
    "?",
    "\\'",
    "NULL",
    "')) OR 1=1",
    "{0}",
]


@pytest.mark.parametrize("raw_entity", ["order", "order_line", "vehicle", "relation"])
def test_sql_in_any_field_is_just_text(lab: Lab, raw_entity: str) -> None:
    from autoflex_pipeline_tests.unit.staging.lab import GOOD, KEYS

    names = [name for name in GOOD[raw_entity] if name not in (KEYS[raw_entity], "order_type")]
    for place, text in enumerate(NASTY):
        lab.put(raw_entity, **{KEYS[raw_entity]: f"{place}{text}", **dict.fromkeys(names, text)})
    lab.put(raw_entity)
    lab.stage()
    taken = sum(len(lab.rows(table)) for table in ("appointment", "intervention", "car", "party"))
    rejected = lab.query("SELECT count(DISTINCT dms_number) FROM quarantine")[0][0]
    assert taken + rejected == len(NASTY) + 1
    assert all(account.balanced for account in lab.accounts().values())
