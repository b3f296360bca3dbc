"""The systems at both ends, which this product does not run."""

from __future__ import annotations

import dagster as dg


def external_assets() -> list[dg.AssetSpec]:
    """The DMS and Claire."""
    return [dg.AssetSpec("autoflex"), dg.AssetSpec("claire", deps=["claire_deliveries"])]
