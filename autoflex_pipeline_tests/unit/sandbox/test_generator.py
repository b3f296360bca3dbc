from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from autoflex_pipeline.sandbox.autoflex.query import Condition
from autoflex_pipeline.sandbox.autoflex.store import AutoflexStore
from autoflex_pipeline.sandbox.demo import load_dealer
from autoflex_pipeline.sandbox.generator import DealerData, generate_dealer
from autoflex_pipeline.sandbox.generator.dirt import RULES
from autoflex_pipeline.sandbox.generator.plates import SIDECODES

TODAY = date(2026, 11, 24)


@pytest.fixture(scope="module")
def dealer() -> DealerData:
    return generate_dealer(7, "jansen", TODAY, 6, orders_per_day=12, open_orders=500)


def test_the_same_seed_gives_the_same_dealer_and_another_seed_or_id_another(dealer: DealerData) -> None:
    assert generate_dealer(7, "jansen", TODAY, 6, orders_per_day=12, open_orders=500) == dealer
    assert generate_dealer(8, "jansen", TODAY, 6, orders_per_day=12, open_orders=500).orders != dealer.orders
    assert generate_dealer(7, "vries", TODAY, 6, orders_per_day=12, open_orders=500).vehicles != dealer.vehicles


def test_exactly_the_open_orders_asked_for(dealer: DealerData) -> None:
    assert len([row for row in dealer.orders if row["order_type"] == 1 and row["is_invoiced"] == 0]) == 500


def test_all_14_plate_forms_and_foreign_ones_occur() -> None:
    cars = generate_dealer(7, "jansen", TODAY, 6, dirty=0).vehicles
    shapes = {re.sub("[A-Z]", "X", re.sub("[0-9]", "9", car["formatted_license_plate"])) for car in cars}
    assert set(SIDECODES.values()) <= shapes
    assert shapes - set(SIDECODES.values())


def test_vins_are_well_formed_without_dirt() -> None:
    data = generate_dealer(3, "jansen", TODAY, 2, dirty=0)
    assert data.dirty == []
    assert all(re.fullmatch("[A-HJ-NPR-Z0-9]{17}", car["vin"]) for car in data.vehicles)


def test_mileages_grow_with_the_date_of_the_order() -> None:
    data = generate_dealer(3, "jansen", TODAY, 6, dirty=0, date_style="compact")
    seen: dict[int, int] = {}
    for order in sorted(data.orders, key=lambda row: row["plan_date_from"]):
        if order["milometer"] is not None:
            assert order["milometer"] >= seen.get(order["vehicle_id"], 0)
            seen[order["vehicle_id"]] = order["milometer"]
    assert len(seen) > 100


def test_about_2_percent_are_dirty_and_every_rule_is_reached(dealer: DealerData) -> None:
    rows = sum(len(dealer.rows(endpoint)) for endpoint in RULES)
    assert 0.015 < len(dealer.dirty) / rows < 0.025
    assert {(row.endpoint, row.rule) for row in dealer.dirty} == {
        (endpoint, rule) for endpoint, rules in RULES.items() for rule in rules
    }


def test_the_mess_of_real_life_is_there(dealer: DealerData) -> None:
    notes = "".join(row["notes"] or "" for row in dealer.orders)
    assert all(text in notes for text in ("'); DROP TABLE", "🔑", "\n", "\t", ";", '"', "ö"))
    assert any(len(row["notes"] or "") > 2000 for row in dealer.orders)
    assert {row["order_type"] for row in dealer.orders} == {1, 2, 3, 4, 5}
    assert any(str(row["order_number"]).endswith("i") and row["is_internal"] == 1 for row in dealer.orders)
    assert any(row["is_canceled"] == 1 for row in dealer.orders)
    assert any(row["is_invoiced"] is None for row in dealer.orders)
    assert {type(row["price_incl_vat"]) for row in dealer.lines} >= {str, float, type(None)}
    assert any(row["last_name_prefix"] for row in dealer.relations)
    assert any(row["house_number_addition"] for row in dealer.relations)
    assert any("Lease" in str(row["company_name"]) for row in dealer.relations)


def test_a_dirty_row_put_right_is_the_row_of_the_clean_dealer(tmp_path: Path, dealer: DealerData) -> None:
    store = AutoflexStore(tmp_path / "autoflex.sqlite", {"jansen": "Europe/Amsterdam"})
    load_dealer(store, dealer)
    for row in dealer.dirty:
        assert store.change("jansen", row.endpoint, row.row_id, row.clean) is not None
    clean = generate_dealer(7, "jansen", TODAY, 6, orders_per_day=12, open_orders=500, dirty=0)
    assert store.rows("jansen", "order_line") == clean.lines
    assert store.rows("jansen", "relation") == clean.relations
    assert store.count("jansen", "order", Condition("is_invoiced", "eq", "0")) >= 500
    store.close()
