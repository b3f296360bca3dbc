"""Asset checks that belong to a step: blocking where wrong data would go out, and one for each dealer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from autoflex_pipeline.model import MODELS
from autoflex_pipeline.orchestration.specs import doc_link
from autoflex_pipeline.settings import OrchestrationSettings
from autoflex_pipeline.staging.gates import model_violations
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.state.dealers import dealer_row
from autoflex_pipeline.warehouse import Warehouse

DEALER_CHECK = "dealer_"
"""How the names of the dealers' checks begin."""

ACCOUNTS_CHECK = "nothing_vanishes"
"""Whether all that a run read is accounted for."""


def check_spec(
    settings: OrchestrationSettings,
    name: str,
    asset: str,
    description: str,
    *,
    blocking: bool = False,
    paragraph: str | None = None,
) -> dg.AssetCheckSpec:
    """A check with a link to its paragraph in the runbook, which bears its name unless ``paragraph`` says another."""
    page = f"runbook.md#{paragraph or name}"
    return dg.AssetCheckSpec(
        name,
        asset=asset,
        description=f"{description} Runbook: {settings.doc_address(page)}",  # the UI shows no metadata of a check
        blocking=blocking,
        metadata={"runbook": doc_link(settings, page)},
    )


def entity_check_specs(entity: str, settings: OrchestrationSettings) -> list[dg.AssetCheckSpec]:
    """The checks of an entity's table."""
    return [
        check_spec(
            settings,
            "follows_the_model",
            entity,
            blocking=True,
            description=(
                f"Every row of {entity} keeps the checks, types and unique keys of its pandera model. Blocking: what "
                "does not would go to Claire. When it fails, rows came in past staging: restore the warehouse."
            ),
        ),
    ]


def entity_check_results(warehouse: Warehouse) -> dict[str, dg.AssetCheckResult]:
    """Check the table of each entity as it now stands."""
    with warehouse.open() as connection:
        violations = {entity: model_violations(connection, entity) for entity in MODELS}
    return {entity: _model_check(entity, found) for entity, found in violations.items()}


def _model_check(entity: str, violations: Sequence[Mapping[str, Any]]) -> dg.AssetCheckResult:
    broken = [violation for violation in violations if violation["failures"]]
    return dg.AssetCheckResult(
        asset_key=entity,
        check_name="follows_the_model",
        passed=not broken,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(f"{item['check']}: {item['failures']} rows" for item in broken) or None,
        metadata={
            "model": MODELS[entity].__name__,
            "failures": sum(item["failures"] for item in violations),
            "checks": dg.MetadataValue.table([dg.TableRecord(dict(item)) for item in violations]),
        },
    )


def dealer_check_name(dealer_id: str) -> str:
    """The name of a dealer's check; Dagster allows no hyphen in it."""
    return DEALER_CHECK + dealer_id.replace("-", "_")


def dealer_check_specs(
    dealer_ids: Sequence[str], asset: str, settings: OrchestrationSettings
) -> list[dg.AssetCheckSpec]:
    """One check per dealer: did the last run go well for it?"""
    return [
        check_spec(
            settings,
            dealer_check_name(dealer_id),
            asset,
            paragraph="dealer_id",
            description=(
                f"The last look, login and run went well for {dealer_id}. When it fails, the description says what to "
                "do; other dealers are not touched."
            ),
        )
        for dealer_id in dealer_ids
    ]


def dealer_check_results(state: StateStore, dealer_ids: Sequence[str]) -> list[dg.AssetCheckResult]:
    """The dealers' checks, as each dealer's last run left it: in this run or in an earlier one."""
    with state.begin() as connection:
        rows = {dealer_id: dealer_row(connection, dealer_id) for dealer_id in dealer_ids}
    return [_dealer_check(dealer_id, row) for dealer_id, row in rows.items()]


def _dealer_check(dealer_id: str, row: Mapping[str, Any]) -> dg.AssetCheckResult:
    counts = row["counts"] or {}
    left = counts.get("pending", 0) + counts.get("failed", 0)
    trouble = row["error"] or (f"{left} deliveries are left pending or failed" if left else None)
    success = row["last_success_at"]
    return dg.AssetCheckResult(
        check_name=dealer_check_name(dealer_id),
        passed=trouble is None,
        severity=dg.AssetCheckSeverity.ERROR,
        description=trouble,
        metadata={"last_success": dg.MetadataValue.timestamp(success) if success else "never", **counts},
    )
