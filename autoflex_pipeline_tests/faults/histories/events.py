"""What happened in the histories, counted: that all of what can happen to a dealer really occurs in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from autoflex_pipeline_tests.faults.histories.edits import NUMBERS, Edit, Put, Remove
from autoflex_pipeline_tests.faults.histories.model import DealerModel, Tracked
from autoflex_pipeline_tests.faults.histories.oracle import Row, order_fields
from autoflex_pipeline_tests.faults.histories.troubles import AUTOFLEX_KINDS, CLAIRE_KINDS

LATE = {"order_line": "line before its order", "vehicle": "car after an order that names it",
        "relation": "party after an order or car that names it"}  # fmt: skip
_REFERENCES = {"vehicle": ("vehicle_id",), "relation": ("relation_id", "driver_relation_id", "owner_relation_id")}

ENTITIES = tuple(NUMBERS)
KINDS = {
    "edits": tuple(f"{entity} changed" for entity in ENTITIES),
    "deletions": tuple(f"{entity} removed" for entity in ENTITIES),
    "numbers used again": tuple(f"{entity} number used again" for entity in ENTITIES),
    "reorderings": ("lines reordered",),
    "moves between months": ("order moved to another month",),
    "late rows": tuple(LATE.values()),
    "duplicated rows": ("fault of Autoflex: duplicate",),
    "shifting pages": ("fault of Autoflex: shift",),
    "orders billed": ("order billed",),
    "orders unbilled": ("order unbilled",),
    "faults of Autoflex": tuple(f"fault of Autoflex: {kind}" for kind in AUTOFLEX_KINDS),
    "faults of Claire": tuple(f"fault of Claire: {kind}" for kind in CLAIRE_KINDS),
    "clock changes": ("order planned in the night of a clock change", "time passed over a night of a clock change"),
    "clocks that jump": ("clock jumped ahead",),
    "edits during a run": ("edits during a run",),
}
"""What the histories are about, and the events of which each consists. Kills are counted apart."""
ENOUGH = 200
"""In so many histories each kind occurs."""


def not_met(events: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """The kinds of which no event at all occurred, and the single events that did not."""
    kinds = [kind for kind, names in KINDS.items() if not any(events.get(name) for name in names)]
    return kinds, [name for names in KINDS.values() for name in names if not events.get(name)]


def lacking(events: Mapping[str, int], kills: int, histories: int) -> list[str]:
    """The kinds that should have occurred in so many histories, and did not."""
    if histories < ENOUGH:
        return []
    return not_met(events)[0] + ([] if kills else ["kills"])


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
