"""JSON bodies, split without changing them: a record's text is the exact slice of the body that the DMS sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any

import msgspec

from autoflex_pipeline.sources.autoflex_api import names

Fields = Callable[[Any], tuple[Any, ...]]
Payload = dict[str, msgspec.Raw] | list[msgspec.Raw]

MAX_VALUES = 5_000_000
"""More values than that in one answer are taken for an attack: each costs many times its bytes in memory.

75,000 orders in one page (an API that does not page) are a million.
"""

MAX_CODE_DIGITS = 18

_BOM = b"\xef\xbb\xbf"
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair: one character
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"  # half of a pair: no character at all
    rb"|\\."
)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])
_value = msgspec.json.Decoder()


class JsonBombError(ValueError):
    """The body is JSON that would cost out of proportion; the text says why."""


def decode_body(body: bytes) -> Payload:
    """The members of an object, or the items of an array, each verbatim; ValueError for anything else."""
    body = body.removeprefix(_BOM)
    body.decode("utf-8")  # a UnicodeDecodeError is a ValueError
    if body.count(b",") > MAX_VALUES:
        raise JsonBombError(f"the answer holds more than {MAX_VALUES} values")
    try:
        return _decode(body)
    except RecursionError:
        raise JsonBombError("the answer is nested too deeply") from None
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # A note cut in the middle of an emoji is half a surrogate pair, which is no JSON text; the rest of it is fine.
        return _decode(_ESCAPE.sub(lambda match: rb"\ufffd" if match[1] else match[0], body))


def _decode(body: bytes) -> Payload:
    return _array.decode(body) if body.lstrip()[:1] == b"[" else _object.decode(body)


def plain(raw: msgspec.Raw | None) -> Any:
    """A member as a Python value; None when it is not there, or is a number beyond all bounds."""
    if raw is None:
        return None
    try:
        return _value.decode(raw)
    except (msgspec.MsgspecError, RecursionError):
        return None


@dataclass(frozen=True, slots=True)
class Rows:
    """One page: its rows verbatim, and whether another follows (None: a bare array, which does not say)."""

    texts: tuple[str, ...]
    has_next: bool | None


def rows_of(payload: Payload | None) -> Rows | None:
    """The page that ``payload`` is, in either shape; None when it is no page."""
    if isinstance(payload, list):
        return Rows(_texts(payload), None)
    if payload is None or names.DATA.text not in payload:
        return None
    try:
        items = _array.decode(payload[names.DATA.text])
    except msgspec.ValidationError:
        return None
    says = payload.get(names.NEXT_PAGE.text)
    return Rows(_texts(items), None if says is None else _is_true(plain(says)))


def _texts(items: list[msgspec.Raw]) -> tuple[str, ...]:
    return tuple(bytes(item).decode("utf-8") for item in items)


def _is_true(value: object) -> bool:
    return value not in (None, False, 0, "", "0", "false")


def read_list(payload: Payload | None, name: str) -> dict[str, int] | None:
    """A list of codes as name → code, in either shape (an object, or an array of items); None when it is neither."""
    if not isinstance(payload, dict):
        return None
    content = plain(payload.get(name))
    if isinstance(content, list):
        items = [item for item in content if isinstance(item, dict)]
        content = {str(item.get(names.ITEM_DESCRIPTION.text)): item.get(names.ITEM_VALUE.text) for item in items}
    if not isinstance(content, dict):
        return None
    codes = {str(description): as_text(code) for description, code in content.items()}
    return {
        description: int(code)
        for description, code in codes.items()
        if code is not None and code.isdecimal() and len(code) <= MAX_CODE_DIGITS
    }


@cache
def _readers(fields: tuple[str, ...]) -> tuple[msgspec.json.Decoder[Any], msgspec.json.Decoder[Any], Fields]:
    """Decoders of only these fields, of an array of records and of one; and what gives the values of ``fields``."""
    attributes = {field: f"f{number}" for number, field in enumerate(dict.fromkeys(fields))}
    struct = msgspec.defstruct(
        "Fields",
        [(attribute, Any, msgspec.UNSET) for attribute in attributes.values()],
        rename={attribute: field for field, attribute in attributes.items()},
    )
    values = attrgetter(*(attributes[field] for field in fields))
    get: Fields = (lambda record: (values(record),)) if len(fields) == 1 else values
    return msgspec.json.Decoder(list[struct]), msgspec.json.Decoder(struct), get  # type: ignore[valid-type]


def read_fields(text: str, *fields: str) -> tuple[Any, ...]:
    """The values of ``fields`` in a record; UNSET for one that is absent, and for all of what is no object."""
    _, decoder, values = _readers(fields)
    try:
        return values(decoder.decode(text))
    except (msgspec.MsgspecError, RecursionError):
        return (msgspec.UNSET,) * len(fields)


def read_fields_of_all(texts: Sequence[str], *fields: str) -> list[tuple[Any, ...]]:
    """``read_fields`` of many records, at once unless one of them is odd."""
    decoder, _, values = _readers(fields)
    try:
        return [values(record) for record in decoder.decode(f"[{','.join(texts)}]")]
    except (msgspec.MsgspecError, RecursionError):
        return [read_fields(text, *fields) for text in texts]


def as_text(value: object) -> str | None:
    """An id or code as stripped text; None when it is absent, empty, or neither text nor whole number."""
    if isinstance(value, str):
        return value.strip() or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
