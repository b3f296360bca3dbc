"""The assets, in the order in which a record passes them. Each body is one step of a run."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from autoflex_pipeline.orchestration.assets.backup import backup_asset
from autoflex_pipeline.orchestration.assets.delivery import analytics, delivery_asset, preview_report
from autoflex_pipeline.orchestration.assets.raw import raw_assets
from autoflex_pipeline.orchestration.assets.staging import quarantine_asset, staging_assets
from autoflex_pipeline.orchestration.assets.systems import external_assets
from autoflex_pipeline.orchestration.specs import described
from autoflex_pipeline.settings import OrchestrationSettings


def all_assets(
    dealer_ids: Sequence[str], settings: OrchestrationSettings
) -> Sequence[dg.AssetsDefinition | dg.AssetSpec]:
    """Every asset of the product."""
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = [
        *external_assets(),
        *raw_assets(dealer_ids),
        staging_assets(settings),
        quarantine_asset(settings),
        delivery_asset(dealer_ids, settings),
        preview_report,
        analytics,
        backup_asset(settings),
    ]
    return dg.map_asset_specs(lambda spec: described(spec, settings), assets)
