"""The nightly copy of the stores."""

# Dagster reads annotations of configuration and resources as objects: no `from __future__ import annotations` here.

from collections.abc import Iterator
from typing import Any

import dagster as dg

from autoflex_pipeline.errors import PipelineError
from autoflex_pipeline.orchestration.assets.stepping import ONE_RUN, Context, run_context
from autoflex_pipeline.orchestration.checks import check_spec
from autoflex_pipeline.orchestration.resources import Installation, RunOptionsResource, failure
from autoflex_pipeline.runs.backup import back_up, rotate
from autoflex_pipeline.settings import OrchestrationSettings

CHECK = "backup_verified"


def backup_asset(settings: OrchestrationSettings) -> dg.AssetsDefinition:
    """The nightly copy, with the check that it was read whole."""

    @dg.asset(
        backfill_policy=ONE_RUN,
        check_specs=[
            check_spec(
                settings,
                CHECK,
                "backup",
                description=(
                    "Tonight's copy of the warehouse and the state store was read whole, and holds the rows that were "
                    "copied. When it fails there is no new backup and the older ones stay; the description says what "
                    "is damaged, and the last good copy is put back with `autoflex-pipeline restore`."
                ),
            )
        ],
    )
    def backup(
        context: Context, installation: dg.ResourceParam[Installation], options: RunOptionsResource
    ) -> Iterator[Any]:
        """Make one, verify it, remove the oldest. No dependencies: a night in which another step fails has one."""
        run = run_context(context, installation, options)
        if run.settings.warehouse.backups_kept == 0:
            yield dg.AssetCheckResult(check_name=CHECK, passed=True, description="backups_kept is 0: none is wanted")
            yield dg.MaterializeResult(metadata={"made": False})
            return
        try:
            made = back_up(run.settings, run.warehouse, run.state, now=run.clock())
        except PipelineError as error:
            yield dg.AssetCheckResult(check_name=CHECK, passed=False, description=str(error))
            raise failure(error) from None
        yield dg.AssetCheckResult(check_name=CHECK, passed=True, metadata={"rows": made.rows})
        try:
            removed = rotate(run.settings, made)
        except PipelineError as error:
            raise failure(error) from None
        yield dg.MaterializeResult(
            metadata={
                "made": True,
                "path": dg.MetadataValue.path(made.path),
                "bytes": made.bytes,
                "dagster/row_count": made.rows,
                "removed": len(removed),
            }
        )

    return backup
