"""What a run leaves in the Dagster UI: numbers to plot, tables, checks; never a personal value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from autoflex_pipeline.orchestration.build import build_definitions
from autoflex_pipeline.quality import CHECKS
from autoflex_pipeline_tests.world import World, load, order, running_world

PERSONAL = ("Berg", "Dorpsstraat", "1234 AB", "1234ab", "GH-123-J", "GH123J", "WVWZZZ1KZAW000001", "CAX123456", "Klant")


class Desk:
    """What one run of a job left."""

    def __init__(self, world: World, job: str = "sync", **run: Any) -> None:
        with dg.DagsterInstance.ephemeral() as instance:
            result = build_definitions(world.installation).resolve_job_def(job).execute_in_process(
                instance=instance, run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}, **run
            )  # fmt: skip
        assert result.success
        self.metadata = {
            event.asset_key.to_user_string(): event.materialization.metadata
            for event in result.get_asset_materialization_events()
            if event.asset_key
        }
        self.checks = {
            (found.asset_key.to_user_string(), found.check_name): found
            for found in result.get_asset_check_evaluations()
        }
        self.steps = [event.step_key for event in result.all_events if event.event_type_value == "STEP_START"]
        self.text = str(result.all_events)

    def numbers(self, asset: str) -> dict[str, Any]:
        kinds = dg.IntMetadataValue | dg.FloatMetadataValue
        return {name: value.value for name, value in self.metadata[asset].items() if isinstance(value, kinds)}


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Desk, Desk]:
    """A first run over three good orders and one without a number, and a second one in which nothing changed."""
    with pytest.MonkeyPatch.context() as patch, running_world(tmp_path_factory.mktemp("desk"), patch) as world:
        load(world)
        world.autoflex.put("garage-jansen", "order", order(50004, order_number=None, notes="Bel mevr. Klant"))
        first = Desk(world)
        return first, Desk(world)


def test_a_run_leaves_the_numbers_of_each_step(desks: tuple[Desk, Desk]) -> None:
    numbers = desks[0].numbers
    assert numbers("open_orders")["rows_in"] == 4
    staged = numbers("appointment")
    expected = {"rows_in": 4, "accepted": 3, "unchanged": 0, "quarantined": 1}
    assert {name: staged[name] for name in expected} == expected
    assert numbers("car")["repaired"] == 1
    delivered = numbers("claire_deliveries")
    expected = {"created": 3, "updated": 0, "waiting": 0, "held": 0, "rejected": 0, "failed": 0, "retries": 0}
    assert {name: delivered[name] for name in expected} == expected
    assert delivered["latency_p50_seconds"] >= 0
    assert delivered["lag_seconds"] == 0
    for asset in ("open_orders", "order_lines", "vehicles", "relations", "appointment", "claire_deliveries"):
        assert numbers(asset)["seconds"] >= 0


def test_a_quiet_run_leaves_zeros_so_that_a_plot_has_no_gaps(desks: tuple[Desk, Desk]) -> None:
    staged = desks[1].numbers("appointment")
    expected = {"accepted": 0, "repaired": 0, "warned": 0}
    assert {name: staged[name] for name in expected} == expected
    assert staged["unchanged"] == 3
    assert desks[1].numbers("claire_deliveries")["created"] == 0


def test_a_run_leaves_pictures_and_a_preview_with_what_is_personal_struck_out(desks: tuple[Desk, Desk]) -> None:
    for asset, picture in (
        ("appointment", "arrivals_by_day"),
        ("quarantine", "reasons_by_day"),
        ("claire_deliveries", "states"),
    ):
        assert "(data:image/svg+xml;base64," in desks[0].metadata[asset][picture].value, asset
    (car,) = desks[0].metadata["car"]["newest"].records
    assert car.data["make"] == "Volkswagen"
    assert car.data["vin"] == "•••"
    assert desks[0].numbers("appointment")["dagster/row_count"] == 3


def test_the_reasons_of_rejection_have_their_numbers_where_they_are_seen(desks: tuple[Desk, Desk]) -> None:
    """The text of what to do stood before them and pushed them out of the page."""
    (row,) = desks[0].metadata["quarantine"]["by_rule"].records
    assert list(row.data) == ["dealer", "entity", "rule", "field", "rows", "what_to_do"]
    assert (row.data["rule"], row.data["rows"]) == ("wo_number_missing", 1)


def test_every_check_is_judged_in_every_run_and_says_how_it_stands(desks: tuple[Desk, Desk]) -> None:
    for desk in desks:
        for check in CHECKS:
            found = desk.checks[check.subject, check.name]
            assert found.passed, found
            assert found.description


def test_the_delivery_does_not_wait_for_the_checks_of_what_is_usual(desks: tuple[Desk, Desk]) -> None:
    assert desks[0].steps.index("as_usual") > desks[0].steps.index("claire_deliveries")


def test_nothing_that_a_run_leaves_holds_a_personal_value(desks: tuple[Desk, Desk]) -> None:
    for desk in desks:
        for value in PERSONAL:
            assert value not in desk.text, value


def test_a_check_that_fails_warns_says_what_to_do_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_world(tmp_path, monkeypatch) as world:
        load(world, orders=3)
        for number in range(50011, 50017):
            world.autoflex.put("garage-jansen", "order", order(number, order_number=None))
        desk = Desk(world)
        found = desk.checks["appointment", "few_rejected"]
        assert not found.passed
        assert found.severity == dg.AssetCheckSeverity.WARN
        assert "6 of 9 in quarantine" in (found.description or "")
        assert "quarantine list" in (found.description or "")
        assert world.held("50001")
