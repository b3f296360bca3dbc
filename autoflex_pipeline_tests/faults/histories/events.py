"""What happened in the histories, counted: that all of what can happen to a dealer really occurs in them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from autoflex_pipeline_tests.faults.histories.edits import Edit, Put, Remove
from autoflex_pipeline_tests.faults.histories.model import DealerModel, Tracked
from autoflex_pipeline_tests.faults.histories.oracle import Row, order_fields

LATE = {"order_line": "line before its order", "vehicle": "car after an order that names it",
        "relation": "party after an order or car that names it"}  # fmt: skip
_REFERENCES = {"vehicle": ("vehicle_id",), "relation": ("relation_id", "driver_relation_id", "owner_relation_id")}


def events_of(edit: Edit, dealer: DealerModel, today: date) -> Iterator[str]:
    """Names of what the edit does to the dealer's rows, as they are before it."""
    if isinstance(edit, Put):
        tracked = dealer.tracked(edit.entity, edit.number)
        if tracked.row is None:
            yield from _arrival(edit, dealer, tracked)
        else:
            yield f"{edit.entity} changed"
            yield from _change(edit, tracked.row, today)
        if edit.entity == "order" and "T02" in str(edit.fields.get("plan_date_from")):
            yield "order planned in the night of a clock change"
    elif isinstance(edit, Remove):
        if dealer.tracked(edit.entity, edit.number).row is not None:
            yield f"{edit.entity} removed"
    elif dealer.lines_of(edit.order):
        yield "lines reordered"


def _arrival(edit: Put, dealer: DealerModel, tracked: Tracked) -> Iterator[str]:
    yield f"{edit.entity} number used again" if tracked.ever else f"{edit.entity} made"
    if edit.entity == "order_line":
        order = edit.fields.get("order_id", edit.number // 100)
        if order not in dealer.orders or dealer.orders[order].row is None:
            yield LATE["order_line"]
    elif edit.entity in _REFERENCES:
        naming = [*dealer.orders.values(), *dealer.parts["vehicle"].values()]
        rows = [each.row for each in naming if each.row is not None]
        if any(row.get(name) == edit.number for row in rows for name in _REFERENCES[edit.entity]):
            yield LATE[edit.entity]


def _change(edit: Put, before: Row, today: date) -> Iterator[str]:
    after = {**before, **edit.fields}
    if edit.entity == "order_line" and after["order_id"] != before["order_id"]:
        yield "line moved to another order"
    if edit.entity != "order":
        return
    was, becomes = order_fields(before, today), order_fields(after, today)
    if was and becomes and was["appointment_date"][:7] != becomes["appointment_date"][:7]:
        yield "order moved to another month"
    if was and not becomes:
        yield "order became bad"
    if (before["is_invoiced"] == 1) != (after["is_invoiced"] == 1):
        yield "order billed" if after["is_invoiced"] == 1 else "order unbilled"
    if after["vehicle_id"] != before["vehicle_id"]:
        yield "order got another car"
