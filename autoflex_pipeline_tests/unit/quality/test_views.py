"""What the pictures and the previews are made of."""

from __future__ import annotations

from autoflex_pipeline.quality.preview import masked_rows
from autoflex_pipeline.quality.trends import DAYS, arrivals_by_day, latency_by_day, rejections_by_day
from autoflex_pipeline_tests.unit.quality.conftest import DEALER, NOW, Past, ago

TODAY = NOW.date()


def test_arrivals_are_counted_by_the_day_on_which_they_were_made_and_every_day_has_its_place(past: Past) -> None:
    past.appointments(3, ago(hours=1))
    past.appointments(5, ago(days=2), observed_at=ago(hours=1))
    past.appointments(9, ago(days=40))
    found = arrivals_by_day(past.connection, NOW)
    assert len(found) == DAYS
    assert {day: parts for day, parts in found.items() if parts} == {
        TODAY: {"new": 3},
        ago(days=2).date(): {"new": 5},
    }


def test_rejections_show_the_most_frequent_rules_and_the_rest_together(past: Past) -> None:
    rules = ["a"] * 5 + ["b"] * 4 + ["c"] * 3 + ["d"] * 2 + ["e", "f"]
    past.insert("quarantine", [{"dealer_id": DEALER, "rule": rule, "first_seen_at": ago(hours=1)} for rule in rules])
    assert rejections_by_day(past.connection, NOW)[TODAY] == {"a": 5, "b": 4, "c": 3, "d": 2, "other": 2}


def test_latency_is_told_by_day(past: Past) -> None:
    past.insert("appointment", [{"dealer_id": DEALER, "dms_number": "1", "observed_at": ago(days=1, seconds=40)}])
    past.insert(
        "delivery", [{"dealer_id": DEALER, "dms_number": "1", "attempted_at": ago(days=1), "result": "created"}]
    )
    found = latency_by_day(past.connection, NOW)
    assert found[ago(days=1).date()] == {"half within": 40, "95 % within": 0}


def test_a_preview_strikes_out_what_is_personal_or_leads_to_a_person(past: Past) -> None:
    past.insert(
        "appointment",
        [{
            "dealer_id": DEALER, "dms_number": "50001", "wo_number": "2026-50001", "dms_notes": "Bel mevr. Jansen",
            "contractor_dms_number": "3001", "is_billed": False, "observed_at": NOW,
        }],
    )  # fmt: skip
    past.insert("car", [{"dealer_id": DEALER, "dms_number": "7001", "vin": "WVW1", "make": "Audi", "observed_at": NOW}])
    past.insert("party", [{"dealer_id": DEALER, "dms_number": "3001", "last_name": "Jansen", "place": "Utrecht"}])
    (appointment,) = masked_rows(past.connection, "appointment")
    assert (appointment["wo_number"], appointment["is_billed"]) == ("2026-50001", False)
    assert (appointment["dms_notes"], appointment["contractor_dms_number"]) == ("•••", "•••")
    (car,) = masked_rows(past.connection, "car")
    assert (car["make"], car["vin"], car["engine_number"]) == ("Audi", "•••", None)
    (party,) = masked_rows(past.connection, "party")
    assert {value for name, value in party.items() if name != "dealer_id"} == {"•••", None}


def test_a_preview_shows_the_three_newest(past: Past) -> None:
    for hours in range(5):
        past.appointments(1, ago(hours=hours))
    assert [row["dms_number"] for row in masked_rows(past.connection, "appointment")] == ["1", "2", "3"]
