"""What an asset says of itself in the Dagster UI, and where its links lead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from autoflex_pipeline.errors import ConfigurationError
from autoflex_pipeline.orchestration.build import build_definitions
from autoflex_pipeline.orchestration.resources import Installation
from autoflex_pipeline.settings import load_settings
from autoflex_pipeline_tests.asset_snapshot import CONFIG, definitions_of_one_dealer

SYSTEMS = {"autoflex", "claire"}
REPORTS = {"status_report", "trace_report", "backfill_estimate", "quarantine_retry_report", "resend_report"}
ON_DEMAND = {"orders_by_month", "preview_report"} | REPORTS


def assets_of(definitions: dg.Definitions) -> dict[str, Any]:
    graph = definitions.resolve_asset_graph()
    return {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return assets_of(definitions_of_one_dealer(tmp_path_factory.mktemp("installation")))


def configured(folder: Path, orchestration: str) -> Path:
    config = folder / "autoflex.toml"
    config.write_text(f"[orchestration]\n{orchestration}\n{CONFIG}")
    return config


def test_every_asset_tells_grain_source_refresh_caveats_and_runbook(assets: dict[str, Any]) -> None:
    for key, asset in assets.items():
        for part in ("Grain", "Source", "Refreshed", "Mind", "Runbook"):
            assert f"- **{part}:** " in asset.description, (key, part)
        assert asset.metadata["runbook"].value.startswith("docs/"), key


def test_every_asset_says_whether_it_holds_personal_data(assets: dict[str, Any]) -> None:
    assert {asset.tags["personal_data"] for asset in assets.values()} == {"yes", "no", "pseudonymised"}


def test_what_this_program_makes_has_its_version_and_its_place_in_the_source(assets: dict[str, Any]) -> None:
    for key, asset in assets.items():
        if key in SYSTEMS:
            continue
        assert asset.code_version, key
        (reference,) = asset.metadata["dagster/code_references"].code_references
        assert Path(reference.file_path).is_file(), key


def test_what_every_tick_makes_goes_stale_when_ticks_stop_and_what_is_asked_for_does_not(
    assets: dict[str, Any],
) -> None:
    without = {key for key, asset in assets.items() if asset.freshness_policy is None}
    assert without == SYSTEMS | ON_DEMAND


def test_a_column_tells_its_constraints_and_whether_it_is_personal(assets: dict[str, Any]) -> None:
    schema = assets["car"].metadata["dagster/column_schema"]
    columns = {column.name: column for column in schema.columns}
    assert columns["dms_number"].constraints.nullable is False
    assert columns["registration_number"].tags == {"personal_data": "P"}
    assert schema.constraints.other == ["unique: dealer_id, dms_number"]
    prices = assets["intervention"].metadata["dagster/column_schema"]
    price = next(column for column in prices.columns if column.name == "price")
    assert any("100000" in words for words in price.constraints.other)


def test_owners_and_links_are_those_of_the_configuration(tmp_path: Path) -> None:
    config = configured(
        tmp_path,
        'owners = ["team:workshop", "data@dealer.example"]\ndocs_url = "https://docs.example/autoflex/"\n'
        'source_url = "https://git.example/blob/main"',
    )
    asset = assets_of(build_definitions(Installation(config)))["quarantine"]
    assert set(asset.owners) == {"team:workshop", "data@dealer.example"}
    assert asset.metadata["runbook"].value == "https://docs.example/autoflex/runbook.html#rules"
    assert "(https://docs.example/autoflex/runbook.html#rules)" in asset.description
    (reference,) = asset.metadata["dagster/code_references"].code_references
    assert reference.url.startswith("https://git.example/blob/main/autoflex_pipeline/staging/quarantine.py#L")


@pytest.mark.parametrize("owners", ['["the data team"]', '["team:"]', "[]"])
def test_owners_that_dagster_would_refuse_are_one_clear_line(tmp_path: Path, owners: str) -> None:
    with pytest.raises(ConfigurationError, match=r"orchestration\.owners"):
        load_settings(configured(tmp_path, f"owners = {owners}"))
