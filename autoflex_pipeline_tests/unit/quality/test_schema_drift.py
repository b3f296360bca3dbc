"""What changes in the fields that the DMS sends."""

from __future__ import annotations

from typing import Any

from autoflex_pipeline_tests.unit.quality.conftest import Past, ago

DATE = "20261125T083000"


def orders(number: int, **values: Any) -> list[dict[str, Any]]:
    return [{"order_id": 1, "notes": "Klant wacht", "plan_date_to": DATE, **values} for _ in range(number)]


def without(field: str, number: int) -> list[dict[str, Any]]:
    return [{name: value for name, value in order.items() if name != field} for order in orders(number)]


def classes(past: Past) -> list[tuple[str, str]]:
    return [(row["class"], row["field"]) for row in past.check("schema_as_known").rows]


def test_the_first_days_are_learned_from_and_judge_nothing(past: Past) -> None:
    past.raw(orders(60), ago(days=2))
    past.raw(orders(60, plan_date_to="2026-11-25 08:30"), ago(days=1))
    verdict = past.check("schema_as_known")
    assert verdict.passed
    assert verdict.told == "not enough history yet (2 of 7 days)"


def test_a_field_that_is_used_and_gone_is_breaking_until_it_comes_back(past: Past) -> None:
    past.raw(orders(60), ago(days=30))
    past.raw(without("notes", 12), ago(hours=3))
    verdict = past.check("schema_as_known")
    assert not verdict.passed
    assert verdict.severity == "error"
    assert classes(past) == [("breaking", "order.notes")]
    assert "the last 12 records lack it; its last values stay" in verdict.told
    past.raw(orders(1), ago(hours=1))
    assert past.check("schema_as_known").told == "as known"


def test_a_field_that_a_few_records_lack_is_not_gone(past: Past) -> None:
    past.raw(orders(60), ago(days=30))
    past.raw(without("notes", 9), ago(hours=3))
    assert past.check("schema_as_known").passed


def test_a_field_that_was_seldom_sent_is_not_missed(past: Past) -> None:
    past.raw(without("notes", 60) + orders(60), ago(days=30))
    past.raw(without("notes", 60), ago(hours=3))
    assert past.check("schema_as_known").passed


def test_a_date_in_another_form_is_semantic_and_counts_as_known_after_a_week(past: Past) -> None:
    past.raw(orders(60), ago(days=30))
    past.raw(orders(12, plan_date_to="25-11-2026 08:30"), ago(hours=3))
    verdict = past.check("schema_as_known")
    assert (verdict.passed, verdict.severity) == (False, "warn")
    assert classes(past) == [("semantic", "order.plan_date_to")]
    assert "text 99-99-9999 99:99" in verdict.told
    assert past.check("schema_as_known", now=ago(days=-8)).passed


def test_a_field_that_turns_into_a_list_is_breaking(past: Past) -> None:
    past.raw(orders(60), ago(days=30))
    past.raw(orders(12, notes=["Klant", "wacht"]), ago(hours=3))
    assert classes(past) == [("breaking", "order.notes")]


def test_a_new_field_is_additive_and_no_failure(past: Past) -> None:
    past.raw(orders(60), ago(days=30))
    past.raw(orders(12, colour="red"), ago(hours=3))
    verdict = past.check("schema_as_known")
    assert verdict.passed
    assert classes(past) == [("additive", "order.colour")]


def test_empty_values_are_no_other_form(past: Past) -> None:
    past.raw(orders(60), ago(days=30))
    past.raw(orders(30, notes=None) + orders(30, notes=" "), ago(hours=3))
    assert past.check("schema_as_known").told == "as known"


def test_a_field_that_is_filled_for_the_first_time_has_no_other_form(past: Past) -> None:
    past.raw(orders(60, notes=None), ago(days=30))
    past.raw(orders(12), ago(hours=3))
    assert past.check("schema_as_known").told == "as known"


def test_no_value_of_the_dms_is_kept_or_told(past: Past) -> None:
    past.raw(orders(60), ago(days=30))
    past.raw(orders(12, plan_date_to="morgen bij Jansen", order_id="geheim-7"), ago(hours=3))
    kept = str(past.connection.execute("FROM dms_field").fetchall()) + past.check("schema_as_known").told
    for value in ("Klant", "morgen", "Jansen", "geheim"):
        assert value not in kept


def test_a_dms_that_puts_data_into_names_does_not_fill_the_table(past: Past) -> None:
    past.raw([{"order_id": 1, **{f"field_{number}": 1 for number in range(2000)}}], ago(hours=3))
    assert past.connection.execute("SELECT count(*) FROM dms_field").fetchall() == [(500,)]
    assert past.check("schema_as_known").passed
