"""How the texts of the DMS are read: every form of a date, price, flag and text."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from autoflex_pipeline_tests.unit.staging.lab import Lab

SUMMER_MORNING = datetime(2026, 7, 1, 6, 30, tzinfo=UTC)


def many(lab: Lab, raw_entity: str, entity: str, key: str, given: list[dict[str, Any]]) -> list[Any]:
    """Stage all of ``given`` at once; the outcomes in order."""
    numbers = [lab.put(raw_entity, **{key: 1000 + place}, **changes) for place, changes in enumerate(given)]
    lab.stage(entity)
    return [lab.outcome(entity, number) for number in numbers]


def test_every_form_of_a_time_is_the_same_moment(lab: Lab) -> None:
    forms = [
        "20260701T083000",
        "2026-07-01T08:30:00",
        "2026-07-01 08:30:00",
        "2026-07-01T08:30",
        "01-07-2026 08:30",
        "01-07-2026 08:30:00",
        " 2026-07-01T08:30:00 ",
    ]
    for form, outcome in zip(
        forms, many(lab, "order", "appointment", "order_id", [{"plan_date_from": form} for form in forms]), strict=True
    ):
        assert outcome["scheduled_in_at"] == SUMMER_MORNING, form
        assert outcome["appointment_date"] == date(2026, 7, 1), form


def test_a_day_alone_means_midnight_local_time_and_says_so(lab: Lab) -> None:
    forms = ["20260701", "2026-07-01", "01-07-2026"]
    for outcome in many(lab, "order", "appointment", "order_id", [{"plan_date_from": form} for form in forms]):
        assert outcome["scheduled_in_at"] == datetime(2026, 6, 30, 22, 0, tzinfo=UTC)
        assert outcome["appointment_date"] == date(2026, 7, 1)
        found = outcome.finding("time_missing")
        assert (found["severity"], found["field"], found["after"]) == (
            "repair",
            "scheduled_in_at",
            "2026-07-01T00:00:00",
        )


UNREADABLE_TIMES = [
    "00000000",
    "20261399",
    "2026-11-31",
    "31-31-2026",
    "morgen",
    "2026-11-24T25:00:00",
    "2026-1-2",
    "1",
    "20261124083000",
    "0001-01-01",
    "9999-12-31",
    {"date": "2026"},
    [1],
    True,
]


def test_an_unreadable_time_is_left_out_with_a_warning(lab: Lab) -> None:
    given = [{"plan_date_to": text} for text in UNREADABLE_TIMES]
    for text, outcome in zip(UNREADABLE_TIMES, many(lab, "order", "appointment", "order_id", given), strict=True):
        assert outcome["scheduled_out_at"] is None, text
        assert outcome.rules == [("warn", "value_unreadable", "scheduled_out_at")], text


def test_a_time_in_the_gap_moves_forward_and_a_doubled_one_is_the_first(lab: Lab) -> None:
    gap, doubled = many(
        lab,
        "order",
        "appointment",
        "order_id",
        [
            {"plan_date_from": "2026-03-29T02:30:00", "plan_date_to": None, "order_date": "20260301T100000"},
            {"plan_date_from": "2026-10-25T02:30:00", "plan_date_to": None, "order_date": "20261001T100000"},
        ],
    )
    assert gap["scheduled_in_at"] == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # 03:30 summer time
    assert doubled["scheduled_in_at"] == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 summer time
    for outcome in (gap, doubled):
        assert outcome.rules == [("repair", "clock_change_resolved", "scheduled_in_at")]


@pytest.mark.parametrize(
    ("local", "moment"),
    [
        ("2026-03-29T01:59:59", datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC)),
        ("2026-03-29T03:00:00", datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        ("2026-10-25T01:59:59", datetime(2026, 10, 24, 23, 59, 59, tzinfo=UTC)),
        ("2026-10-25T03:00:00", datetime(2026, 10, 25, 2, 0, tzinfo=UTC)),
    ],
)
def test_times_beside_a_clock_change_are_as_they_are(lab: Lab, local: str, moment: datetime) -> None:
    outcome = lab.staged("order", plan_date_from=local, plan_date_to=None, order_date=None)
    assert outcome["scheduled_in_at"] == moment
    assert outcome.rules == []


def test_a_dealer_elsewhere_has_its_own_local_time() -> None:
    outcome = Lab(zone="Atlantic/Azores").staged("order", plan_date_from="2026-07-01T08:30:00")
    assert outcome["scheduled_in_at"] == datetime(2026, 7, 1, 8, 30, tzinfo=UTC)


def test_flags_are_read_in_every_spelling(lab: Lab) -> None:
    spellings: dict[Any, bool | None] = {
        0: False, 1: True, None: None, "0": False, "1": True, "true": True, "False": False, "": None,
        "J": True, "N": False, "ja": True, "Nee": False, " 1 ": True,
    }  # fmt: skip
    given = [{"is_present": text, "is_invoiced": text} for text in spellings]
    for (text, meant), outcome in zip(
        spellings.items(), many(lab, "order", "appointment", "order_id", given), strict=True
    ):
        assert outcome["car_in_shop"] is meant, text
        assert outcome["is_billed"] is bool(meant), text
        assert outcome.rules == []


def test_json_booleans_are_flags_too(lab: Lab) -> None:
    outcome = lab.staged("order", is_present=True, is_invoiced=False)
    assert (outcome["car_in_shop"], outcome["is_billed"]) == (True, False)


def test_an_unreadable_flag_counts_as_empty(lab: Lab) -> None:
    outcome = lab.staged("order", is_present="misschien", is_invoiced=2)
    assert outcome["car_in_shop"] is None
    assert outcome["is_billed"] is False
    assert outcome.rules == [("warn", "value_unreadable", "car_in_shop"), ("warn", "value_unreadable", "is_billed")]


PRICES: dict[Any, str | None] = {
    "389.00": "389.00", 389: "389.00", 389.5: "389.50", "1.234,56": "1234.56", "49,50": "49.50", " 12.5 ": "12.50",
    "-49,50": "-49.50", 0: "0.00", "": None, None: None, "0.005": "0.01", "-0.005": "-0.01", "2.675": "2.68",
    "1.005": "1.01", "100000": "100000.00", "-100000.00": "-100000.00", "1.234.567": "reject", "100000.01": "reject",
    1e300: "reject", "0.00499999999999": "0.00", "1.234": "1.23",
}  # fmt: skip


def test_prices_are_exact_decimals_rounded_half_up(lab: Lab) -> None:
    given = [{"price_incl_vat": price} for price in PRICES]
    for (price, meant), outcome in zip(
        PRICES.items(), many(lab, "order_line", "intervention", "order_line_id", given), strict=True
    ):
        if meant == "reject":
            assert outcome.rules == [("reject", "price_out_of_range", "price")], price
        else:
            assert outcome["price"] == (None if meant is None else Decimal(meant)), price
            assert str(outcome["price"]) == str(meant), price


@pytest.mark.parametrize("number", ["NaN", "inf", "-Infinity", "n.v.t.", "1,234.56", "1_000", "€ 5", "12,", True, {}])
def test_what_is_no_finite_number_is_no_price(lab: Lab, number: Any) -> None:
    outcome = lab.staged("order_line", price_incl_vat=number)
    assert outcome.row is None
    assert outcome.rules == [("reject", "price_invalid", "price")]


def test_a_bare_nan_is_no_price(lab: Lab) -> None:
    lab.put_text(
        "order_line",
        '{"order_line_id":1,"order_id":2,"line_number":1,"description":"x","price_incl_vat":NaN}',
        "1",
        "2",
    )
    lab.stage()
    assert lab.outcome("intervention", "1").rules == [("reject", "price_invalid", "price")]


def test_mileages_are_whole_kilometres(lab: Lab) -> None:
    mileages: dict[Any, int | None] = {
        123456: 123456, "123456": 123456, " 7 ": 7, 0: 0, 12.0: 12, 2_000_000: 2_000_000, None: None, "": None,
    }  # fmt: skip
    given = [{"milometer": text, "vehicle_id": None} for text in mileages]
    for (text, meant), outcome in zip(
        mileages.items(), many(lab, "order", "appointment", "order_id", given), strict=True
    ):
        assert outcome["dms_mileage"] == meant, text
        assert outcome.rules == []


@pytest.mark.parametrize("text", ["onbekend", "123.456", "1e5", 12.5, "12 km", [1]])
def test_an_unreadable_mileage_is_left_out(lab: Lab, text: Any) -> None:
    outcome = lab.staged("order", milometer=text)
    assert outcome["dms_mileage"] is None
    assert outcome.rules == [("warn", "value_unreadable", "dms_mileage")]


@pytest.mark.parametrize("number", [-1, 2_000_001, "-5", 10**20])
def test_an_impossible_mileage_is_left_out(lab: Lab, number: Any) -> None:
    outcome = lab.staged("order", milometer=number)
    assert outcome["dms_mileage"] is None
    assert outcome.rules == [("warn", "mileage_out_of_range", "dms_mileage")]
    assert outcome.finding("mileage_out_of_range")["before"] == str(number)


def test_text_is_tidied_and_notes_keep_their_lines(lab: Lab) -> None:
    outcome = lab.staged(
        "order", notes="  Klant\u0007 wacht,\r\ngraag   bellen\tom 9:00\u0085 ", order_number=" 2026  1 "
    )
    assert outcome["dms_notes"] == "Klant wacht,\ngraag bellen\tom 9:00"
    assert outcome["wo_number"] == "2026 1"
    assert outcome.rules == [("repair", "text_cleaned", "dms_notes"), ("repair", "text_cleaned", "wo_number")]


def test_text_in_one_line_has_no_control_characters(lab: Lab) -> None:
    assert lab.staged("order_line", description="Grote\u0000 beurt\u001f\u007f ")["title"] == "Grote beurt"


def test_a_line_break_or_tab_in_a_text_of_one_line_parts_words(lab: Lab) -> None:
    outcome = lab.staged("order_line", description="Grote beurt\r\nolie verversen\tlichten \n\n\rafstellen\r\n")
    assert outcome["title"] == "Grote beurt olie verversen lichten afstellen"
    assert outcome.rules == [("repair", "text_cleaned", "title")]


def test_tidy_text_is_left_alone(lab: Lab) -> None:
    text = "Café 't Hoekje — «naïef» 😀 \\ \" / ' ; --"
    outcome = lab.staged("order_line", description=text)
    assert outcome["title"] == text
    assert outcome.rules == []


@pytest.mark.parametrize("number", [417, "417", 417.0])
def test_numbers_in_text_become_their_text(lab: Lab, number: Any) -> None:
    assert lab.staged("order", order_number=number)["wo_number"] == str(number)


@pytest.mark.parametrize("empty", [None, "", "   ", "\n\t"])
def test_empty_text_is_null(lab: Lab, empty: str | None) -> None:
    assert lab.staged("order", notes=empty)["dms_notes"] is None


def test_long_text_is_cut_with_a_mark(lab: Lab) -> None:
    outcome = lab.staged("order", notes="é" * 12_000)
    assert len(outcome["dms_notes"]) == 10_000
    assert outcome["dms_notes"].endswith("é…")
    assert outcome.rules == [("repair", "text_cut", "dms_notes")]
    assert lab.staged("order", order_id=2, notes="é" * 10_000).rules == []


@pytest.mark.parametrize("none", [0, "0", "", None, " "])
def test_zero_and_empty_refer_to_nothing(lab: Lab, none: Any) -> None:
    outcome = lab.staged("order", vehicle_id=none, relation_id=none)
    assert outcome["car_dms_number"] is None
    assert outcome["contractor_dms_number"] is None


def test_names_and_house_numbers_are_joined(lab: Lab) -> None:
    outcome = lab.staged("relation", last_name_prefix="van den", last_name="Berg", house_number=12)
    assert (outcome["last_name"], outcome["house_number"]) == ("van den Berg", "12 bis")
    outcome = lab.staged("relation", relation_id=2, last_name_prefix="", house_number_addition=None)
    assert (outcome["last_name"], outcome["house_number"]) == ("Berg", "12")
    assert outcome.rules == []
