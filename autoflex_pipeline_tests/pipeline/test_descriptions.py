"""Everything that a person can meet says what it is."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from autoflex_pipeline.model import MODELS, fields
from autoflex_pipeline.orchestration.build import build_definitions
from autoflex_pipeline.orchestration.resources import Installation, RunOptionsResource
from autoflex_pipeline.state.store import StateStore, metadata
from autoflex_pipeline.warehouse.tables import all_tables

MINIMUM = 10


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> dg.RepositoryDefinition:
    folder = tmp_path_factory.mktemp("installation")
    (folder / "autoflex.toml").write_text(
        """
        [claire]
        base_url = "http://127.0.0.1:1/api"
        [[dealers]]
        id = "garage-jansen"
        name = "Garage Jansen"
        claire_location_id = "101"
        """
    )
    return build_definitions(Installation(folder / "autoflex.toml")).get_repository_def()


def test_every_asset_has_a_description_a_group_and_an_owner(repository: dg.RepositoryDefinition) -> None:
    for key, node in ((key, repository.asset_graph.get(key)) for key in repository.asset_graph.get_all_asset_keys()):
        assert len(node.description or "") >= MINIMUM, key
        assert node.group_name not in (None, "default"), key
        assert node.owners, key


def test_every_check_says_what_to_do(repository: dg.RepositoryDefinition) -> None:
    specs = [spec for definition in repository.assets_defs_by_key.values() for spec in definition.check_specs]
    assert specs
    for spec in specs:
        assert "When it fails" in (spec.description or ""), spec.key
        assert spec.metadata["runbook"].value.startswith("docs/runbook.md#"), spec.key
        assert (spec.description or "").endswith(f" Runbook: {spec.metadata['runbook'].value}"), spec.key


def test_every_job_schedule_and_sensor_has_a_description(repository: dg.RepositoryDefinition) -> None:
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    assert {job.name for job in jobs} >= {"sync", "nightly", "backfill", "trim", "resend"}
    for job in jobs:
        assert len(job.description or "") >= MINIMUM, job.name
    for schedule in repository.schedule_defs:
        assert len(schedule.description or "") >= MINIMUM, schedule.name
    assert {sensor.name for sensor in repository.sensor_defs} >= {"alerts", "run_failures"}
    for sensor in repository.sensor_defs:
        assert len(sensor.description or "") >= MINIMUM, sensor.name


def test_every_option_of_a_run_has_a_description() -> None:
    for name, option in RunOptionsResource.model_fields.items():
        assert len(option.description or "") >= MINIMUM, name


def test_every_field_table_and_column_has_a_description(tmp_path: Path) -> None:
    for entity in MODELS:
        for field in fields(entity):
            assert len(field.description) >= 4, (entity, field.name)
    for table in all_tables():
        assert len(table.description) >= MINIMUM, table.name
        for column in table.columns:
            assert len(column.description) >= 4, (table.name, column.name)
    StateStore(tmp_path / "state.sqlite").close()
    for name, table in metadata.tables.items():
        assert table.comment, name
        for column in table.columns:
            assert column.comment, (name, column.name)
