"""Keeps dealers lively: one small edit at a time, as the people at the counter and in the workshop make them."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from autoflex_pipeline.sandbox.autoflex.query import Condition
from autoflex_pipeline.sandbox.autoflex.store import AutoflexStore
from autoflex_pipeline.sandbox.generator.dirt import DirtyRow
from autoflex_pipeline.sandbox.generator.work import make_lines, make_note, other_price

Row = dict[str, Any]

_OPEN = Condition("is_invoiced", "eq", "0")
_BILLED = Condition("is_invoiced", "eq", "1")
_COMPACT = "%Y%m%dT%H%M%S"


@dataclass
class Stage:
    """Where the edits happen: the rows of ``dealer_ids``, and the dirty rows of each that wait to be corrected."""

    store: AutoflexStore
    dealer_ids: Sequence[str]
    dirty: dict[str, list[DirtyRow]] = field(default_factory=dict)


Edit = Callable[[Stage, str, random.Random, datetime], "str | None"]


def step(stage: Stage, rng: random.Random, now: datetime) -> str | None:
    """Make one edit at one dealer; what was done, or None when the draw found nothing to do.

    ``now`` is the dealers' local time. The same rows, the same ``rng`` and the same times give the same edits.
    """
    dealer_id = rng.choice(list(stage.dealer_ids))
    edit = rng.choices([each for each, _ in _EDITS], weights=[weight for _, weight in _EDITS])[0]
    done = edit(stage, dealer_id, rng, now)
    return None if done is None else f"{dealer_id}: {done}"


class Lively:
    """A thread that makes an edit every ``seconds`` until it is stopped; ``told`` hears what was done."""

    def __init__(
        self,
        stage: Stage,
        seed: int,
        seconds: float,
        clock: Callable[[], datetime],
        told: Callable[[str], None] = lambda done: None,
    ) -> None:
        self._stage = stage
        self._rng = random.Random(seed)
        self._seconds = seconds
        self._clock = clock
        self._told = told
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sandbox-lively", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait until the edit under way is done."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            done = step(self._stage, self._rng, self._clock())
            if done is not None:
                self._told(done)


def _one(stage: Stage, dealer_id: str, rng: random.Random, condition: Condition) -> Row | None:
    """A random work order that fits."""
    number = stage.store.count(dealer_id, "order", condition)
    if number == 0:
        return None
    order = stage.store.slice(dealer_id, "order", condition, rng.randrange(number), 1)[0][0]
    return order if order["order_type"] == 1 and order["order_id"] is not None else None


def _change(stage: Stage, dealer_id: str, order: Row, **fields: Any) -> str:
    stage.store.change(dealer_id, "order", str(order["order_id"]), fields)
    return f"order {order['order_number']}: {', '.join(fields)}"


def _lines_of(stage: Stage, dealer_id: str, order: Row) -> list[Row]:
    lines = stage.store.rows(dealer_id, "order_line", Condition("order_id", "eq", str(order["order_id"])))
    return [line for line in lines if line["order_line_id"] is not None]


def _new_order(stage: Stage, dealer_id: str, rng: random.Random, now: datetime) -> str | None:
    cars = stage.store.count(dealer_id, "vehicle")
    if cars == 0:
        return None
    car = stage.store.slice(dealer_id, "vehicle", None, rng.randrange(cars), 1)[0][0]
    order_id = stage.store.highest_id(dealer_id, "order") + 1
    start = (now + timedelta(days=rng.randrange(0, 12))).replace(hour=rng.randrange(8, 16), minute=rng.choice((0, 30)))
    order = {
        "order_id": order_id,
        "order_number": f"{now.year}-{order_id:05d}",
        "order_type": 1,
        "order_date": now.strftime(_COMPACT),
        "plan_date_from": start.replace(second=0).strftime(_COMPACT),
        "plan_date_to": start.replace(hour=17, minute=0, second=0).strftime(_COMPACT),
        "is_invoiced": 0,
        "is_canceled": 0,
        "is_internal": 0,
        "is_present": 0,
        "notes": make_note(rng),
        "vehicle_id": car["vehicle_id"],
        "relation_id": car["owner_relation_id"],
    }
    lines = make_lines(rng, order_id, stage.store.highest_id(dealer_id, "order_line") + 1)
    stage.store.put(dealer_id, "order", str(order_id), order)
    stage.store.load(dealer_id, "order_line", [(str(line["order_line_id"]), line) for line in lines])
    return f"new order {order['order_number']}"


def _new_note(stage: Stage, dealer_id: str, rng: random.Random, now: datetime) -> str | None:
    order = _one(stage, dealer_id, rng, _OPEN)
    return None if order is None else _change(stage, dealer_id, order, notes=make_note(rng))


def _move(stage: Stage, dealer_id: str, rng: random.Random, now: datetime) -> str | None:
    order = _one(stage, dealer_id, rng, _OPEN)
    if order is None:
        return None
    start = (now + timedelta(days=rng.randrange(0, 10))).replace(hour=rng.randrange(8, 16), minute=15, second=0)
    until = start.replace(hour=17, minute=30)
    return _change(
        stage, dealer_id, order, plan_date_from=start.strftime(_COMPACT), plan_date_to=until.strftime(_COMPACT)
    )


def _arrive(stage: Stage, dealer_id: str, rng: random.Random, now: datetime) -> str | None:
    order = _one(stage, dealer_id, rng, _OPEN)
    if order is None:
        return None
    known = order["milometer"] if isinstance(order["milometer"], int) else 40_000
    return _change(stage, dealer_id, order, is_present=1, milometer=max(0, known) + rng.randrange(1, 900))


def _bill(stage: Stage, dealer_id: str, rng: random.Random, now: datetime) -> str | None:
    order = _one(stage, dealer_id, rng, _OPEN)
    return None if order is None else _change(stage, dealer_id, order, is_invoiced=1, is_present=0)


def _unbill(stage: Stage, dealer_id: str, rng: random.Random, now: datetime) -> str | None:
    order = _one(stage, dealer_id, rng, _BILLED)
    return None if order is None else _change(stage, dealer_id, order, is_invoiced=0)


def _cancel(stage: Stage, dealer_id: str, rng: random.Random, now: datetime) -> str | None:
    order = _one(stage, dealer_id, rng, _OPEN)
    return None if order is None else _change(stage, dealer_id, order, is_canceled=1, is_present=0)


def _reprice(stage: Stage, dealer_id: str, rng: random.Random, now: datetime) -> str | None:
    order = _one(stage, dealer_id, rng, _OPEN)
    lines = _lines_of(stage, dealer_id, order) if order else []
    if order is None or not lines:
        return None
    line = rng.choice(lines)
    stage.store.change(dealer_id, "order_line", str(line["order_line_id"]), {"price_incl_vat": other_price(rng)})
    return f"order {order['order_number']}: price of a line"


def _reorder(stage: Stage, dealer_id: str, rng: random.Random, now: datetime) -> str | None:
    order = _one(stage, dealer_id, rng, _OPEN)
    lines = _lines_of(stage, dealer_id, order) if order else []
    if order is None or len(lines) < 2:
        return None
    rng.shuffle(lines)
    renumbered = [{**line, "line_number": number} for number, line in enumerate(lines, 1)]
    stage.store.load(dealer_id, "order_line", [(str(line["order_line_id"]), line) for line in renumbered])
    return f"order {order['order_number']}: lines reordered"


def _add_line(stage: Stage, dealer_id: str, rng: random.Random, now: datetime) -> str | None:
    order = _one(stage, dealer_id, rng, _OPEN)
    if order is None:
        return None
    line = make_lines(rng, order["order_id"], stage.store.highest_id(dealer_id, "order_line") + 1)[0]
    number = 1 + max((int(each["line_number"] or 0) for each in _lines_of(stage, dealer_id, order)), default=0)
    stage.store.put(dealer_id, "order_line", str(line["order_line_id"]), {**line, "line_number": number})
    return f"order {order['order_number']}: a line more"


def _remove_line(stage: Stage, dealer_id: str, rng: random.Random, now: datetime) -> str | None:
    order = _one(stage, dealer_id, rng, _OPEN)
    lines = _lines_of(stage, dealer_id, order) if order else []
    if order is None or len(lines) < 2:
        return None
    stage.store.delete(dealer_id, "order_line", str(rng.choice(lines)["order_line_id"]))
    return f"order {order['order_number']}: a line less"


def _correct(stage: Stage, dealer_id: str, rng: random.Random, now: datetime) -> str | None:
    waiting = stage.dirty.get(dealer_id)
    if not waiting:
        return None
    row = waiting.pop(rng.randrange(len(waiting)))
    if stage.store.change(dealer_id, row.endpoint, row.row_id, row.clean) is None:
        return None
    return f"{row.endpoint} {row.row_id}: {row.rule} corrected"


_EDITS: tuple[tuple[Edit, int], ...] = (
    (_new_order, 20),
    (_new_note, 18),
    (_move, 12),
    (_arrive, 12),
    (_reprice, 12),
    (_reorder, 8),
    (_add_line, 6),
    (_remove_line, 3),
    (_bill, 10),
    (_unbill, 1),
    (_cancel, 2),
    (_correct, 6),
)
