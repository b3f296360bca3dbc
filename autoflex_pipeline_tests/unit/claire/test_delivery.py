from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from autoflex_pipeline.state.holds import place_hold
from autoflex_pipeline.state.locks import dealer_lock
from autoflex_pipeline_tests.unit.claire.delivering import DEALER, LOCATION, Bench, bench
from autoflex_pipeline_tests.unit.claire.stage import NOW, put, put_appointment, put_lines, refresh

TODAY = date(2026, 11, 24)
NEXT_WEEK = TODAY + timedelta(days=7)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with bench(tmp_path, monkeypatch) as running:
        yield running


def start_work(run: Bench, number: str) -> None:
    found = run.claire.service.store.find(LOCATION, number)
    assert found is not None
    assert run.claire.service.move(found, "Control started", force=True)


def test_claire_holds_the_projection_exactly(run: Bench) -> None:
    run.put("1")
    assert run.deliver().counts["created"] == 1
    held = run.held("1")
    assert held["scheduled_in"] == "2026-11-24T08:30:00+01:00"
    assert [(line["title"], line["price"]) for line in held["interventions"]] == [
        ("Grote beurt", "389.00"),
        ("APK", "49.50"),
    ]
    assert held["car"]["registration_number"] == "GH-123-J"
    assert {customer["customer_kind"] for customer in held["customers"]} == {"driver", "contractor"}


def test_an_empty_value_that_keeps_is_not_blanked_and_costs_one_look_but_no_request(run: Bench) -> None:
    run.put("1")
    run.deliver()
    before = run.requests()
    run.put("1", dms_mileage=None)
    assert run.deliver().counts["updated"] == 0
    assert run.requests() == before
    assert run.held("1")["dms_mileage"] == 123456


def test_a_delivery_that_waits_in_vain_for_another_of_its_dealer_is_busy_and_sends_nothing(run: Bench) -> None:
    run.put("1")
    with dealer_lock(run.state.path, DEALER):
        delivery = run.deliver()
    assert (delivery.error_kind, sum(delivery.counts.values())) == ("busy", 0)
    assert f"dealer {DEALER!r}: another run has been delivering for more than 0.3 s" in (delivery.error or "")
    assert run.requests() == 0
    assert run.deliver().counts["created"] == 1


def test_a_dry_run_sends_nothing_makes_no_intent_and_shows_every_field(run: Bench) -> None:
    run.put("1", "2")
    run.deliver()
    before = run.requests()
    run.put("1", dms_notes="anders")
    run.put("3")
    delivery = run.deliver(dry_run=True)
    assert run.requests() == before
    assert (delivery.counts["created"], delivery.counts["updated"]) == (1, 1)
    changed = next(change for change in delivery.changes if change["dms_number"] == "1")
    assert [(field["field"], field["new"]) for field in changed["fields_changed"]] == [("dms_notes", "anders")]
    with run.warehouse.open() as connection:
        assert connection.execute("SELECT count(*) FROM preview").fetchone() == (2,)
    delivery = run.deliver()
    assert (delivery.counts["created"], delivery.counts["updated"]) == (1, 1)


def test_a_new_appointment_waits_for_its_parts_at_most_so_many_hours(run: Bench) -> None:
    with run.warehouse.open() as connection:
        put_appointment(connection, "1", appointment_date=NEXT_WEEK)
        put_appointment(connection, "2", appointment_date=TODAY + timedelta(days=1))
    refresh(run.warehouse)
    delivery = run.deliver()
    assert (delivery.counts["waiting"], delivery.counts["created"]) == (1, 1)
    assert delivery.next_due_at == NOW + timedelta(hours=24)
    run.later(hours=24)
    delivery = run.deliver()
    assert (delivery.counts["waiting"], delivery.counts["created"]) == (0, 1)


def test_nobody_waits_for_what_is_in_quarantine_or_does_not_exist(run: Bench) -> None:
    with run.warehouse.open() as connection:
        put_appointment(connection, "1", appointment_date=NEXT_WEEK)
        put_lines(connection, "1", [])
        put(connection, "quarantine", entity="car", dms_number="7001", state="open")
        put(connection, "nonexistent", entity="relation", record_key="3090")
    refresh(run.warehouse)
    assert run.deliver().counts["created"] == 1


def test_once_work_has_started_updates_are_held_where_importing_ends(run: Bench) -> None:
    run.dealer_changes = {"keep_importing": False}
    run.put("1", "2")
    run.deliver()
    start_work(run, "1")
    run.put("1", "2", dms_notes="later")
    delivery = run.deliver()
    assert (delivery.counts["held"], delivery.counts["updated"]) == (1, 1)
    assert run.held("1")["dms_notes"] != "later"
    before = run.requests()
    assert run.deliver().counts["held"] == 1
    assert run.requests() == before
    run.dealer_changes = {"keep_importing": True}
    assert run.deliver().counts["updated"] == 1
    assert run.held("1")["dms_notes"] == "later"


def test_a_held_update_goes_at_the_full_pass_once_claire_moved_the_status_back(run: Bench) -> None:
    run.dealer_changes = {"keep_importing": False}
    run.put("1")
    run.deliver()
    start_work(run, "1")
    run.put("1", dms_notes="later")
    run.deliver()
    assert run.deliver(ask_held_again=True).counts["held"] == 1
    found = run.claire.service.store.find(LOCATION, "1")
    assert found is not None
    assert run.claire.service.move(found, "Car in shop", force=True)
    assert run.deliver(ask_held_again=True).counts["updated"] == 1
    assert run.held("1")["dms_notes"] == "later"


def test_a_mass_change_is_stopped_whole_and_let_through_by_a_person(run: Bench) -> None:
    numbers = [str(number) for number in range(10)]
    run.put(*numbers)
    run.deliver()
    run.put(*numbers[:3], is_canceled=True)
    run.put(*numbers[3:5], appointment_date=NEXT_WEEK)
    run.put("new")
    before = run.requests()
    delivery = run.deliver()
    assert delivery.error_kind == "guard"
    assert delivery.counts["pending"] == 6
    assert run.requests() == before
    delivery = run.deliver(allow_mass_change=True)
    assert (delivery.error, delivery.counts["updated"], delivery.counts["created"]) == (None, 5, 1)
    assert delivery.counts["pending"] == 0


@pytest.mark.parametrize(("open_ones", "changed"), [(10, 4), (20, 6)])
def test_few_changes_or_a_small_share_are_no_mass_change(run: Bench, open_ones: int, changed: int) -> None:
    numbers = [str(number) for number in range(open_ones)]
    run.put(*numbers)
    run.deliver()
    run.put(*numbers[:changed], is_canceled=True)
    assert run.deliver().counts["updated"] == changed


def test_the_guard_measures_against_the_open_ones_that_are_not_canceled_already(run: Bench) -> None:
    numbers = [str(number) for number in range(20)]
    run.put(*numbers[:10], is_canceled=True)
    run.put(*numbers[10:])
    run.deliver()
    run.put(*numbers[10:15], is_canceled=True)
    delivery = run.deliver()
    assert delivery.error_kind == "guard", "5 of 10; of all 20 they would be few"
    assert "5 of 10 open appointments" in (delivery.error or "")


def test_canceled_ones_that_change_their_date_are_no_mass_change(run: Bench) -> None:
    numbers = [str(number) for number in range(6)]
    run.put(*numbers, is_canceled=True)
    run.deliver()
    run.put(*numbers, is_canceled=True, appointment_date=NEXT_WEEK)
    delivery = run.deliver()
    assert (delivery.error, delivery.counts["updated"]) == (None, 6)


def test_an_open_list_that_came_back_empty_is_not_believed(run: Bench) -> None:
    run.put("1", "2", "3")
    run.deliver()
    delivery = run.deliver(open_list_emptied=True)
    assert delivery.error_kind == "guard"
    assert run.deliver().error is None


def test_a_window_does_not_carry_out_what_the_guard_holds(run: Bench) -> None:
    run.put("1", "2")
    run.deliver()
    with run.state.begin() as state:
        place_hold(state, DEALER, "guard", "cause", "message", NOW)
    run.put("1", is_canceled=True)
    run.put("2", dms_notes="x")
    delivery = run.deliver(window=(TODAY, TODAY))
    assert (delivery.counts["pending"], delivery.counts["updated"]) == (1, 1)
    assert run.held("1")["canceled"] is False


def test_a_window_does_not_carry_out_what_the_guard_stopped_when_another_hold_took_its_place(run: Bench) -> None:
    run.put(*"123456")
    run.deliver()
    run.put(*"12345", is_canceled=True)
    assert run.deliver().error_kind == "guard"
    with run.state.begin() as state:
        place_hold(state, DEALER, "login", "cause", "message", NOW)
    delivery = run.deliver(window=(TODAY, TODAY))
    assert (delivery.counts["pending"], delivery.counts["updated"]) == (5, 0)


def test_closed_ones_go_only_when_their_history_is_asked_for(run: Bench) -> None:
    run.put("1")
    run.put("2", is_billed=True)
    assert run.deliver(window=(TODAY, TODAY)).counts["created"] == 1
    assert run.deliver(window=(TODAY, TODAY), deliver_history=True).counts["created"] == 1
    run.put("2", is_billed=True, dms_notes="x")
    assert run.deliver().counts["updated"] == 1


def test_what_is_gone_from_the_dms_before_claire_had_it_is_never_sent(run: Bench) -> None:
    run.gone("1")
    run.deliver()
    assert run.numbers() == []


def test_what_the_dms_does_not_have_any_more_is_not_made_in_claire_until_it_is_there_again(run: Bench) -> None:
    run.put("1")
    run.put("2")
    run.deliver()
    run.put("3", "4")
    run.put("2", dms_notes="x")
    for number in "23":
        run.missing(number)
    counts = run.deliver().counts
    assert (counts["created"], counts["updated"], counts["waiting"]) == (1, 1, 1)
    assert run.numbers() == ["1", "2", "4"]
    assert run.held("2")["dms_notes"] == "x"
    run.back("3")
    assert run.deliver().counts["created"] == 1


def test_what_the_dms_does_not_have_any_more_is_made_in_claire_when_a_person_asks_for_it(run: Bench) -> None:
    run.put("3")
    run.missing("3")
    assert run.deliver(force=True, numbers=("3",)).counts["created"] == 1


@pytest.mark.parametrize("has_it", [True, False])
def test_what_is_missing_after_a_lost_answer_is_not_repeated_before_it_is_known_to_be_gone_or_back(
    run: Bench, has_it: bool
) -> None:
    """Claire may still be at it: whether it has the appointment is asked once that decides about a cancel."""
    run.faults({"kind": "reset_after" if has_it else "status_before", **({} if has_it else {"status": 503})})
    run.put("3")
    run.deliver()
    run.faults()
    run.missing("3")
    before = run.claire.service.store.counts()["imports"]
    assert run.deliver().counts["waiting"] == 1
    assert run.claire.service.store.counts()["imports"] == before
    run.back("3")
    run.deliver()
    assert run.numbers() == ["3"]
    assert len(run.effects("3")) == 1


def test_an_order_canceled_when_first_seen_is_sent_as_canceled(run: Bench) -> None:
    run.put("1", is_canceled=True)
    run.deliver()
    assert run.held("1")["canceled"] is True


def test_another_car_does_not_inherit_mileage_and_plate(run: Bench) -> None:
    run.put("1")
    run.deliver()
    with run.warehouse.open() as connection:
        put(connection, "car", dms_number="7002", make="Skoda")
    run.put("1", car_dms_number="7002", dms_mileage=None)
    run.deliver()
    held = run.held("1")
    assert held["dms_mileage"] is None
    assert held["car"]["registration_number"] is None
    assert held["car"]["make"] == "Skoda"
    assert [customer["customer_kind"] for customer in held["customers"]] == ["contractor"]


def test_the_seen_ones_with_nothing_to_send_count_as_unchanged(run: Bench) -> None:
    run.put("1", "2")
    run.deliver()
    with run.warehouse.open() as connection:
        for number in ("1", "2"):
            put(connection, "sighting", entity="order", record_key=number, run_id=f"run-{run.runs + 1}")
    assert run.deliver().counts["unchanged"] == 2


def test_the_ledger_and_what_claire_acknowledged_are_copied_into_the_warehouse(run: Bench) -> None:
    run.put("1", "2")
    run.deliver()
    run.put("1", dms_notes="x")
    run.deliver()
    with run.warehouse.open() as connection:
        rows = connection.execute("SELECT dms_number, result FROM delivery ORDER BY delivery_id").fetchall()
        assert sorted(rows) == [("1", "created"), ("1", "updated"), ("2", "created")]
        assert connection.execute("SELECT count(*) FROM acknowledged").fetchone() == (2,)


def test_without_the_key_the_dealer_fails_and_its_documents_stay_pending(
    run: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_CLAIRE_KEY")
    run.put("1")
    delivery = run.deliver()
    assert delivery.error_kind == "configuration"
    assert "TEST_CLAIRE_KEY" in (delivery.error or "")
    assert delivery.counts["pending"] == 1
