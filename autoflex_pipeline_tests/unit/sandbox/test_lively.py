from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from autoflex_pipeline.sandbox.autoflex.store import AutoflexStore
from autoflex_pipeline.sandbox.demo import load_dealer
from autoflex_pipeline.sandbox.generator import generate_dealer
from autoflex_pipeline.sandbox.lively import Stage, step

NOW = datetime(2026, 11, 24, 10, 0)


@pytest.fixture
def stages(tmp_path: Path) -> Iterator[list[Stage]]:
    data = generate_dealer(1, "jansen", date(2026, 11, 24), 1)
    stores = [AutoflexStore(tmp_path / name, {"jansen": "Europe/Amsterdam"}) for name in ("a.sqlite", "b.sqlite")]
    for store in stores:
        load_dealer(store, data)
    yield [Stage(store, ["jansen"], {"jansen": list(data.dirty)}) for store in stores]
    for store in stores:
        store.close()


def edits(stage: Stage, seed: int, number: int) -> list[str | None]:
    rng = random.Random(seed)
    return [step(stage, rng, NOW + timedelta(seconds=index)) for index in range(number)]


def test_the_same_seed_makes_the_same_edits(stages: list[Stage]) -> None:
    first, second = (edits(stage, 5, 60) for stage in stages)
    assert first == second


def test_many_steps_bring_every_kind_of_edit(stages: list[Stage]) -> None:
    done = " | ".join(text for text in edits(stages[0], 5, 500) if text)
    for kind in ("new order", "notes", "plan_date_from", "milometer", "price", "reordered", "line more", "line less"):
        assert kind in done
    for kind in ("is_invoiced", "is_canceled", "corrected"):
        assert kind in done
