"""Every name of the Autoflex protocol in one table, with its evidence. Corrected here, it is correct everywhere.

Evidence: **D** documented by the vendor, **O** observed in working clients, **A** assumed. The names of fields stand in
the model's declarations (with their own evidence marks) and are derived from there; nothing else in the connector
spells a name of the protocol.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from autoflex_pipeline.model import RAW_ENTITIES, FieldInfo, dms_name, dms_names, fields

Evidence = Literal["D", "O", "A"]
EVIDENCE_BEST_FIRST: tuple[Evidence, ...] = ("D", "O", "A")
Kind = Literal["endpoint", "parameter", "header", "login", "envelope", "error", "operator", "field", "list", "format"]


@dataclass(frozen=True, slots=True)
class Name:
    """One name of the protocol: where it stands (``kind``), its spelling, its evidence and what it means."""

    kind: Kind
    text: str
    evidence: Evidence
    meaning: str


AUTHENTICATE = Name("endpoint", "authenticate", "O", "log in: GET {login_url}/authenticate")
ORDER = Name("endpoint", "order", "D", "orders")
ORDER_LINE = Name("endpoint", "order_line", "A", "the lines of orders; same parameters and envelopes as order")
VEHICLE = Name("endpoint", "vehicle", "O", "cars")
RELATION = Name("endpoint", "relation", "A", "drivers, owners and contractors; same parameters and envelopes as order")
UTIL_LIST = Name("endpoint", "util/list", "D", "lists of codes")

LOGIN_API_KEY = Name("parameter", "api_key", "O", "the API key, at login")
LOGIN_USERNAME = Name("parameter", "username", "O", "the user name, at login")
LOGIN_PASSWORD = Name("parameter", "password", "O", "the password, at login")
LOGIN_ORGANIZATION = Name("parameter", "organization_name", "O", "the organisation, at login, where there are several")
PAGE = Name("parameter", "page", "D", "the page to read, from 1")
FIELDS = Name("parameter", "fields", "D", "comma-separated names of the fields to answer with")
FILTER = Name("parameter", "filter", "D", "field[operator]:value; one per call (A)")
LIST = Name("parameter", "list", "D", "which list of codes")

TOKEN_HEADER = Name("header", "token", "D", "the token of the login, on every later call")
API_KEY_HEADER = Name("header", "apikey", "O", "the API key; some clients send it too")

TOKEN = Name("login", "token", "O", "the token that the login gives")
API_URL = Name("login", "api_url", "O", "where every later call goes; differs from login_url")
VALID_UNTIL = Name("login", "token_valid_until", "O", "YYYYMMDDTHHMMSS, dealer-local, without a zone")
RETRY = Name("login", "retry", "O", "with HTTP 202: no session free, come back after this many milliseconds")

DATA = Name("envelope", "data", "O", "the rows of a page; a bare array without an envelope also occurs")
NEXT_PAGE = Name("envelope", "nextpage", "O", "whether another page follows")

ERROR_CODE = Name("error", "errorCode", "O", "the error, like an HTTP status, possibly inside an HTTP 200")
ERROR_MESSAGE = Name("error", "errorMessage", "O", "the error in words")

EQ = Name("operator", "eq", "D", "equal; the only documented operator")
GTE = Name("operator", "gte", "A", "greater or equal; used only with range_filters, and the answer is checked")

ORDER_TYPE = Name("field", "order_type", "D", "the type of an order, asked for besides the fields of the model")

ORDER_TYPES = Name("list", "ordertypes", "D", "the types of orders: an object of name and code")
FUEL_CODES = Name("list", "fuelcode", "O", "fuels: the second shape of a list, an array of description and value")
ITEM_DESCRIPTION = Name("list", "description", "O", "the name of an item, in the second shape of a list")
ITEM_VALUE = Name("list", "value", "O", "the code of an item, in the second shape of a list")

DATE_IN_FILTER = Name("format", "%Y%m%d", "A", "a date as the value of a filter")

TABLE: tuple[Name, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Name))
"""All of them; ``doctor`` checks each one marked O or A against a live connection."""

KNOWN_ORDER_TYPES = {"WORKSHOP": 1, "VEHICLE_SALES": 2, "VEHICLE_PURCHASE": 3, "INTERNAL_REVERSAL": 4, "BPM": 5}
"""D: the types of orders, by the vendor's name. INTERNAL_REVERSAL is a credit, not an internal order."""

WORKSHOP = "WORKSHOP"

ENTITIES = {raw: entity for entity, raw in RAW_ENTITIES.items()}
"""The model's entity for each kind of record of the DMS: order → appointment."""


@cache
def id_field(raw_entity: str) -> str:
    """The field that identifies a record of this kind: order_id, order_line_id, vehicle_id, relation_id."""
    return dms_name(ENTITIES[raw_entity], "dms_number")


@cache
def parent_field(raw_entity: str) -> str | None:
    """The field that names the order a line belongs to; None for the other kinds."""
    return dms_name("intervention", "appointment_dms_number") if raw_entity == ORDER_LINE.text else None


@cache
def requested_fields(raw_entity: str) -> tuple[str, ...]:
    """What ``fields=`` asks for: the names of the model, and the type of an order."""
    asked = dms_names(ENTITIES[raw_entity])
    return (*asked, ORDER_TYPE.text) if raw_entity == ORDER.text and ORDER_TYPE.text not in asked else asked


def optional_field() -> str:
    """last_modified: not every API has it, and one that does not may refuse to be asked for it."""
    return dms_name("appointment", "modified_at")


@cache
def personal_fields() -> frozenset[str]:
    """Fields that hold personal data: a filter on one of them must not stand in a stored source."""
    return frozenset(name for entity in RAW_ENTITIES for field in fields(entity) if field.pii for name in field.dms)


def field_names() -> tuple[tuple[str, FieldInfo, str], ...]:
    """The second half of the table, from the model: (kind of record, declaration, the DMS's name)."""
    return tuple(
        (raw, field, name) for entity, raw in RAW_ENTITIES.items() for field in fields(entity) for name in field.dms
    )


def endpoint_evidence(raw_entity: str) -> Evidence:
    """The mark of an endpoint."""
    return next(name.evidence for name in TABLE if name.kind == "endpoint" and name.text == raw_entity)


def field_evidence(raw_entity: str, name: str) -> Evidence:
    """The best mark with which the model declares one of the DMS's names; for order_type the table's."""
    marks = {field.evidence for raw, field, dms in field_names() if raw == raw_entity and dms == name}
    return next((mark for mark in EVIDENCE_BEST_FIRST if mark in marks), ORDER_TYPE.evidence)
