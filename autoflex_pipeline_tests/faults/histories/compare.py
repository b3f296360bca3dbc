"""How Claire differs from what it should hold of a dealer: the oracle of convergence.

``exempt`` appointments are those that a policy or a refusal keeps as they are.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any

from autoflex_pipeline_tests.faults.histories.model import DealerModel, TrackedOrder
from autoflex_pipeline_tests.faults.histories.oracle import KEEPS, Fields

Document = dict[str, Any]
_NO_DAY = date.min
TWO_ABSENCES = timedelta(minutes=121)
"""After so long a second pass has surely confirmed that an order is gone."""
KINDS = ("driver", "owner", "contractor")


def differences(
    dealer: DealerModel,
    held: dict[str, Document],
    *,
    parts: bool,
    lines_of_billed: bool,
    exempt: Collection[str] = (),
    history_was_sent: bool = False,
    hidden_are_seen: bool = True,
    now: datetime | None = None,
) -> list[str]:
    """Each difference as a sentence; ``parts``: cars and customers were surely read anew, else only what the order says
    is judged. ``hidden_are_seen``: a full pass was made, so orders without is_invoiced are known."""
    found = [
        f"{dealer.dealer_id}: Claire has {number}, which the DMS never had"
        for number in held
        if int(number) not in dealer.orders
    ]
    for number, order in dealer.orders.items():
        name = str(number)
        if name in exempt:
            continue
        judged = _Judge(dealer, number, order, held.get(name), parts=parts, lines_of_billed=lines_of_billed, now=now)
        found += [
            f"{dealer.dealer_id} {name}: {text}"
            for text in judged.texts(history_was_sent=history_was_sent, hidden_are_seen=hidden_are_seen)
        ]
    return found


class _Judge:
    def __init__(
        self,
        dealer: DealerModel,
        number: int,
        order: TrackedOrder,
        held: Document | None,
        *,
        parts: bool,
        lines_of_billed: bool,
        now: datetime | None,
    ) -> None:
        self.dealer, self.number, self.order = dealer, number, order
        self.held, self.parts, self.lines_of_billed, self.now = held, parts, lines_of_billed, now

    def texts(self, *, history_was_sent: bool, hidden_are_seen: bool) -> list[str]:
        order, row = self.order, self.order.row
        if self.held is None:
            is_hidden = row is not None and row["is_invoiced"] is None and not hidden_are_seen
            return ["Claire lacks it"] if row is not None and order.owed and not is_hidden else []
        if not (order.may_be_owed or history_was_sent or order.was_murky):
            return ["Claire has it, but it was never seen open"]
        if row is None:
            return self._gone()
        if order.version is None:
            return []  # bad now, and what was its last good version is not known
        return [*self._own(order.version), *self._lines(), *self._car_and_customers(order.version)]

    def _gone(self) -> list[str]:
        """An order that left the DMS for good: canceled, and else as it last was."""
        assert self.held is not None
        if self.order.is_murky or any(version["billed"] for version in self.order.possible):
            return []
        missing = self.order.missing_since
        if missing is None or self.now is None or self.now - missing < TWO_ABSENCES or not self._another_is_there():
            return []
        if not self.held["canceled"]:
            return ["it is gone from the DMS, and not canceled"]
        versions = [version | {"canceled": True} for version in self.order.possible]
        if not any(not self._own(version) for version in versions):
            return [f"it is gone from the DMS and none of its last versions: {self._own(versions[-1])}"]
        return []

    def _another_is_there(self) -> bool:
        return any(
            other.row is not None and other.row["is_invoiced"] == 0 and other.is_staged
            for other in self.dealer.orders.values()
        )

    def _own(self, wanted: Fields) -> list[str]:
        assert self.held is not None
        texts = []
        for name, value in wanted.items():
            if name == "_refers":
                continue
            has = self.held[name]
            if value is None and name in KEEPS["appointment"]:
                ever = [version[name] for version in self.order.ever]
                if has is not None and has not in ever and not self.order.was_murky:
                    texts.append(f"{name} is {has!r}, which it never was")
            elif has != value:
                texts.append(f"{name} is {has!r:.80}, not {value!r:.80}")
        return texts

    def _lines(self) -> list[str]:
        assert self.held is not None
        row = self.order.row
        assert row is not None
        if (
            self.order.lines_are_murky
            or self.order.lines_are_unread
            or (self.order.is_billed and not self.lines_of_billed)
        ):
            return []
        by_dms = [line for line in self.held["interventions"] if line["dms_nr"] is not None]  # staff typed the others
        has = [{name: line[name] for name in ("dms_nr", "position", "title", "price")} for line in by_dms]
        numbered = self.dealer.lines_of(self.number)
        wanted, doubtful = [], {}
        for place, line in numbered:
            tracked = self.dealer.parts["order_line"][line["order_line_id"]]
            good = self.dealer.good("order_line", line, _NO_DAY)
            if good is None or tracked.is_murky:
                doubtful[str(line["order_line_id"])] = tracked
            else:
                wanted.append((good["position"], place, good))
        texts = [
            f"bad line {line['dms_nr']} is {line}, which it never was"
            for line in has
            if (tracked_bad := doubtful.get(line["dms_nr"])) is not None
            and not tracked_bad.was_murky
            and not any(_same_line(line, version) for version in tracked_bad.ever)
        ]
        expected = [line for _, _, line in sorted(wanted, key=lambda each: each[:2])]
        rest = [line for line in has if line["dms_nr"] not in doubtful]
        if rest != expected:
            texts.append(f"its lines are {rest}, not {expected}")
        return texts

    def _car_and_customers(self, own: Fields) -> list[str]:
        assert self.held is not None
        is_billed = own["billed"]
        if not self.parts or is_billed:
            return []  # a billed one keeps what it had
        texts, car = self._car(own["_refers"]["car"])
        people = {"contractor": (own["_refers"]["contractor"], False)}
        if own["_refers"]["car"] is not None and car is not None:
            people |= {kind: (car["_refers"][kind], True) for kind in ("driver", "owner")}
        by_kind = {each["customer_kind"]: each for each in self.held["customers"]}
        for kind, (number, is_of_car) in people.items():
            texts += self._customer(kind, number, by_kind.get(kind), is_of_car=is_of_car)
        return texts

    def _car(self, number: str | None) -> tuple[list[str], Fields | None]:
        """What is wrong with the car, and the version of it that is staged where that is known."""
        assert self.held is not None
        has = {name: value for name, value in (self.held["car"] or {}).items() if value is not None}
        if number is None:
            return [], None
        tracked = self.dealer.parts["vehicle"].get(int(number))
        if tracked is None or not tracked.ever:
            if has and not (tracked and tracked.was_murky) and has.get("dms_nr") != number:
                return [f"its car is {has}, but {number} is not there"], None
            return [], None
        car = tracked.version
        if car is None:
            return [], None
        if has.get("dms_nr") != number:
            return [f"its car is {has.get('dms_nr')}, not {number}"], None
        return _field_texts("car", car, has, tracked.ever, loose=tracked.was_murky), car

    def _customer(self, kind: str, number: str | None, has: Document | None, *, is_of_car: bool) -> list[str]:
        named = has["dms_nr"] if has else None
        if number is None:
            if not is_of_car or named is None or self._has_murky("vehicle"):
                return []
            car = self.dealer.parts["vehicle"][int(self.order.possible[0]["_refers"]["car"])]
            if any(version["_refers"][kind] == named for version in car.ever):
                return []
            return [f"{kind} is {named}, which was never the {kind} of this car"]
        tracked = self.dealer.parts["relation"].get(int(number))
        if tracked is None or not tracked.ever:
            is_wrong = named not in (None, number) and not self._has_murky("relation")
            return [f"{kind} is {named}, but {number} is not there"] if is_wrong else []
        if tracked.version is None:
            return []
        if named != number:
            return [f"{kind} is {named}, not {number}"]
        fields = {name: value for name, value in (has or {}).items() if value is not None}
        return [
            f"{kind}: {text}"
            for text in _field_texts("party", tracked.version, fields, tracked.ever, loose=tracked.was_murky)
        ]

    def _has_murky(self, entity: str) -> bool:
        return any(each.was_murky for each in self.dealer.parts[entity].values())  # type: ignore[index]


def _field_texts(entity: str, wanted: Fields, has: Document, ever: list[Fields], *, loose: bool) -> list[str]:
    texts = []
    for name, value in wanted.items():
        if name == "_refers":
            continue
        if value is None and name in KEEPS[entity]:
            if has.get(name) is not None and not loose and has[name] not in [version[name] for version in ever]:
                texts.append(f"{entity} {wanted['dms_nr']}: {name} is {has[name]!r}, which it never was")
        elif has.get(name) != value:
            texts.append(f"{entity} {wanted['dms_nr']}: {name} is {has.get(name)!r:.80}, not {value!r:.80}")
    return texts


def _same_line(line: Document, version: Fields) -> bool:
    """A bad line without a number of its own may have moved with its place."""
    return all(line[name] == version[name] for name in ("dms_nr", "title", "price"))
