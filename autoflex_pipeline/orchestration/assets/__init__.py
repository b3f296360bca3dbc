"""The assets, in the order in which a record passes them. Each body is one step of a run."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from autoflex_pipeline.orchestration.assets.delivery import analytics, delivery_asset
from autoflex_pipeline.orchestration.assets.raw import raw_assets
from autoflex_pipeline.orchestration.assets.staging import quarantine, staging_assets
from autoflex_pipeline.orchestration.assets.systems import external_assets


def all_assets(dealer_ids: Sequence[str]) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """Every asset of the product."""
    return [
        *external_assets(),
        *raw_assets(dealer_ids),
        staging_assets(),
        quarantine,
        delivery_asset(dealer_ids),
        analytics,
    ]
