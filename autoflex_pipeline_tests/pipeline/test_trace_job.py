"""The job trace leaves a report."""

from __future__ import annotations

from typing import Any

import dagster as dg

from autoflex_pipeline.orchestration.build import build_definitions
from autoflex_pipeline_tests.world import JANSEN, World, load


def run_job(world: World, query: str) -> dg.ExecuteInProcessResult:
    config = {"ops": {"find_work_order": {"config": {"dealer": JANSEN, "query": query}}}}
    job = build_definitions(world.installation).resolve_job_def("trace")
    return job.execute_in_process(run_config=config, raise_on_error=False)


def report_of_job(world: World, query: str) -> tuple[str, dict[str, Any]]:
    result = run_job(world, query)
    assert result.success
    (event,) = [event for event in result.all_events if event.is_step_materialization]
    metadata = {name: entry.value for name, entry in event.materialization.metadata.items()}
    return str(metadata["report"]), metadata


def test_the_job_leaves_a_report_without_personal_values(world: World) -> None:
    load(world, orders=1)
    world.autoflex.change(JANSEN, "vehicle", 7001, vin="KORT")
    world.tick()
    report, counts = report_of_job(world, "2026-50001")
    for text in ("2026-50001", "**delivered**", "created", "vin\\_invalid", "plate\\_normalised", "postcode", "hidden"):
        assert text in report, text
    for value in ("GH-123-J", "GH123J", "KORT", "Berg", "Dorpsstraat", "1234", "Klant wacht", "Golf"):
        assert value not in report, value
    assert (counts["orders"], counts["deliveries"], counts["state_delivered"]) == (1, 1, 1)


def test_the_job_shows_the_values_of_a_dealer_whose_privacy_is_full(world: World) -> None:
    world.configure(dealers={JANSEN: {"privacy": "full"}})
    world.restart()
    load(world, orders=1)
    world.tick()
    report, _ = report_of_job(world, "50001")
    assert "GH-123-J" in report
    assert "Klant wacht" in report


def test_the_job_fails_with_one_clear_line_when_nothing_is_found_and_names_no_plate(world: World) -> None:
    load(world, orders=1)
    world.tick()
    result = run_job(world, "GH-124-J")
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    description = failure.step_failure_data.user_failure_data.description
    assert "nothing is known of 'GH-124-J'" in description
    assert "GH-123-J" not in description
