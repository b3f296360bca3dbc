"""SQL in every free text of the DMS goes through staging, documents and ledger to Claire as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autoflex_pipeline_tests.world import JANSEN, World, line, order, relation, vehicle

EVIL = [
    "'); DROP TABLE appointment; --",
    "'' OR 1=1; DELETE FROM car --",
    "\"; ATTACH '/etc/passwd' AS x; --",
    "$dealer_id ? {0} %s $$",
]
TEXTS_OF_ONE = 10
"""Notes of the order; a line; brand, model or both as one, and notes of the car; five of each customer sent."""


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)


def test_sql_in_every_free_text_arrives_in_claire_letter_by_letter(world: World) -> None:
    numbered = list(enumerate(EVIL, start=1))
    world.autoflex.load(
        JANSEN,
        {
            "order": [order(50000 + n, notes=evil, vehicle_id=7000 + n, relation_id=3000 + n) for n, evil in numbered],
            "order_line": [line(n, 50000 + n, line_number=1, description=evil) for n, evil in numbered],
            "vehicle": [
                vehicle(
                    7000 + n, brand=evil, model=evil, notes=evil,
                    driver_relation_id=3000 + n, owner_relation_id=3000 + n,
                )
                for n, evil in numbered
            ],
            "relation": [
                relation(3000 + n, company_name=evil, title=evil, last_name=evil, street=evil, city=evil)
                for n, evil in numbered
            ],
        },
    )  # fmt: skip
    world.tick()
    for n, evil in numbered:
        held = [text for text in texts(world.held(str(50000 + n))) if evil in text]
        assert len(held) >= TEXTS_OF_ONE, held
        world.autoflex.change(JANSEN, "order", 50000 + n, notes=f"{evil} {evil}")
    world.tick()
    for n, evil in numbered:
        assert f"{evil} {evil}" in list(texts(world.held(str(50000 + n))))
    for table in ("appointment", "car", "party", "document"):
        assert world.query(f"SELECT count(*) FROM {table}") == [(len(EVIL),)]
