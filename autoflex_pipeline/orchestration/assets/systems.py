"""The systems at both ends, which this product does not run."""

from __future__ import annotations

import dagster as dg

from autoflex_pipeline.orchestration.assets.stepping import OWNERS


def external_assets() -> list[dg.AssetSpec]:
    """The systems at both ends, which this product does not run."""
    return [
        dg.AssetSpec(
            "autoflex",
            group_name="systems",
            owners=OWNERS,
            kinds={"api"},
            description="The dealers' DMS, Autoflex 10: orders, lines, vehicles and relations behind its REST API.",
        ),
        dg.AssetSpec(
            "claire",
            deps=["claire_deliveries"],
            group_name="systems",
            owners=OWNERS,
            kinds={"api"},
            description="Claire, the workshop platform at the reception desk: it holds what was delivered to it.",
        ),
    ]
