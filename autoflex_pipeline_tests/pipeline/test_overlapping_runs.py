"""Two runs of a dealer read at the same time by design: what was read first and is stored last must not win."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from autoflex_pipeline.orchestration.resources import Installation
from autoflex_pipeline.runs.context import RunOptions
from autoflex_pipeline.sources.autoflex_api import AutoflexApi
from autoflex_pipeline_tests.domain import new_run_id, run_domain
from autoflex_pipeline_tests.world import JANSEN, World, line, load

NOVEMBER = {JANSEN: [(date(2026, 11, 1), date(2026, 11, 30))]}


def another_run(world: World) -> None:
    """A tick in another process, a minute later; after it a minute more."""
    world.pass_time(minutes=1)
    other = Installation(world.config, clock=lambda: world.now)
    try:
        summary = run_domain(other.run_context(new_run_id(), RunOptions(reread=True)), publish=False)
    finally:
        other.close()
    assert summary[JANSEN]["ok"], summary
    world.pass_time(minutes=1)


def around(
    patch: pytest.MonkeyPatch,
    question: str,
    *,
    before: Callable[[], None] = lambda: None,
    after: Callable[[], None] = lambda: None,
) -> None:
    """Have something happen before the next ``question`` is answered, or between its answer and its being stored."""
    real = getattr(AutoflexApi, question)
    asked: list[str] = []

    def ask(api: AutoflexApi, *args: Any, **options: Any) -> Any:
        is_first = api.connection.dealer.id == JANSEN and not asked
        if not is_first:
            return real(api, *args, **options)
        asked.append(question)
        before()
        answer = real(api, *args, **options)
        after()
        return answer

    patch.setattr(AutoflexApi, question, ask)


def test_an_order_read_first_and_stored_last_does_not_win(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    load(world, orders=2)

    def replan() -> None:
        world.autoflex.change(JANSEN, "order", 50001, plan_date_from="20261126T083000", plan_date_to=None)
        another_run(world)

    around(monkeypatch, "work_orders_since", after=replan)
    summary = world.tick(months=NOVEMBER)
    assert summary[JANSEN]["ok"], summary
    assert summary[JANSEN]["extracted"]["order"] == 2
    assert world.query("SELECT appointment_date FROM appointment WHERE dms_number = '50001'") == [(date(2026, 11, 26),)]
    assert world.query("SELECT count(*) FROM appointment_past") == [(0,)]
    held = world.held("50001")
    assert held is not None
    assert held["appointment_date"] == "2026-11-26"
    assert not world.look()[JANSEN].has_work


def test_what_may_be_newer_is_asked_for_again_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No tick asks for a billed order any more: what the backfill did not dare to take would never come."""
    load(world, orders=2)
    world.tick()
    world.pass_time(minutes=20)

    def bill() -> None:
        world.autoflex.change(JANSEN, "order", 50001, is_invoiced=1)
        another_run(world)
        world.autoflex.change(JANSEN, "order", 50001, notes="Betaald aan de balie")

    around(monkeypatch, "work_orders_since", before=bill)
    assert world.tick(months=NOVEMBER)[JANSEN]["ok"]
    assert world.query("SELECT is_billed, dms_notes FROM appointment WHERE dms_number = '50001'") == [
        (True, "Betaald aan de balie")
    ]
    held = world.held("50001")
    assert held is not None
    assert held["dms_notes"] == "Betaald aan de balie"


def test_a_tick_that_could_not_ask_again_reads_once_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    load(world, orders=2)
    world.tick()
    world.pass_time(minutes=20)
    world.autoflex.change(JANSEN, "order", 50001, notes="eerst")

    def meanwhile() -> None:
        another_run(world)
        world.autoflex.change(JANSEN, "order", 50001, notes="daarna")

    def fail() -> None:
        world.autoflex.set_fault("status", endpoint="order", status=403)

    with monkeypatch.context() as patch:
        around(patch, "open_orders", before=meanwhile, after=fail)
        assert not world.tick()[JANSEN]["ok"]
    world.autoflex.clear_faults()
    assert world.query("SELECT dms_notes FROM appointment WHERE dms_number = '50001'") == [("eerst",)]
    assert world.look()[JANSEN].has_work
    assert world.tick()[JANSEN]["ok"]
    assert world.query("SELECT dms_notes FROM appointment WHERE dms_number = '50001'") == [("daarna",)]


def test_lines_read_first_and_stored_last_do_not_win(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    load(world, orders=2)
    world.tick()
    world.pass_time(minutes=20)

    def edit() -> None:
        world.autoflex.change(JANSEN, "order_line", 5000101, description="Remmen vervangen")
        world.autoflex.put(JANSEN, "order_line", line(5000103, 50001, line_number=3))
        another_run(world)

    around(monkeypatch, "lines_of", after=edit)
    assert world.tick(full=True)[JANSEN]["ok"]
    held = world.held("50001")
    assert held is not None
    assert [each["title"] for each in held["interventions"]] == ["Remmen vervangen", "Regel 5000102", "Regel 5000103"]
    assert world.query("SELECT count(*) FROM intervention_past") == [(1,)]


def test_a_car_read_first_and_stored_last_does_not_win(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    load(world, orders=2)
    world.tick()
    world.pass_time(minutes=20)

    def paint() -> None:
        world.autoflex.change(JANSEN, "vehicle", 7001, model="Polo")
        another_run(world)

    around(monkeypatch, "by_ids", after=paint)
    assert world.tick(full=True)[JANSEN]["ok"]
    assert world.query("SELECT model FROM car") == [("Polo",)]
    assert world.query("SELECT count(*) FROM car_past") == [(1,)]
