"""Every asset and check as Dagster is told of them, in a file that a person can read and that a change shows up in.

``python -m autoflex_pipeline_tests.asset_snapshot`` writes it anew.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from autoflex_pipeline.orchestration.build import build_definitions
from autoflex_pipeline.orchestration.resources import Installation

SNAPSHOT = Path(__file__).with_name("asset_specs.yaml")
RENEW = "python -m autoflex_pipeline_tests.asset_snapshot"
HEADING = f"# All assets of an installation with one dealer. Made anew by: {RENEW}\n"
CONFIG = """
[claire]
base_url = "http://127.0.0.1:1/api"
[[dealers]]
id = "garage-jansen"
name = "Garage Jansen"
claire_location_id = "101"
"""


def definitions_of_one_dealer(folder: Path) -> dg.Definitions:
    """The code location of an installation with one dealer and nothing else configured."""
    config = folder / "autoflex.toml"
    config.write_text(CONFIG)
    return build_definitions(Installation(config))


def snapshot_of(definitions: dg.Definitions) -> str:
    """The assets by name, each with what lineage, catalog and alerts depend on."""
    graph = definitions.resolve_asset_graph()
    checks: dict[str, dict[str, str]] = {}
    for key in graph.asset_check_keys:
        spec = graph.get_check_spec(key)
        blocks = "blocking" if spec.blocking else "not blocking"
        checks.setdefault(key.asset_key.to_user_string(), {})[key.name] = blocks
    assets = {
        key.to_user_string(): _shown(graph.get(key), checks.get(key.to_user_string(), {}))
        for key in graph.get_all_asset_keys()
    }
    return HEADING + yaml.safe_dump(assets, sort_keys=True, width=120, allow_unicode=True, default_flow_style=None)


def _shown(node: Any, checks: dict[str, str]) -> dict[str, Any]:
    partitions = node.partitions_def
    shown = {
        "deps": sorted(key.to_user_string() for key in node.parent_keys),
        "group": node.group_name,
        "owners": sorted(node.owners),
        "kinds": sorted(node.kinds),
        "tags": {name: value for name, value in sorted(node.tags.items()) if not name.startswith("dagster/kind/")},
        "partitions": " × ".join(partitions.partition_dimension_names) if partitions else None,
        "checks": dict(sorted(checks.items())),
    }
    return {name: value for name, value in shown.items() if value}


def main() -> None:
    """Write the file anew."""
    with tempfile.TemporaryDirectory() as folder:
        SNAPSHOT.write_text(snapshot_of(definitions_of_one_dealer(Path(folder))), encoding="utf-8")
    print(f"written: {SNAPSHOT}")


if __name__ == "__main__":
    main()
