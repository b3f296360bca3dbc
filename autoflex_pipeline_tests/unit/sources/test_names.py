from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import httpx
import pytest

import autoflex_pipeline.sources.autoflex_api as package
from autoflex_pipeline.errors import LoginRefusedError
from autoflex_pipeline.model import RAW_ENTITIES
from autoflex_pipeline.sources.autoflex_api import doctor_checks, names, openapi_checks
from autoflex_pipeline_tests.unit.sources.fake_autoflex import FakeAutoflex, answers, error, order, vehicle

SOURCES = sorted(Path(package.__file__).parent.glob("*.py"))


def constants(source: Path) -> set[str]:
    """The texts in a module's code, documentation and format strings' words left out."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    docs = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    }


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_no_module_but_the_table_spells_a_name_of_the_protocol(source: Path) -> None:
    spelled = {name.text for name in names.TABLE} | {name for _, _, name in names.field_names()}
    # Words that the modules use for themselves too: kinds of the table, keys of OpenAPI documents.
    spelled -= {"login", "list", "title", "description"}
    if source.stem != "names":
        assert constants(source) & spelled == set()


def test_every_name_has_evidence_and_meaning_once() -> None:
    assert all(name.evidence in ("D", "O", "A") and name.meaning for name in names.TABLE)
    assert len({(name.kind, name.text) for name in names.TABLE}) == len(names.TABLE)


def test_id_fields_are_those_of_the_contract() -> None:
    assert [names.id_field(entity) for entity in RAW_ENTITIES.values()] == [
        "order_id",
        "order_line_id",
        "vehicle_id",
        "relation_id",
    ]
    assert names.parent_field("order_line") == "order_id"


def checked(dms: FakeAutoflex) -> dict[str, Any]:
    with dms.api() as api:
        return {check.name: check for check in doctor_checks(api)}


def test_doctor_judges_nothing_by_a_dealer_without_rows() -> None:
    checks = checked(FakeAutoflex())
    assert checks["login"].ok is True
    assert checks["login api_url"].ok is True
    assert checks["login token_valid_until"].ok is True
    assert checks["util/list ordertypes"].ok is True
    assert checks["GET vehicle"].ok is True
    assert checks["vehicle.brand"].ok is None
    assert checks["vehicle filter=vehicle_id[eq]"].ok is None
    assert checks["order filter=is_invoiced[eq]:0"].ok is None


def test_doctor_sees_ignored_filters_and_missing_fields() -> None:
    dms = FakeAutoflex(order=[order(1), order(2, is_invoiced=1, order_type=2)], vehicle=[vehicle(1), vehicle(2)])
    dms.ignores_filters = True
    checks = checked(dms)
    assert checks["order filter=is_invoiced[eq]:0"].ok is False
    assert checks["order filter=order_type[eq]:1"].ok is False
    assert checks["vehicle filter=vehicle_id[eq]"].ok is False
    assert checks["vehicle.brand"].ok is True
    assert checks["vehicle.vin"].ok is False


def test_doctor_sees_paging_that_is_ignored() -> None:
    dms = FakeAutoflex()
    page = httpx.Response(200, json={"data": [vehicle(1)], "nextpage": True})
    whole = [lambda _: None] * 4  # two lists of codes, orders and their is_invoiced filter
    dms.call_faults = [*whole, lambda _: None, lambda _: None, *answers(page, page)]
    assert checked(dms)["vehicle page=2"].ok is False


def test_doctor_goes_on_after_an_endpoint_that_is_refused() -> None:
    dms = FakeAutoflex(vehicle=[vehicle(1)])
    dms.call_faults = [lambda _: None, lambda _: None, *answers(error(404, "no order"), error(404, "no order"))]
    checks = checked(dms)
    assert checks["GET order"].ok is False
    assert "no order" in checks["GET order"].detail
    assert checks["GET vehicle"].ok is True


def test_doctor_raises_a_refused_login_and_reports_one_that_fails() -> None:
    dms = FakeAutoflex()
    dms.login_faults = answers(httpx.Response(401))
    with pytest.raises(LoginRefusedError):
        checked(dms)
    dms.login_faults = answers(*[httpx.Response(500)] * 50)
    assert [(check.name, check.ok) for check in checked(dms).values()] == [("login", False)]


def document() -> dict[str, Any]:
    parameters = [{"name": name, "in": "query"} for name in ("page", "fields", "filter")]
    parameters.append({"name": "Token", "in": "header"})
    row = {"type": "object", "properties": {name: {} for name in names.requested_fields("vehicle") if name != "vin"}}
    answer = {"type": "object", "properties": {"data": {"type": "array", "items": {"$ref": "#/components/schemas/V"}}}}
    return {
        "paths": {
            "/v2/vehicle": {
                "parameters": [{"$ref": "#/components/parameters/P"}],
                "get": {
                    "parameters": parameters[1:],
                    "responses": {"200": {"content": {"application/json": {"schema": answer}}}},
                },
            },
            "/v2/relation": {"get": {}},
        },
        "components": {"parameters": {"P": parameters[0]}, "schemas": {"V": row}},
    }


def test_openapi_document_confirms_and_contradicts_names() -> None:
    checks = {check.name: check.ok for check in openapi_checks(document())}
    assert checks["GET vehicle"] is True
    assert checks["vehicle parameter page"] is True
    assert checks["vehicle header token"] is True
    assert checks["vehicle header apikey"] is False
    assert checks["vehicle.data"] is True
    assert checks["vehicle.nextpage"] is False
    assert checks["vehicle.brand"] is True
    assert checks["vehicle.vin"] is False
    assert checks["GET relation"] is True
    assert checks["relation.postcode"] is None
    assert checks["GET order"] is False


@pytest.mark.parametrize(
    "odd",
    [{}, {"paths": []}, {"paths": {"/order": None}}, {"paths": {"/order": {"get": {"parameters": ["x"]}}}},
     {"paths": {"/order": {"get": {"responses": {"$ref": "#/paths/~1order/get/responses"}}}}}],
)  # fmt: skip
def test_openapi_documents_of_odd_shapes_break_nothing(odd: dict[str, Any]) -> None:
    assert len(openapi_checks(odd)) >= 6
