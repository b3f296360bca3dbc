"""Compares the names of the protocol with the vendor's OpenAPI document, where a team has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autoflex_pipeline.sources.autoflex_api import names
from autoflex_pipeline.sources.autoflex_api.checks import NameCheck

Json = dict[str, Any]

MAX_DEPTH = 12


def openapi_checks(document: Json) -> list[NameCheck]:
    """One check for each endpoint, parameter, header and field. ``ok`` is None where the document does not say."""
    checks: list[NameCheck] = []
    for endpoint in (name for name in names.TABLE if name.kind == "endpoint"):
        operation = _operation(document, endpoint.text)
        title = f"GET {endpoint.text}"
        if operation is None:
            checks.append(NameCheck(title, endpoint.evidence, False, "no path of the document ends with it"))
            continue
        checks.append(NameCheck(title, endpoint.evidence, True, "is in the document"))
        checks += _parameter_checks(document, endpoint, operation)
        checks += _answer_checks(document, endpoint, operation)
    return checks


def _operation(document: Json, endpoint: str) -> Json | None:
    """The GET operation of the path that ends with ``endpoint``, its path's parameters included."""
    for path, item in _members(document.get("paths")):
        if path.strip("/") != endpoint and not path.endswith(f"/{endpoint}"):
            continue
        operation = item.get("get") if isinstance(item, dict) else None
        if isinstance(operation, dict):
            shared = item.get("parameters") or []
            return {**operation, "parameters": [*shared, *(operation.get("parameters") or [])]}
    return None


def _parameter_checks(document: Json, endpoint: names.Name, operation: Json) -> Iterator[NameCheck]:
    declared = [_resolve(document, parameter) for parameter in operation["parameters"]]
    known = {str(parameter.get("name", "")).lower() for parameter in declared}
    headers = {
        str(scheme.get("name", "")).lower()
        for _, scheme in _members(_dig(document, "components", "securitySchemes"))
        if isinstance(scheme, dict)
    }
    for name in _expected_parameters(endpoint):
        ok = name.text.lower() in known | headers if known else None
        detail = {True: "is in the document", False: "is not among its parameters", None: "no parameters are declared"}
        yield NameCheck(f"{endpoint.text} {name.kind} {name.text}", name.evidence, ok, detail[ok])


def _expected_parameters(endpoint: names.Name) -> tuple[names.Name, ...]:
    if endpoint is names.AUTHENTICATE:
        return (names.LOGIN_API_KEY, names.LOGIN_USERNAME, names.LOGIN_PASSWORD, names.LOGIN_ORGANIZATION)
    if endpoint is names.UTIL_LIST:
        return (names.LIST, names.TOKEN_HEADER)
    return (names.PAGE, names.FIELDS, names.FILTER, names.TOKEN_HEADER, names.API_KEY_HEADER)


def _answer_checks(document: Json, endpoint: names.Name, operation: Json) -> Iterator[NameCheck]:
    properties = set(_properties(document, operation.get("responses")))
    for text, evidence in _expected_answer(endpoint):
        ok = text in properties if properties else None
        detail = {True: "is in the document", False: "is not in its answers", None: "no answer is described"}
        yield NameCheck(f"{endpoint.text}.{text}", evidence, ok, detail[ok])


def _expected_answer(endpoint: names.Name) -> list[tuple[str, names.Evidence]]:
    if endpoint is names.AUTHENTICATE:
        return [(name.text, name.evidence) for name in names.TABLE if name.kind == "login"]
    if endpoint is names.UTIL_LIST:
        return []
    envelope = [(name.text, name.evidence) for name in (names.DATA, names.NEXT_PAGE)]
    fields = [(name, names.field_evidence(endpoint.text, name)) for name in names.requested_fields(endpoint.text)]
    return envelope + fields


def _properties(document: Json, node: object, depth: int = 0) -> Iterator[str]:
    """The names of all properties that a part of the document describes, through its references."""
    if depth > MAX_DEPTH:
        return
    if isinstance(node, list):
        for item in node:
            yield from _properties(document, item, depth + 1)
    if isinstance(node, dict):
        resolved = _resolve(document, node)
        for name, content in resolved.items():
            if name == "properties" and isinstance(content, dict):
                yield from content
                yield from _properties(document, list(content.values()), depth + 1)
            else:
                yield from _properties(document, content, depth + 1)


def _resolve(document: Json, node: object) -> Json:
    """A node, or what its ``$ref`` inside the document points at; empty for what is no object."""
    for _ in range(MAX_DEPTH):
        if not isinstance(node, dict):
            return {}
        reference = node.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return node
        node = _dig(document, *(part.replace("~1", "/").replace("~0", "~") for part in reference[2:].split("/")))
    return {}


def _dig(node: object, *path: str) -> object:
    for part in path:
        node = node.get(part) if isinstance(node, dict) else None
    return node


def _members(node: object) -> list[tuple[str, Any]]:
    return [(str(name), content) for name, content in node.items()] if isinstance(node, dict) else []
