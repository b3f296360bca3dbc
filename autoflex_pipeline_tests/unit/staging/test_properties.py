"""Invariants 1, 4 and 5 of the rules, and normalising twice, for whatever the DMS may say."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoflex_pipeline.staging import quarantine
from autoflex_pipeline_tests.unit.staging.lab import ABSENT, DEALER, GOOD, KEYS, Lab

FEW = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

texts = st.text(max_size=30) | st.sampled_from(
    ["20260229", "2026-10-25T02:30:00", "1.234,56", "NaN", "12ab34", "1234ab", "0", "1", "  x  ", "\u0000", "𝄞"]
)
values: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.sampled_from(["a", "notes"]), st.integers(), max_size=1)
    | st.just(ABSENT)
)


@st.composite
def changed_records(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    raw_entity = draw(st.sampled_from(sorted(GOOD)))
    names = [name for name in GOOD[raw_entity] if name != KEYS[raw_entity]]
    changes = draw(st.dictionaries(st.sampled_from(names), values, max_size=5))
    key = draw(st.integers(1, 6) | st.none())
    return raw_entity, {KEYS[raw_entity]: key, **changes}


records = st.lists(changed_records(), max_size=8)


@FEW
@given(records, records)
def test_nothing_vanishes(first: list[Any], second: list[Any]) -> None:
    lab = Lab()
    for batch in (first, second):
        for raw_entity, changes in batch:
            lab.put(raw_entity, **changes)
        lab.stage()
        for account in lab.accounts().values():
            assert account.balanced, account
        lab.next_run()


@FEW
@given(records)
def test_staging_the_same_again_changes_nothing(batch: list[Any]) -> None:
    lab = Lab()
    for raw_entity, changes in batch:
        lab.put(raw_entity, **changes)
    lab.stage()
    before = lab.everything()
    lab.stage()
    assert lab.everything() == before
    with lab.warehouse.open() as connection:
        connection.execute("INSERT INTO restage SELECT dealer_id, entity, record_key FROM sighting")
        quarantine.retry(connection)
    lab.stage()
    assert lab.everything() == before


@FEW
@given(st.lists(st.text(max_size=200), max_size=8))
def test_any_text_at_all_may_stand_as_a_record(batch: list[str]) -> None:
    lab = Lab()
    for place, text in enumerate(batch):
        encodable = text.encode("utf-8", "ignore").decode("utf-8")
        lab.put_text("order", encodable, str(place))
        lab.put_text("relation", json.dumps({"relation_id": place, "last_name": encodable}), str(place))
    lab.stage()
    assert all(account.balanced for account in lab.accounts().values())


@FEW
@given(st.lists(st.text("ABZ059ab -.", max_size=10) | st.text(max_size=8), min_size=1, max_size=8))
def test_normalising_twice_is_normalising_once(typed: list[str]) -> None:
    lab = Lab()
    for place, text in enumerate(typed):
        lab.put("vehicle", vehicle_id=place, license_plate=text)
        lab.put("relation", relation_id=place, postcode=text)
    lab.stage()
    for table, field, raw_entity, name in (
        ("car", "registration_number", "vehicle", "license_plate"),
        ("party", "postcode", "relation", "postcode"),
    ):
        once = {row["dms_number"]: row[field] for row in lab.rows(table)}
        for number, value in once.items():
            lab.put(raw_entity, **{KEYS[raw_entity]: int(number), name: value})
        lab.next_run()
        counts = lab.stage(table)[table].get(DEALER)
        assert counts is None or (counts.accepted, counts.repaired) == (0, 0)
        assert {row["dms_number"]: row[field] for row in lab.rows(table)} == once


@FEW
@given(st.permutations(range(1, 7)), st.permutations(range(1, 7)))
def test_lines_stand_in_the_order_of_the_dms(first: list[int], second: list[int]) -> None:
    lab = Lab()
    for number in first:
        lab.put("order_line", order_line_id=number, line_number=None)
    for order in (first, second):
        lab.execute("DELETE FROM line_list")
        lab.execute(
            "INSERT INTO line_list BY NAME SELECT ? AS dealer_id, '50012' AS order_key, ?::VARCHAR[] AS line_keys",
            DEALER,
            [str(number) for number in order],
        )
        lab.execute("INSERT INTO restage SELECT dealer_id, entity, record_key FROM sighting")
        lab.stage()
        staged = sorted(lab.rows("intervention"), key=lambda row: row["position"])
        assert [int(row["dms_number"]) for row in staged] == order
        lab.next_run()
