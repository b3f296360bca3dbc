"""A job started as the Launchpad starts it, with its configuration as YAML, and the report that it leaves."""

from __future__ import annotations

from typing import Any

import dagster as dg
import yaml

from autoflex_pipeline.orchestration.build import build_definitions
from autoflex_pipeline_tests.world import World


def launch(world: World, job: str, config: str) -> dg.ExecuteInProcessResult:
    """Run the job; Dagster checks the configuration against its schema."""
    definitions = build_definitions(world.installation)
    return definitions.resolve_job_def(job).execute_in_process(run_config=yaml.safe_load(config), raise_on_error=False)


def reported(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    """The metadata of the asset's one materialization in the run; of a table its records."""
    events = [event for event in result.all_events if event.is_step_materialization]
    (event,) = [event for event in events if event.asset_key == dg.AssetKey(asset)]
    return {
        name: value.records if isinstance(value, dg.TableMetadataValue) else value.value
        for name, value in event.materialization.metadata.items()
    }


def table_of(rows: Any, *names: str) -> list[tuple[Any, ...]]:
    """These columns of a table in a report."""
    return [tuple(record.data[name] for name in names) for record in rows]
