"""What a list call asks: page, fields and one filter, read strictly."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from starlette.requests import Request

from autoflex_pipeline.sandbox.autoflex.dealers import Switches
from autoflex_pipeline.sandbox.autoflex.schema import FIELDS, Endpoint

Operator = Literal["eq", "gte", "lte"]

_FILTER = re.compile(r"([A-Za-z_]+)\[([a-z]+)\]:(.*)", re.DOTALL)
_PARAMETERS = frozenset({"page", "fields", "filter"})


class QueryError(Exception):
    """The call does not follow the contract; the text says which part and how it should be."""


@dataclass(frozen=True)
class Condition:
    """``field[operator]:value``."""

    field: str
    operator: Operator
    value: str


@dataclass(frozen=True)
class ListQuery:
    """One list call; ``page`` is 1-based, ``condition`` None without a (heeded) filter."""

    page: int
    fields: tuple[str, ...]
    condition: Condition | None


def read_query(request: Request, endpoint: Endpoint, switches: Switches) -> ListQuery:
    """Read the query string of a list call; QueryError where it breaks the contract."""
    if re.search(rb"[\[\]]", request.scope["query_string"]):
        raise QueryError("brackets in the query string must be percent-encoded (%5B, %5D)")
    parameters = request.query_params.multi_items()
    names = [name for name, _ in parameters]
    for name in names:
        if name not in _PARAMETERS:
            raise QueryError(f"unknown parameter {name!r}: known are page, fields and filter")
        if names.count(name) > 1:
            raise QueryError(f"parameter {name!r} given more than once")
    given = dict(parameters)
    known = FIELDS[endpoint]
    if switches.last_modified == "unknown":
        known = tuple(name for name in known if name != "last_modified")
    return ListQuery(
        page=_page(given.get("page", "1")),
        fields=_fields(given.get("fields"), endpoint, known),
        condition=_condition(given.get("filter"), endpoint, known, switches),
    )


def _page(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise QueryError(f"page {text!r} is not a whole number from 1")
    return int(text)


def _fields(text: str | None, endpoint: Endpoint, known: tuple[str, ...]) -> tuple[str, ...]:
    if text is None:
        return known
    names = tuple(text.split(","))
    for name in names:
        if name not in known:
            raise QueryError(f"unknown field {name!r} of {endpoint}")
    return names


def _condition(text: str | None, endpoint: Endpoint, known: tuple[str, ...], switches: Switches) -> Condition | None:
    if text is None:
        return None
    match = _FILTER.fullmatch(text)
    if match is None:
        raise QueryError(f"filter {text!r} is not of the form field[eq]:value")
    name, operator, value = match.groups()
    if name not in known:
        raise QueryError(f"unknown field {name!r} of {endpoint} in the filter")
    if operator == "eq":
        return Condition(name, "eq", value)
    if operator in ("gte", "lte") and switches.range_filters == "honoured":
        return Condition(name, cast("Operator", operator), value)
    if operator in ("gte", "lte") and switches.range_filters == "ignored":
        return None
    raise QueryError(f"unknown operator [{operator}] in the filter: only [eq] is supported")
