"""One dealer: relations, cars, closed history over the months, and open work around today."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from autoflex_pipeline.sandbox.autoflex.schema import KEYS, Endpoint
from autoflex_pipeline.sandbox.generator.cars import Wheels, make_car
from autoflex_pipeline.sandbox.generator.dirt import DirtyRow, spoil_some
from autoflex_pipeline.sandbox.generator.moments import DateStyle, workdays, written
from autoflex_pipeline.sandbox.generator.people import People
from autoflex_pipeline.sandbox.generator.work import make_lines, make_note

Row = dict[str, Any]

FIRST_ORDER_ID, FIRST_LINE_ID, FIRST_VEHICLE_ID, FIRST_RELATION_ID = 50_001, 900_001, 7_001, 3_001
"""The same at every dealer, on purpose: ids are unique within a dealer only."""

DAYS_AHEAD = 28
SHARE_OTHER_TYPES, SHARE_INTERNAL, SHARE_CANCELED, SHARE_NO_INVOICE_FLAG = 0.05, 0.04, 0.03, 0.005
LEASE_COMPANIES = 5


@dataclass
class DealerData:
    """The rows of a dealer in the API's field names, and which of them are dirty, and how."""

    dealer_id: str
    orders: list[Row] = field(default_factory=list)
    lines: list[Row] = field(default_factory=list)
    vehicles: list[Row] = field(default_factory=list)
    relations: list[Row] = field(default_factory=list)
    dirty: list[DirtyRow] = field(default_factory=list)
    row_ids: dict[Endpoint, list[str]] = field(default_factory=dict)

    def rows(self, endpoint: Endpoint) -> list[Row]:
        """The rows of one endpoint."""
        by_endpoint: dict[Endpoint, list[Row]] = {
            "order": self.orders,
            "order_line": self.lines,
            "vehicle": self.vehicles,
            "relation": self.relations,
        }
        return by_endpoint[endpoint]

    def keyed(self, endpoint: Endpoint) -> list[tuple[str, Row]]:
        """The rows with the ids under which a store keeps them: a row whose key was taken away still has one."""
        return list(zip(self.row_ids[endpoint], self.rows(endpoint), strict=True))


def generate_dealer(
    seed: int,
    dealer_id: str,
    today: date,
    months: int = 2,
    *,
    orders_per_day: float = 12,
    open_orders: int | None = None,
    dirty: float = 0.02,
    date_style: DateStyle = "mixed",
) -> DealerData:
    """A dealer, the same for the same arguments.

    ``months`` of closed history end yesterday, ``orders_per_day`` on Monday to Saturday; ``open_orders`` work orders
    (exactly; by default those of ten days) lie from a few days back to four weeks ahead, a third of them today and
    tomorrow. ``dirty`` is the share of rows spoilt, per endpoint. Orders of other types come on top.
    """
    return _Making(random.Random(f"{seed}/{dealer_id}"), dealer_id, today, date_style).make(
        months, orders_per_day, round(orders_per_day * 10) if open_orders is None else open_orders, dirty
    )


class _Making:
    """The making of one dealer: the pools that its rows are drawn from."""

    def __init__(self, rng: random.Random, dealer_id: str, today: date, date_style: DateStyle) -> None:
        self._rng = rng
        self._today = today
        self._style: DateStyle = date_style
        self._data = DealerData(dealer_id)
        self._wheels: list[Wheels] = []
        self._numbers: dict[int, int] = {}

    def make(self, months: int, orders_per_day: float, open_orders: int, dirty: float) -> DealerData:
        rng, data = self._rng, self._data
        past = workdays(self._today - timedelta(days=round(months * 30.44)), self._today - timedelta(days=1))
        history = [day for day in past for _ in range(self._count(orders_per_day))]
        # The open days are drawn apart and sorted, so that order numbers run with time as they do in the DMS.
        days = sorted([(day, False) for day in history] + [(day, True) for day in self._open_days(open_orders)])
        self._make_cars(max(20, len(days) // 3))
        for day, is_open in days:
            if rng.random() < SHARE_OTHER_TYPES:
                self._add_other_order(day)
            self._add_order(day, is_open=is_open)
        data.row_ids = {endpoint: [str(row[key]) for row in data.rows(endpoint)] for endpoint, key in KEYS.items()}
        for endpoint in KEYS:
            rows = [row for row in data.rows(endpoint) if row.get("order_type", 1) == 1]
            data.dirty += spoil_some(rng, endpoint, rows, dirty, self._today)
        return data

    def _count(self, per_day: float) -> int:
        return int(per_day) + (self._rng.random() < per_day % 1)

    def _open_days(self, number: int) -> list[date]:
        rng = self._rng
        soon = [self._today, self._today + timedelta(days=1)]
        around = workdays(self._today - timedelta(days=4), self._today + timedelta(days=DAYS_AHEAD))
        return [rng.choice(soon) if rng.random() < 0.34 else rng.choice(around) for _ in range(number)]

    def _make_cars(self, number: int) -> None:
        rng, relations = self._rng, self._data.relations
        people = People(rng)
        relations += [people.lease_company(FIRST_RELATION_ID + index, index) for index in range(LEASE_COMPANIES)]
        taken: set[str] = set()
        for index in range(number):
            relation_id = FIRST_RELATION_ID + len(relations)
            business = rng.random() < 0.18
            relations.append(people.company(relation_id) if business else people.person(relation_id))
            leased = rng.random() < 0.15
            owner = rng.choice(relations[:LEASE_COMPANIES])["relation_id"] if leased else relation_id
            wheels = Wheels(
                vehicle_id=FIRST_VEHICLE_ID + index,
                registered=self._today - timedelta(days=rng.randrange(90, 5_500)),
                km_per_day=rng.uniform(8, 95),
                driver_id=relation_id if rng.random() < 0.95 else None,
                owner_id=owner if rng.random() < 0.97 else None,
                is_leased=leased,
            )
            self._wheels.append(wheels)
            self._data.vehicles.append(make_car(rng, index, wheels, taken))

    def _add_order(self, day: date, *, is_open: bool) -> None:
        rng = self._rng
        wheels = rng.choice(self._wheels)
        order = self._order(day, wheels, 1)
        internal = rng.random() < SHARE_INTERNAL
        order["is_internal"] = 1 if internal else rng.choice((0, 0, 0, None))
        order["order_number"] += "i" if internal else ""
        if is_open:
            order["is_invoiced"] = 0
            order["is_canceled"] = 1 if rng.random() < SHARE_CANCELED else rng.choice((0, 0, None))
            order["is_present"] = rng.choice((1, 1, 0, None)) if day <= self._today else rng.choice((0, None))
        else:
            order["is_invoiced"] = None if rng.random() < SHARE_NO_INVOICE_FLAG else 1
            order["is_present"] = 0
        order["milometer"] = wheels.mileage(day) if day <= self._today and rng.random() < 0.9 else None
        self._data.orders.append(order)
        self._data.lines += make_lines(rng, order["order_id"], FIRST_LINE_ID + len(self._data.lines))

    def _add_other_order(self, day: date) -> None:
        """A sale, a purchase, a credit or a BPM entry: no appointment."""
        order = self._order(day, self._rng.choice(self._wheels), self._rng.choice((2, 2, 3, 4, 5)))
        order["is_invoiced"] = self._rng.choice((0, 1))
        self._data.orders.append(order)

    def _order(self, day: date, wheels: Wheels, order_type: int) -> Row:
        rng = self._rng
        start = datetime.combine(day, time(rng.randrange(8, 16), rng.choice((0, 15, 30, 45))))
        end = datetime.combine(day, time(17, 0)) + timedelta(days=rng.choices((0, 1, 3), weights=(90, 8, 2))[0])
        made_day = min(day, self._today) - timedelta(days=rng.randrange(1, 21))
        made = datetime.combine(made_day, time(rng.randrange(8, 18), rng.randrange(60), rng.randrange(60)))
        number = self._numbers[made.year] = self._numbers.get(made.year, 0) + 1
        leased = wheels.is_leased
        return {
            "order_id": FIRST_ORDER_ID + len(self._data.orders),
            "order_number": f"{made.year}-{number:05d}",
            "order_type": order_type,
            "order_date": written(rng, made, self._style),
            "plan_date_from": written(rng, start, self._style),
            "plan_date_to": written(rng, end, self._style) if rng.random() < 0.93 else None,
            "is_invoiced": 0,
            "notes": make_note(rng),
            "is_present": None,
            "is_internal": 0,
            "is_canceled": 0,
            "milometer": None,
            "vehicle_id": wheels.vehicle_id,
            "relation_id": wheels.owner_id if leased or rng.random() < 0.9 else wheels.driver_id,
        }
