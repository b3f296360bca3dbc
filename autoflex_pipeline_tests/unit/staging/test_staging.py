"""What a staging writes: versions, quarantine, lines, marks, accounts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from autoflex_pipeline.staging import StagingDefectError, quarantine
from autoflex_pipeline.staging.gates import model_violations
from autoflex_pipeline.staging.guard import validate_accepted
from autoflex_pipeline_tests.unit.staging.lab import ABSENT, DEALER, NOW, Lab


def line_list(lab: Lab, order: str, *keys: str) -> None:
    """What storing does when an order's lines were read completely."""
    old = lab.query("SELECT unnest(line_keys) FROM line_list WHERE order_key = ?", order)
    lab.execute("DELETE FROM line_list WHERE order_key = ?", order)
    lab.execute(
        "INSERT INTO line_list BY NAME SELECT ? AS dealer_id, ? AS order_key, ?::VARCHAR[] AS line_keys",
        DEALER,
        order,
        list(keys),
    )
    for key in {*keys, *(row[0] for row in old)} if old else ():
        lab.execute("INSERT INTO restage VALUES (?, 'order_line', ?)", DEALER, key)


def test_each_accepted_version_is_kept(lab: Lab) -> None:
    lab.staged("order", notes="one")
    lab.next_run()
    lab.staged("order", notes="two")
    past, current = lab.rows("appointment_history", dms_number="50012")
    current, past = sorted((past, current), key=lambda row: row["valid_to"] is not None)
    assert (past["dms_notes"], past["valid_from"], past["valid_to"]) == ("one", NOW, NOW + timedelta(hours=1))
    assert (current["dms_notes"], current["valid_from"], current["run_id"]) == (
        "two",
        NOW + timedelta(hours=1),
        "run-2",
    )


def test_two_versions_at_one_moment_stay_in_order(lab: Lab) -> None:
    lab.staged("order", notes="one")
    lab.staged("order", notes="two")
    past = lab.row("appointment_past")
    assert past["valid_to"] == lab.row("appointment")["observed_at"] == NOW + timedelta(microseconds=1)


def test_of_several_raw_versions_the_newest_is_staged(lab: Lab) -> None:
    for text in ("one", "two", "three"):
        lab.put("order", notes=text)
    lab.stage()
    assert lab.row("appointment")["dms_notes"] == "three"
    assert lab.rows("appointment_past") == []


def test_a_version_that_says_the_same_keeps_its_lineage(lab: Lab) -> None:
    lab.staged("order")
    before = lab.row("appointment")
    lab.next_run()
    counts = lab.put("order", order_number=" 2026-00417") and lab.stage("appointment")
    assert counts["appointment"][DEALER].accepted == 0
    assert lab.row("appointment") == before


def test_a_rejected_row_waits_while_its_last_good_version_stays(lab: Lab) -> None:
    lab.staged("order_line")
    lab.next_run()
    lab.put("order_line", price_incl_vat="n.v.t.")
    counts = lab.stage("intervention")["intervention"][DEALER]
    assert (counts.accepted, counts.quarantined) == (0, 1)
    entry = lab.row("quarantine")
    assert (entry["rule"], entry["field"], entry["value"], entry["state"]) == (
        "price_invalid",
        "price",
        "n.v.t.",
        "open",
    )
    assert entry["hint"]
    assert entry["source"] == "order_line?page=1"
    assert str(lab.row("intervention")["price"]) == "389.00"


def test_quarantine_heals_when_the_dms_is_corrected(lab: Lab) -> None:
    lab.staged("order_line", price_incl_vat="n.v.t.", description="")
    assert len(lab.rows("quarantine", state="open")) == 2
    lab.next_run()
    lab.staged("order_line")
    assert {row["state"] for row in lab.rows("quarantine")} == {"healed"}


def test_another_rule_replaces_the_entry(lab: Lab) -> None:
    lab.staged("order_line", price_incl_vat="n.v.t.")
    lab.next_run()
    lab.staged("order_line", description="")
    assert {row["rule"]: row["state"] for row in lab.rows("quarantine")} == {
        "price_invalid": "replaced",
        "title_empty": "open",
    }


def test_an_unchanged_bad_row_is_the_same_entry(lab: Lab) -> None:
    lab.staged("order_line", price_incl_vat="n.v.t.")
    lab.next_run()
    with lab.warehouse.open() as connection:
        assert quarantine.retry(connection) == 1
    lab.stage()
    entry = lab.row("quarantine")
    assert (entry["first_seen_at"], entry["last_seen_at"]) == (NOW, NOW + timedelta(hours=1))
    assert lab.query("SELECT count(*) FROM finding") == [(1,)]


def test_quarantine_is_listed_and_retried_by_choice(lab: Lab) -> None:
    lab.put("order_line", order_line_id=1, description="")
    lab.put("order_line", order_line_id=2, description="")
    lab.put("relation", last_name=None)
    lab.stage()
    with lab.warehouse.open() as connection:
        assert len(quarantine.entries(connection)) == 3
        assert len(quarantine.entries(connection, entity="party", dealer_id=DEALER)) == 1
        assert quarantine.entries(connection, state="healed") == []
        assert quarantine.retry(connection, dealer_id="another") == 0
        assert quarantine.retry(connection, entity="intervention", dms_number="2") == 1


def test_position_is_the_line_number_or_the_order_given(lab: Lab) -> None:
    lab.put("order_line", order_line_id=1, line_number="10")
    lab.put("order_line", order_line_id=2, line_number=None)
    lab.put("order_line", order_line_id=3, line_number="")
    line_list(lab, "50012", "1", "3", "2")
    lab.stage()
    assert {row["dms_number"]: row["position"] for row in lab.rows("intervention")} == {"1": 10, "2": 3, "3": 2}


def test_a_reordering_without_line_numbers_moves_the_lines(lab: Lab) -> None:
    for number in (1, 2):
        lab.put("order_line", order_line_id=number, line_number=None)
    line_list(lab, "50012", "1", "2")
    lab.stage()
    lab.next_run()
    line_list(lab, "50012", "2", "1")
    lab.stage()
    assert {row["dms_number"]: row["position"] for row in lab.rows("intervention")} == {"1": 2, "2": 1}


def test_a_line_that_left_its_order_is_closed_and_may_come_back(lab: Lab) -> None:
    lab.put("order_line", order_line_id=1)
    lab.put("order_line", order_line_id=2, description="")
    line_list(lab, "50012", "1", "2")
    lab.stage()
    lab.next_run()
    lab.execute("DELETE FROM document_dirty")
    line_list(lab, "50012")
    lab.stage()
    assert lab.rows("intervention") == []
    assert lab.row("intervention_past")["valid_to"] == lab.now
    assert lab.row("quarantine")["state"] == "gone"
    assert lab.query("FROM document_dirty") == [(DEALER, "50012")]
    lab.next_run()
    line_list(lab, "50012", "1")
    lab.execute("INSERT INTO restage VALUES (?, 'order_line', '1')", DEALER)
    lab.stage()
    assert lab.row("intervention")["observed_at"] == lab.now


def test_a_line_that_moved_to_another_order_stays(lab: Lab) -> None:
    lab.put("order_line")
    line_list(lab, "50012", "900441")
    lab.stage()
    lab.execute("DELETE FROM document_dirty")
    lab.next_run()
    line_list(lab, "50012")
    lab.put("order_line", order_id=60000)
    lab.stage()
    assert lab.row("intervention")["appointment_dms_number"] == "60000"
    assert {row[1] for row in lab.query("FROM document_dirty")} == {"50012", "60000"}


def test_documents_of_what_changed_are_marked(lab: Lab) -> None:
    lab.put("order", order_id=1)
    lab.put("order", order_id=2, is_invoiced=1)
    lab.put("order", order_id=3, vehicle_id=None, relation_id=3001)
    lab.put("order", order_id=4, vehicle_id=None, relation_id=None)
    lab.put("vehicle")
    lab.stage()
    assert {row[1] for row in lab.query("FROM document_dirty")} == {"1", "2", "3", "4"}
    lab.execute("DELETE FROM document_dirty")
    lab.put("relation")
    lab.stage()
    found = {row[1] for row in lab.query("FROM document_dirty")}
    assert found == {"1", "2", "3"}, "through the car, and as contractor; one that is new reaches the billed one too"
    lab.execute("DELETE FROM document_dirty")
    lab.put("relation", city="Houten")
    lab.stage()
    assert {row[1] for row in lab.query("FROM document_dirty")} == {"1", "3"}, "a change does not reach the billed one"
    lab.execute("DELETE FROM document_dirty")
    lab.put("vehicle", model="Polo")
    lab.stage()
    assert {row[1] for row in lab.query("FROM document_dirty")} == {"1"}
    lab.execute("DELETE FROM document_dirty")
    lab.put("vehicle", model=" Polo")
    lab.stage()
    assert lab.query("FROM document_dirty") == []


def test_the_accounts_of_a_run_balance(lab: Lab) -> None:
    lab.put("order", order_id=1)
    lab.put("order", order_id=2, order_number="")
    lab.put("order", order_id=3, order_type=2)
    lab.put("order", order_id=None)
    lab.put("order_line")
    lab.stage()
    account = lab.accounts()[DEALER]
    assert account.balanced
    assert account.extracted == {"order": 4, "order_line": 1}
    assert account.skipped == {"not_workshop": 1}
    assert account.staged["appointment"] == {"accepted": 1, "unchanged": 0, "quarantined": 2}
    lab.next_run()
    lab.put("order", order_id=1)
    lab.stage()
    assert lab.accounts()[DEALER].staged["appointment"] == {"accepted": 0, "unchanged": 1, "quarantined": 0}


def test_what_was_not_staged_does_not_balance(lab: Lab) -> None:
    lab.put("order")
    account = lab.accounts()[DEALER]
    assert not account.balanced
    assert account.lost == {"appointment": 1}


def test_one_dealer_does_not_touch_another(lab: Lab) -> None:
    lab.put("order", notes="mine")
    lab.put("order", dealer="garage-open", notes="theirs")
    lab.stage()
    lab.next_run()
    lab.put("order", notes="mine, changed")
    assert set(lab.stage("appointment")["appointment"]) == {DEALER}
    assert lab.row("appointment", dealer_id="garage-open")["dms_notes"] == "theirs"


def test_the_guard_stops_a_row_that_breaks_the_model_without_telling_its_values(lab: Lab) -> None:
    lab.staged("order")
    with lab.warehouse.open() as connection, pytest.raises(StagingDefectError) as failed:
        validate_accepted(
            connection, "appointment", "SELECT * REPLACE (-987654 AS dms_mileage, NULL AS wo_number) FROM appointment"
        )
    assert "987654" not in str(failed.value)
    assert "50012" not in str(failed.value)
    with lab.warehouse.open() as connection, pytest.raises(StagingDefectError, match="repeat a key"):
        validate_accepted(connection, "appointment", "FROM appointment UNION ALL FROM appointment")


def test_the_gates_count_what_breaks_the_model(lab: Lab) -> None:
    lab.staged("order_line")
    with lab.warehouse.open() as connection:
        assert {check["failures"] for check in model_violations(connection, "intervention")} == {0}
    lab.execute("INSERT INTO intervention SELECT * REPLACE ('' AS title, 200000 AS price) FROM intervention")
    with lab.warehouse.open() as connection:
        broken = {check["check"] for check in model_violations(connection, "intervention") if check["failures"]}
    assert broken == {
        "title: str_length(1)",
        "price: less_than_or_equal_to(100000)",
        "unique(dealer_id, dms_number)",
    }


def test_a_party_without_the_field_of_the_tussenvoegsel_keeps_its_last_name(lab: Lab) -> None:
    lab.put("relation", last_name_prefix=ABSENT, house_number_addition=ABSENT)
    lab.stage()
    assert lab.query("SELECT last_name, house_number FROM party") == [("Berg", "12")]


@pytest.mark.parametrize(
    ("then", "last_name", "house_number"),
    [
        ({"last_name": "Berg", "house_number": "12"}, "van den Berg", "12 bis"),
        ({"last_name": "Smit", "house_number": "14"}, "Smit", "14"),
        ({"last_name": None, "company_name": "Berg BV", "house_number": None}, "van den Berg", "12 bis"),
    ],
)
def test_half_a_name_that_the_dms_no_longer_gives_is_kept_with_the_other_half(
    lab: Lab, then: dict[str, str | None], last_name: str, house_number: str
) -> None:
    lab.staged("relation")
    lab.next_run()
    lab.staged("relation", last_name_prefix=ABSENT, house_number_addition=ABSENT, **then)
    row = lab.row("party")
    assert (row["last_name"], row["house_number"]) == (last_name, house_number)


def test_an_order_keeps_its_planned_date_when_the_dms_no_longer_gives_the_field(lab: Lab) -> None:
    lab.staged("order")
    lab.next_run()
    found = lab.staged("order", plan_date_from=ABSENT, notes="nieuw")
    assert (found["appointment_date"].isoformat(), found["dms_notes"]) == ("2026-11-24", "nieuw")
    assert "appointment_date_from_order_date" not in {rule for _, rule, _ in found.rules}


def test_a_new_order_without_the_field_of_the_planned_date_is_dated_by_its_order_date(lab: Lab) -> None:
    lab.put("order", plan_date_from=ABSENT)
    lab.stage()
    assert lab.query("SELECT appointment_date::VARCHAR FROM appointment") == [("2026-11-18",)]


def test_a_mileage_that_an_earlier_appointment_exceeds_is_told_when_that_one_arrives_later(lab: Lab) -> None:
    lab.put("order", order_id=1, plan_date_from="20261126", plan_date_to=None, milometer=5000)
    lab.stage()
    lab.next_run()
    lab.put("order", order_id=2, plan_date_from="20261120", plan_date_to=None, milometer=9000)
    lab.stage()
    assert lab.query("SELECT dms_number FROM finding WHERE rule = 'mileage_lower'") == [("1",)]
