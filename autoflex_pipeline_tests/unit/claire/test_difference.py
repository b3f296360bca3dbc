from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from autoflex_pipeline.claire.contract import Version, customers_by_kind
from autoflex_pipeline.claire.difference import apply, difference, document_to_send
from autoflex_pipeline_tests.unit.claire.blank import blank

Document = dict[str, Any]
VALUES = st.sampled_from([None, "a", "b"])
KEEPING = ("make", "vin")


@st.composite
def versions(draw: st.DrawFn) -> Version:
    """Projections over few values, so that they often agree and often do not."""
    document: Document = blank("appointment")
    document |= {"dms_nr": "1", "wo_nr": "w", "appointment_date": "2026-11-24"}
    document |= {"billed": draw(st.booleans()), "internal": False, "canceled": draw(st.booleans())}
    document |= {"dms_notes": draw(VALUES), "car_in_shop": draw(st.sampled_from([None, True, False]))}
    document["dms_mileage"] = draw(st.sampled_from([None, 1, 2]))
    if draw(st.booleans()):
        lines = draw(st.permutations(["l1", "l2", "l3"]))[: draw(st.integers(0, 3))]
        document["interventions"] = [
            {"dms_nr": line, "position": draw(st.integers(1, 2)), "title": "t", "price": draw(VALUES)} for line in lines
        ]
    references: dict[str, str | None] = {"driver": None, "owner": None}
    references["car"] = draw(st.sampled_from([None, "c1", "c2"]))
    references["contractor"] = draw(st.sampled_from([None, "p1", "p2"]))
    if references["car"] and draw(st.booleans()):
        references["driver"] = draw(st.sampled_from([None, "p1", "p2"]))
        references["owner"] = draw(st.sampled_from([None, "p1", "p2"]))
        document["car"] = blank("car")
        document["car"] |= {"dms_nr": references["car"], "driver_id": references["driver"]}
        document["car"] |= {"make": draw(VALUES), "vin": draw(VALUES), "notes": draw(VALUES)}
    document["customers"] = []
    for kind in ("contractor", "driver", "owner"):
        if references[kind] and draw(st.booleans()):
            customer: Document = blank("party")
            customer |= {"dms_nr": references[kind], "last_name": draw(VALUES), "street": draw(VALUES)}
            document["customers"].append({"customer_kind": kind} | customer)
    return Version(document, references)


def send(projection: Version, held: Version | None) -> Version:
    sent = document_to_send(projection, [held] if held else [])
    return apply(held, sent, projection.references)


def check_shows(projection: Version, held: Version) -> None:
    """Every filled field is there; empty ones that clear are not."""
    wanted, document = projection.document, held.document
    for name in blank("appointment"):
        if wanted[name] is not None:
            assert document[name] == wanted[name]
    if wanted["dms_notes"] is None:
        assert "dms_notes" not in document
    if "interventions" in wanted:
        assert [line["dms_nr"] for line in document.get("interventions", [])] == [
            line["dms_nr"] for line in wanted["interventions"]
        ]
    for name, value in wanted.get("car", {}).items():
        if value is not None or name == "notes":
            assert document["car"].get(name) == value
    for kind, customer in customers_by_kind(wanted).items():
        there = customers_by_kind(document)[kind]
        assert {name: value for name, value in customer.items() if value is not None}.items() <= there.items()


def check_is_not_mixed(before: Version | None, projection: Version, after: Version) -> None:
    """What belongs to another car or person than the one now named is gone."""
    for kind in ("contractor", "driver", "owner"):
        old = customers_by_kind(before.document).get(kind) if before else None
        number = projection.references[kind]
        is_another = before is not None and before.references.get(kind) not in (None, number)
        now, new = customers_by_kind(projection.document).get(kind), customers_by_kind(after.document).get(kind)
        if old and number and is_another:
            filled = {name: value for name, value in (now or {}).items() if value is not None}
            assert (new or {}) == filled
        elif old and now:
            for name in ("last_name", "street"):
                assert (new or {}).get(name) == (now[name] if now[name] is not None else old.get(name))
    if before is None or "car" not in projection.document:
        return
    old_car, now_car = before.document.get("car", {}), projection.document["car"]
    is_another = before.references.get("car") not in (None, projection.references["car"])
    for name in KEEPING:
        kept = None if is_another else old_car.get(name)
        assert after.document["car"].get(name) == (now_car[name] if now_car[name] is not None else kept)
    if projection.document["dms_mileage"] is None:
        kept = None if is_another else before.document.get("dms_mileage")
        assert after.document.get("dms_mileage") == kept


def test_paths_name_line_customer_and_car() -> None:
    old = {
        "interventions": [{"dms_nr": "900441", "position": 1, "price": "389.00"}],
        "customers": [{"customer_kind": "driver", "last_name": "Bakker"}],
        "car": {"vin": "A"},
    }
    new = {
        "interventions": [{"dms_nr": "900441", "position": 1, "price": "399.00"}],
        "customers": [{"customer_kind": "driver", "last_name": "Jansen"}],
    }
    assert difference(old, new) == [
        {"field": "interventions[900441].price", "old": "389.00", "new": "399.00"},
        {"field": "car.vin", "old": "A", "new": None},
        {"field": "customers[driver].last_name", "old": "Bakker", "new": "Jansen"},
    ]


def test_nobody_drives_the_next_car_so_the_driver_before_goes() -> None:
    driver = {"customer_kind": "driver", "dms_nr": "3001", "last_name": "van den Berg"}
    held = Version({"car": {"dms_nr": "1"}, "customers": [driver]}, {"car": "1", "driver": "3001"})
    base: Document = blank("appointment")
    projection = Version(base | {"car": {"dms_nr": "2"}, "customers": []}, {"car": "2", "driver": None})
    sent = document_to_send(projection, [held])
    assert sent["customers"] == [{"customer_kind": "driver"} | blank("party")]
    assert "customers" not in apply(held, sent, projection.references).document


def test_the_same_car_without_a_driver_keeps_the_driver() -> None:
    driver = {"customer_kind": "driver", "dms_nr": "3001", "last_name": "van den Berg"}
    held = Version({"car": {"dms_nr": "1"}, "customers": [driver]}, {"car": "1", "driver": "3001"})
    base: Document = blank("appointment")
    projection = Version(base | {"car": {"dms_nr": "1"}, "customers": []}, {"car": "1", "driver": None})
    sent = document_to_send(projection, [held])
    assert "customers" not in sent
    assert apply(held, sent, projection.references).document["customers"] == [driver]


def projection_of(car: Document | None = None, car_number: str | None = None, **values: Any) -> Version:
    base: Document = blank("appointment") | values
    return Version(base | ({"car": car} if car else {}), {"car": car_number, "driver": None})


def test_an_order_of_lines_that_no_position_tells_is_a_difference_of_the_lines() -> None:
    first, second = ({"dms_nr": number, "position": 1, "title": "t"} for number in ("1", "2"))
    assert difference({"interventions": [first, second]}, {"interventions": [second, first]}) == [
        {"field": "interventions", "old": ["1", "2"], "new": ["2", "1"]}
    ]
    assert difference({"interventions": [first, second]}, {"interventions": [first, second]}) == []


def test_an_order_that_the_positions_tell_is_told_by_them_alone() -> None:
    old = [{"dms_nr": number, "position": place} for place, number in enumerate(("1", "2"))]
    new = [{"dms_nr": number, "position": place} for place, number in enumerate(("2", "1"))]
    fields = {change["field"] for change in difference({"interventions": old}, {"interventions": new})}
    assert fields == {"interventions[1].position", "interventions[2].position"}


def test_an_empty_yes_or_no_that_clears_goes_as_no() -> None:
    sent = document_to_send(projection_of(), [])
    assert (sent["billed"], sent["internal"], sent["canceled"]) == (False, False, False)


def test_a_car_that_is_not_in_staging_yet_leaves_claires_as_it_is() -> None:
    held = Version({"car": {"dms_nr": "1", "make": "VW"}}, {"car": "1"})
    assert "car" not in document_to_send(projection_of(car_number="1"), [held])
    assert "car" not in document_to_send(projection_of(), [held])


def test_another_car_that_is_not_in_staging_yet_takes_the_one_before_away_where_claire_has_one() -> None:
    projection = projection_of(car_number="2")
    held = Version({"car": {"dms_nr": "1", "make": "VW", "fuel": "petrol"}}, {"car": "1"})
    sent = document_to_send(projection, [held])
    assert set(sent["car"].values()) == {None}
    assert apply(held, sent, projection.references).document.get("car") is None
    assert "car" not in document_to_send(projection, [Version({}, {"car": "1"})])


def test_whom_claires_document_is_about_is_as_sent_else_as_before() -> None:
    driver = {"customer_kind": "driver", "dms_nr": "3001", "last_name": "Bakker"}
    held = Version({"customers": [driver]}, {"car": "1", "driver": "3001", "owner": "3002"})
    after = apply(held, {"customers": [driver]}, {"car": "2", "driver": None, "contractor": "3090"})
    assert after.references == {"car": "2", "driver": "3001", "owner": "3002", "contractor": "3090"}


def test_of_whom_all_fields_were_emptied_claires_document_is_no_more() -> None:
    nobody = {"customer_kind": "driver", "dms_nr": None}
    after = apply(Version({}, {"driver": "3001", "owner": "3002"}), {"customers": [nobody]}, {"driver": None})
    assert after.references == {"driver": None, "owner": "3002"}


@given(st.lists(versions(), min_size=1, max_size=4))
def test_after_any_chain_of_documents_claire_shows_the_last_and_mixes_no_two(chain: list[Version]) -> None:
    held: Version | None = None
    for projection in chain:
        after = send(projection, held)
        check_shows(projection, after)
        check_is_not_mixed(held, projection, after)
        held = after


@given(versions(), versions())
def test_sending_twice_changes_nothing_more(first: Version, second: Version) -> None:
    held = send(second, send(first, None))
    assert send(second, held).document == held.document


@given(versions(), versions())
def test_the_difference_is_empty_exactly_when_the_documents_are_equal(first: Version, second: Version) -> None:
    old = send(first, None)
    new = send(second, old)
    assert (difference(old.document, new.document) == []) == (old.document == new.document)


@given(versions(), versions(), versions())
def test_whichever_document_claire_has_after_an_unanswered_intent_it_ends_right(
    acknowledged: Version, unanswered: Version, projection: Version
) -> None:
    held = send(acknowledged, None)
    maybe = send(unanswered, held)
    sent = document_to_send(projection, [held, maybe])
    for possible in (held, maybe):
        after = apply(possible, sent, projection.references)
        check_shows(projection, after)
        for kind, customer in customers_by_kind(projection.document).items():
            there = customers_by_kind(after.document)[kind]
            if any(v.references.get(kind) not in (None, projection.references[kind]) for v in (held, maybe)):
                assert there == {name: value for name, value in customer.items() if value is not None}
