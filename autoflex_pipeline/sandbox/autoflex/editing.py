"""What the order page's form does to the rows: only fields whose text was changed are written, in their own type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoflex_pipeline.sandbox.autoflex.query import Condition
from autoflex_pipeline.sandbox.autoflex.schema import KEYS, Endpoint
from autoflex_pipeline.sandbox.autoflex.store import AutoflexStore

Row = dict[str, Any]


def as_text(value: Any) -> str:
    """A value as the form shows it; null is empty."""
    return "" if value is None else str(value).replace("\r\n", "\n")


def lines_of(store: AutoflexStore, dealer_id: str, order_id: str) -> list[Row]:
    """The lines of an order, as the DMS shows them: by line number, those without one last."""
    lines = store.rows(dealer_id, "order_line", Condition("order_id", "eq", order_id))
    return sorted((line for line in lines if line["order_line_id"] is not None), key=_line_number)


def save_row(store: AutoflexStore, dealer_id: str, endpoint: Endpoint, row: Row, form: Mapping[str, str]) -> None:
    """Write what the form changed of one row; its inputs are named ``<endpoint>.<id>.<field>``."""
    row_id = str(row[KEYS[endpoint]])
    changed = {}
    for name, value in row.items():
        text = form.get(f"{endpoint}.{row_id}.{name}")
        if text is not None and text.replace("\r\n", "\n") != as_text(value):
            changed[name] = _typed(text.replace("\r\n", "\n"), value)
    if "license_plate" in changed:
        changed["formatted_license_plate"] = None  # it said how the old plate is written
    if changed:
        store.change(dealer_id, endpoint, row_id, changed)


def do_to_lines(store: AutoflexStore, dealer_id: str, order_id: str, action: str) -> None:
    """``add``, ``remove:<id>``, ``up:<id>`` or ``down:<id>``; moving numbers the lines 1, 2, 3 anew."""
    lines = lines_of(store, dealer_id, order_id)
    what, _, line_id = action.partition(":")
    if what == "add":
        number = 1 + max((_line_number(line)[1] for line in lines), default=0)
        new_id = store.highest_id(dealer_id, "order_line") + 1
        row = {"order_line_id": new_id, "order_id": _number(order_id), "line_number": number, "description": "Nieuw"}
        store.put(dealer_id, "order_line", str(new_id), row)
    elif what == "remove":
        store.delete(dealer_id, "order_line", line_id)
    elif what in ("up", "down"):
        at = next((index for index, line in enumerate(lines) if str(line["order_line_id"]) == line_id), None)
        other = -1 if at is None else at + (-1 if what == "up" else 1)
        if at is not None and 0 <= other < len(lines):
            lines[at], lines[other] = lines[other], lines[at]
            moved = [{**line, "line_number": number} for number, line in enumerate(lines, 1)]
            store.load(dealer_id, "order_line", [(str(line["order_line_id"]), line) for line in moved])


def _line_number(line: Row) -> tuple[bool, int]:
    number = line["line_number"]
    readable = isinstance(number, int) or (isinstance(number, str) and number.isdecimal())
    return (not readable, int(number) if readable else 0)


def _typed(text: str, before: Any) -> Any:
    """The text in the type that the field had: empty is null, a number stays one where it can."""
    if text == "":
        return None
    if isinstance(before, float):
        try:
            return float(text.replace(",", "."))
        except ValueError:
            return text
    return _number(text) if not isinstance(before, str) else text


def _number(text: str) -> int | str:
    return int(text) if text.isdecimal() and (text == "0" or not text.startswith("0")) else text
