"""What the DMS holds, and what of it a run can have seen: the memory that an oracle of Claire needs.

Claire may show something else than the DMS's present rows in a few places only: a bad row stands for its last good
version, a row that is gone for the last one there was, an empty field that keeps for the last value it had. Which
version that is depends on what the runs saw, and a run that failed may have seen any part. So every row remembers its
``possible`` versions (one after a run that is known to have seen it) and all that ``ever`` were there to be seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal

from autoflex_pipeline_tests.faults.histories import oracle
from autoflex_pipeline_tests.faults.histories.edits import KEYS, Edit, Entity, Put, Remove, Reorder, new_row
from autoflex_pipeline_tests.faults.histories.oracle import Fields, Row
from autoflex_pipeline_tests.pipeline.oracle import number as reference

Sight = Literal["tick", "full", "maybe"]
ABSENCE = timedelta(minutes=60)


@dataclass
class Tracked:
    """A row of the DMS (None: not there) and its versions as Claire would show them."""

    row: Row | None = None
    possible: list[Fields] = field(default_factory=list)
    ever: list[Fields] = field(default_factory=list)
    is_murky: bool = False
    was_murky: bool = False
    """Whether a run may have read a version that a fault made up: of the possible ones, or ever."""
    is_unsure: bool = False
    """Whether perhaps no run has read any good version yet."""

    @property
    def version(self) -> Fields | None:
        """The good version that a run read last; None when it is not known."""
        return self.possible[0] if len(self.possible) == 1 and not self.is_murky and not self.is_unsure else None

    def saw(self, good: Fields | None, *, surely: bool) -> None:
        """A run read the present version (``surely``), or may have; None: a version that is rejected."""
        if good is not None:
            if surely:
                self.possible, self.is_murky, self.is_unsure = [good], False, False
            elif good not in self.possible:
                self.is_unsure |= not self.possible
                self.possible.append(good)
            if good not in self.ever:
                self.ever.append(good)


@dataclass
class TrackedOrder(Tracked):
    """``owed``: it was surely staged as open, so Claire must get it; ``may_be_owed``: perhaps it was."""

    is_staged: bool = False
    is_staged_open: bool = False
    owed: bool = False
    may_be_owed: bool = False
    missing_since: datetime | None = None
    left_at: datetime | None = None
    """When it was removed first since a run surely saw it, as the DMS knows the time."""
    lines_are_murky: bool = False
    """Whether a fault made up its lines: only a full pass reads them again when the order stays as it is."""
    lines_are_unread: bool = False
    """Whether its lines changed since a run surely read them: a tick passes over those of a billed order."""

    @property
    def is_billed(self) -> bool:
        """Whether it is billed now."""
        return self.row is not None and self.row["is_invoiced"] == 1


class DealerModel:
    """One dealer's DMS."""

    def __init__(self, dealer_id: str) -> None:
        self.dealer_id = dealer_id
        self.orders: dict[int, TrackedOrder] = {}
        self.parts: dict[Entity, dict[int, Tracked]] = {"order_line": {}, "vehicle": {}, "relation": {}}
        self.line_order: list[int] = []
        self.is_touched = True
        """Whether something changed since the last run that left nothing to do."""

    def tracked(self, entity: Entity, number: int) -> Tracked:
        """The row, whether it is there or not."""
        if entity == "order":
            return self.orders.setdefault(number, TrackedOrder())
        return self.parts[entity].setdefault(number, Tracked())

    def lines_of(self, order: int) -> list[tuple[int, Row]]:
        """The lines of an order with their places, in the order in which the DMS gives them."""
        rows = [self.parts["order_line"][number].row for number in self.line_order]
        mine = [row for row in rows if row is not None and row["order_id"] == order]
        return list(enumerate(mine, 1))

    def good(self, entity: Entity, row: Row, today: date) -> Fields | None:
        """The row as Claire should show it; of orders also what they refer to."""
        if entity == "order":
            fields = oracle.order_fields(row, today)
            refers = {"car": reference(row["vehicle_id"]), "contractor": reference(row["relation_id"])}
            return fields and fields | {"_refers": refers}
        if entity == "order_line":
            place = next(place for place, line in self.lines_of(row["order_id"]) if line is row)
            return oracle.line_fields(row, place)
        if entity == "relation":
            return oracle.party_fields(row)
        fields = oracle.car_fields(row)
        people = {"driver": reference(row["driver_relation_id"]), "owner": reference(row["owner_relation_id"])}
        return fields and fields | {"_refers": people}

    def observe(self, sight: Sight, now: datetime, today: date, *, absent_lines: bool) -> None:
        """A run took place: ``tick`` and ``full`` went well, of any other it is not known what it saw.

        ``absent_lines``: the DMS does not say when lines change, so those of billed orders are not read again.
        """
        for number, order in self.orders.items():
            is_sure = self._observe_order(order, sight, now, today)
            if is_sure and sight == "full" and not order.is_billed:
                order.lines_are_murky = False  # read anew, whatever the DMS says of changes
            if is_sure and not (absent_lines and order.is_billed):
                order.lines_are_unread = False
            for _, line in self.lines_of(number):
                reads = is_sure and not order.lines_are_murky and not (absent_lines and order.is_billed)
                tracked = self.parts["order_line"][line["order_line_id"]]
                tracked.saw(self.good("order_line", line, today), surely=reads)
        cars, people = self._read_for_open(sight)
        for entity, sure in (("vehicle", cars), ("relation", people)):
            for number, tracked in self.parts[entity].items():  # type: ignore[index]
                if tracked.row is not None:
                    tracked.saw(self.good(entity, tracked.row, today), surely=str(number) in sure)  # type: ignore[arg-type]

    def _observe_order(self, order: TrackedOrder, sight: Sight, now: datetime, today: date) -> bool:
        row = order.row
        if row is None:
            if sight != "maybe" and order.missing_since is None and order.ever:
                order.missing_since = now
            return False
        is_open = row["is_invoiced"] != 1
        is_listed = row["is_invoiced"] == 0
        sees = {"tick": is_listed or order.is_staged_open, "full": is_open or order.is_staged, "maybe": False}[sight]
        good = self.good("order", row, today)
        order.saw(good, surely=sees)
        if sees:
            order.missing_since = order.left_at = None
        if good is not None:
            order.may_be_owed |= is_open
            if sees:
                order.is_staged, order.is_staged_open = True, is_open
                order.owed |= is_open
        if not sees:
            order.is_staged_open = order.is_staged_open and is_open
            order.missing_since = None  # perhaps it was seen: then a later absence begins anew
        return sees

    def _read_for_open(self, sight: Sight) -> tuple[set[str], set[str]]:
        """The numbers of cars and parties that a full pass surely reads."""
        if sight != "full":
            return set(), set()
        cars: set[str] = set()
        people: set[str] = set()
        for order in self.orders.values():
            if order.row is not None and order.row["is_invoiced"] != 1 and order.version is not None:
                refers = order.version["_refers"]
                cars.add(refers["car"])
                people.add(refers["contractor"])
        for number in cars:
            tracked = self.parts["vehicle"].get(int(number)) if number else None
            if tracked is not None and tracked.row is not None:
                people |= {reference(tracked.row[f"{kind}_relation_id"]) or "" for kind in ("driver", "owner")}
        return cars - {None}, people - {None}

    def distort(self, entity: str | None, *, fields: bool) -> None:
        """A fault of the DMS may show a run other lists than there are, and with ``fields`` other values."""
        if entity in (None, "order_line"):
            for order in self.orders.values():
                order.lines_are_murky = True
        if not fields:
            return
        rows = self.orders.values() if entity == "order" else self.parts.get(entity, {}).values()  # type: ignore[call-overload]
        for tracked in rows:
            if tracked.row is not None:
                tracked.is_murky = tracked.was_murky = True

    def unsettled(self, now: datetime) -> bool:
        """Whether an absence is still to be confirmed."""
        return any(order.row is None and order.ever for order in self.orders.values())

    def apply(self, edit: Edit) -> list[tuple[str, Entity, int, Row | None]]:
        """Do the edit; gives what to do to the stand-in's rows: dealer, entity, number and the row (None: delete)."""
        self.is_touched = True
        if isinstance(edit, Reorder):
            self._lines_changed(edit.order)
            done = []
            for (_, line), number in zip(self.lines_of(edit.order), edit.numbers, strict=False):
                line["line_number"] = number
                done.append((self.dealer_id, "order_line", line["order_line_id"], line))
            return done  # type: ignore[return-value]
        tracked = self.tracked(edit.entity, edit.number)
        if isinstance(edit, Remove):
            if tracked.row is None:
                return []
            if edit.entity == "order_line":
                self._lines_changed(tracked.row["order_id"])
                self.line_order.remove(edit.number)
            tracked.row = None
            return [(self.dealer_id, edit.entity, edit.number, None)]
        return self._put(edit, tracked)

    def _lines_changed(self, *orders: int) -> None:
        for order in orders:
            self.orders.setdefault(order, TrackedOrder()).lines_are_unread = True

    def _put(self, edit: Put, tracked: Tracked) -> list[tuple[str, Entity, int, Row | None]]:
        touched: list[tuple[str, Entity, int, Row | None]] = []
        before = tracked.row
        if before is None and edit.entity == "order_line":
            self.line_order.append(edit.number)
        row = {**(before or new_row(edit.entity, edit.number)), **edit.fields, KEYS[edit.entity]: edit.number}
        tracked.row = row
        if edit.entity == "order_line":
            self._lines_changed(row["order_id"], before["order_id"] if before else row["order_id"])
        touched.append((self.dealer_id, edit.entity, edit.number, row))
        if edit.entity == "order_line" and before is not None and before["order_id"] != row["order_id"]:
            # A line that moves to another order changes both, and the DMS's mark of the order's last change says so.
            left = self.orders.get(before["order_id"])
            if left is not None and left.row is not None:
                touched.append((self.dealer_id, "order", before["order_id"], left.row))
        return touched


def copy_of(row: Row | None) -> dict[str, Any] | None:
    """For the stand-in, which must not share the model's rows."""
    return None if row is None else dict(row)
