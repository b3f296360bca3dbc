"""A run over a part, beside a failure, or that goes wrong: what is counted, remembered and left alone."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from autoflex_pipeline.errors import ConfigurationError
from autoflex_pipeline.orchestration.resources import RunOptionsResource
from autoflex_pipeline.runs.status import dealer_status
from autoflex_pipeline.sources.autoflex_api import AutoflexApi, Reading
from autoflex_pipeline_tests.world import DEVRIES, JANSEN, World, load

SEPTEMBER = {JANSEN: [(date(2026, 9, 1), date(2026, 9, 30))]}


def status(world: World) -> dict[str, Any]:
    opened = world.installation
    return dealer_status(opened.settings, opened.warehouse, opened.state, now=world.now)[JANSEN]


def test_a_run_over_a_part_counts_only_that_part(world: World) -> None:
    load(world, orders=2)
    world.claire.set_fault("status_before", status=422, dms_nr="50001")
    assert world.tick()[JANSEN]["delivery"]["rejected"] == 1
    backfill = world.tick(months=SEPTEMBER, dealers=(JANSEN,))[JANSEN]
    assert backfill["delivery"]["rejected"] == 0
    resend = world.tick(dealers=(JANSEN,), numbers=frozenset({"50002"}), force=True)[JANSEN]
    assert (resend["delivery"]["unchanged"], resend["delivery"]["rejected"]) == (1, 0)
    assert world.tick()[JANSEN]["delivery"]["rejected"] == 1


def test_status_tells_what_stands_now_also_after_a_resend(world: World) -> None:
    load(world, orders=2)
    world.claire.set_fault("status_before", status=422, dms_nr="50001")
    world.tick()
    assert status(world)["rejected"] == 1
    world.claire.clear_faults()
    world.tick(dealers=(JANSEN,), numbers=frozenset({"50001"}), force=True)
    assert status(world)["rejected"] == 0


def test_a_run_that_left_a_document_behind_is_no_success(world: World) -> None:
    world.configure(claire={"deadline_seconds": 0.5})
    world.restart()
    load(world, orders=2)
    world.tick()
    succeeded = status(world)["last_success_at"]
    world.pass_time(minutes=1)
    world.autoflex.change(JANSEN, "order", 50001, notes="anders")
    world.claire.set_fault("status_before", status=503, dms_nr="50001")
    summary = world.tick()[JANSEN]
    assert (summary["ok"], summary["delivery"]["failed"]) == (False, 1)
    assert status(world)["last_success_at"] == succeeded
    world.claire.clear_faults()
    world.configure()
    world.restart()
    assert world.tick()[JANSEN]["ok"]
    assert status(world)["last_success_at"] == world.now


def test_a_dms_out_of_reach_is_asked_nothing_more_in_that_run(world: World) -> None:
    load(world)
    load(world, DEVRIES)
    world.tick()
    world.autoflex.set_fault("status", dealer=JANSEN, endpoint="order", status=403)
    world.autoflex.clear_requests()
    summary = world.tick(full=True)
    assert (summary[JANSEN]["ok"], summary[DEVRIES]["ok"]) == (False, True)
    assert world.autoflex.requests(JANSEN) == world.autoflex.requests(JANSEN, "order") == 1


def test_a_defect_met_at_one_dealer_is_told_without_its_text_and_the_other_gets_its_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(world)
    load(world, DEVRIES)
    read = AutoflexApi.open_orders

    def odd(api: AutoflexApi) -> Reading:
        if api.connection.dealer.id == JANSEN:
            raise ValueError("van den Berg, Dorpsstraat 12")
        return read(api)

    monkeypatch.setattr(AutoflexApi, "open_orders", odd)
    summary = world.tick()
    assert summary[DEVRIES]["delivery"]["created"] == 3
    assert summary[JANSEN]["ok"] is False
    assert "unexpected ValueError" in summary[JANSEN]["error"]
    assert "Berg" not in summary[JANSEN]["error"]


@pytest.mark.parametrize(
    "options",
    [
        {"numbers": ["50001"]},
        {"numbers": ["50001"], "dealers": [JANSEN, DEVRIES]},
        {"force": True, "dealers": [JANSEN]},
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"options\.(numbers|force) goes with"):
        RunOptionsResource(**options).options()
