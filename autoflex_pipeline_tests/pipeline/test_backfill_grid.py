"""A backfill that one can trust: the grid of dealer × month says which months were read whole, and is resumed by it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg
import pytest

from autoflex_pipeline.orchestration.build import build_definitions
from autoflex_pipeline.orchestration.partitions import RANGE_END, RANGE_START, dealer_months, partition_key
from autoflex_pipeline.runs.context import RunOptions
from autoflex_pipeline.runs.orders import read_months
from autoflex_pipeline.sources.months import months_grid
from autoflex_pipeline.sources.window import month_bounds
from autoflex_pipeline_tests.domain import new_run_id
from autoflex_pipeline_tests.pipeline.test_backfill import history
from autoflex_pipeline_tests.world import DEVRIES, JANSEN, World, load, order

ORDERS = dg.AssetKey("orders_by_month")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def backfill(
    world: World, instance: dg.DagsterInstance, first: tuple[str, str], last: tuple[str, str], **options: Any
) -> dg.ExecuteInProcessResult:
    """As the UI launches it: a range of cells, first and last dealer and month."""
    job = build_definitions(world.installation).resolve_job_def("backfill")
    tags = {RANGE_START: partition_key(*first), RANGE_END: partition_key(*last)}
    config = {"resources": {"options": {"config": options}}}
    return job.execute_in_process(instance=instance, tags=tags, run_config=config, raise_on_error=False)


def spans(*months: str) -> list[tuple[date, date]]:
    return [month_bounds(month) for month in months]


def grid(world: World, dealer_id: str, *months: str) -> dict[str, str]:
    with world.installation.warehouse.open() as connection:
        return {row["month"]: row["state"] for row in months_grid(connection, dealer_id, months)}


def counted(instance: dg.DagsterInstance) -> dict[str, Any]:
    """The green cells, each with its number of orders."""
    return {
        str(record.partition_key): record.asset_materialization.metadata["orders"].value
        for record in instance.fetch_materializations(ORDERS, limit=20).records
        if record.asset_materialization is not None
    }


def red(world: World, instance: dg.DagsterInstance) -> set[str]:
    """The cells that the grid shows as failed."""
    partitions = dealer_months(world.installation.settings.dealer_ids)
    keys = [partition_key(dealer, month) for dealer in LOCATED for month in ("2026-09", "2026-10", "2026-11")]
    found = instance.get_status_by_partition(ORDERS, keys, partitions) or {}
    return {key for key, status in found.items() if status is not None and status.value == "FAILED"}


def test_only_months_that_were_read_whole_are_green_and_the_others_are_read_by_the_next_backfill(
    world: World, instance: dg.DagsterInstance
) -> None:
    """Every month of a run was painted green, also those of a dealer of whom nothing had been read."""
    history(world)
    load(world, DEVRIES, orders=1)
    september = spans("2026-09")
    world.tick(months={JANSEN: september})
    world.pass_time(minutes=5)
    world.autoflex.delete(JANSEN, "order", 50001)
    world.autoflex.set_fault("status", dealer=DEVRIES, endpoint="order", status=403)
    world.autoflex.set_fault("status", dealer=JANSEN, endpoint="order", status=403, after=1)
    result = backfill(world, instance, (JANSEN, "2026-09"), (DEVRIES, "2026-11"))
    assert not result.success
    (failed,) = [event.step_key for event in result.all_events if event.is_step_failure]
    assert failed == "months_read_whole", "the last step, when all else is done"
    assert red(world, instance) == {
        partition_key(JANSEN, "2026-09"),
        *(partition_key(DEVRIES, month) for month in ("2026-09", "2026-10", "2026-11")),
    }
    assert counted(instance) == {partition_key(JANSEN, "2026-10"): 1, partition_key(JANSEN, "2026-11"): 1}
    assert world.query("SELECT dms_number FROM appointment ORDER BY 1") == [
        ("50001",), ("50002",), ("50003",), ("50004",),
    ], "what came is staged, whatever became of the other months"  # fmt: skip
    (check,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "months_read_whole"]
    assert not check.passed
    assert "4 of 6 months" in str(check.description)
    assert world.imports() == 1, "open work is delivered, history is not"

    world.autoflex.clear_faults()
    assert backfill(world, instance, (JANSEN, "2026-09"), (DEVRIES, "2026-11"), deliver_history=True).success
    months = ("2026-09", "2026-10", "2026-11")
    assert counted(instance).keys() == {partition_key(dealer, month) for dealer in LOCATED for month in months}
    assert red(world, instance) == set()
    assert world.held("50002") is not None, "asked for, history is sent"


LOCATED = (JANSEN, DEVRIES)


@pytest.mark.parametrize("dies", [False, True], ids=["staged", "stored by a run that died"])
def test_a_month_whose_order_cannot_be_asked_for_fails_alone(world: World, dies: bool) -> None:
    """An order of September is no longer in the list, and asking for it by its number fails."""
    history(world)
    if dies:
        context = world.installation.run_context(new_run_id(), RunOptions())
        read_months(context, {JANSEN: spans("2026-09")})
    else:
        world.tick(months={JANSEN: spans("2026-09")})
    world.pass_time(minutes=5)
    world.autoflex.delete(JANSEN, "order", 50001)
    world.autoflex.put(JANSEN, "order", order(50005, plan_date_from="20261012T083000", is_invoiced=1))
    world.autoflex.set_fault("status", dealer=JANSEN, endpoint="order", status=403, after=1)
    assert not world.tick(months={JANSEN: spans("2026-09", "2026-10")})[JANSEN]["ok"]
    assert grid(world, JANSEN, "2026-09", "2026-10", "2026-12") == {
        "2026-09": "stale", "2026-10": "complete", "2026-12": "never",
    }  # fmt: skip
    october = "SELECT count(*) FROM appointment WHERE appointment_date BETWEEN '2026-10-01' AND '2026-10-31'"
    assert world.query(october) == [(2,)]


def test_months_that_were_never_read_whole_have_failed_until_they_are(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    history(world)
    monkeypatch.setenv("GARAGE_JANSEN_PASSWORD", "verkeerd")
    world.tick(months={JANSEN: spans("2026-09", "2026-10")})
    with world.installation.warehouse.open() as connection:
        (row,) = months_grid(connection, JANSEN, ["2026-09"])
    assert row["state"] == "failed"
    assert "login" in row["error"]
    assert "verkeerd" not in row["error"]
    monkeypatch.setenv("GARAGE_JANSEN_PASSWORD", f"wachtwoord-{JANSEN}")
    assert world.tick(months={JANSEN: spans("2026-09", "2026-10")})[JANSEN]["ok"]
    assert grid(world, JANSEN, "2026-09", "2026-10") == {"2026-09": "complete", "2026-10": "complete"}


def test_a_backfill_from_the_page_of_the_asset_is_not_trimmed_away(world: World, instance: dg.DagsterInstance) -> None:
    """Only runs of the job `backfill` stayed: two weeks later the cells that the asset's page had filled were empty."""
    history(world)
    definitions = build_definitions(world.installation)
    key = partition_key(JANSEN, "2026-10")
    from_the_page = definitions.resolve_implicit_global_asset_job_def().get_subset(asset_selection={ORDERS})
    from_the_page.execute_in_process(instance=instance, tags={RANGE_START: key, RANGE_END: key})
    definitions.resolve_job_def("status").execute_in_process(instance=instance)
    trim = {"ops": {"delete_old_runs": {"config": {"keep_days": 0}}}}
    assert definitions.resolve_job_def("trim").execute_in_process(instance=instance, run_config=trim).success
    assert counted(instance) == {key: 1}
    assert {run.job_name for run in instance.get_runs()} == {"__ASSET_JOB", "trim"}


def test_a_run_from_the_jobs_page_reads_all_cells_of_its_range_and_no_other(
    world: World, instance: dg.DagsterInstance
) -> None:
    """Dagster marks each run of a backfill with the first of all cells: only that one was read, in every run."""
    history(world)
    load(world, DEVRIES, orders=1)
    job = build_definitions(world.installation).resolve_job_def("backfill")
    tags = {
        RANGE_START: partition_key(JANSEN, "2026-09"),
        RANGE_END: partition_key(JANSEN, "2026-11"),
        "dagster/partition/dealer": DEVRIES,
        "dagster/partition/month": "2026-09",
    }
    assert job.execute_in_process(instance=instance, tags=tags).success
    assert counted(instance).keys() == {partition_key(JANSEN, month) for month in ("2026-09", "2026-10", "2026-11")}
    assert world.autoflex.requests(DEVRIES) == 0
