"""What each asset says of itself, one entry an asset: description, layer, kinds, tags, freshness, links.

No body and no dependency of an asset stands here: those are in ``assets/``. An asset without an entry is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from inspect import getsourcefile, getsourcelines
from pathlib import Path
from typing import Any, Literal

import dagster as dg

from autoflex_pipeline.claire.delivery import deliver_dealer
from autoflex_pipeline.claire.documents import refresh_documents
from autoflex_pipeline.claire.preview import field_changes
from autoflex_pipeline.lineage.trace import trace_orders
from autoflex_pipeline.model import MODELS
from autoflex_pipeline.runs.backup import back_up
from autoflex_pipeline.runs.estimate import estimate_backfill
from autoflex_pipeline.runs.orders import read_months, read_open_orders
from autoflex_pipeline.runs.parts import read_lines, read_relations, read_vehicles
from autoflex_pipeline.runs.resending import resent
from autoflex_pipeline.runs.retrying import retry_quarantined
from autoflex_pipeline.runs.status import dealer_status
from autoflex_pipeline.settings import OrchestrationSettings
from autoflex_pipeline.staging import quarantine, stage_entities
from autoflex_pipeline.warehouse.publishing import publish

PROJECT = Path(__file__).parents[2]

EVERY_TICK = (
    "by every run; a run starts within a minute of a change in the DMS, and every ten minutes when nothing changes"
)
FRESH = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=1), warn_window=timedelta(minutes=30))
"""A run comes every ten minutes, whatever happens in the DMS: after half an hour the schedule or its daemon stands."""

FRESH_NIGHTLY = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=50), warn_window=timedelta(hours=26))
"""One night without is a warning, two are a failure."""


@dataclass(frozen=True, slots=True)
class About:
    """What an asset says of itself; ``runbook`` is a page of the documentation with its anchor.

    ``personal``: whether what it holds is personal data as it stands, pseudonymised, or none. ``code`` is where its
    rules are.
    """

    what: str
    group: str
    kinds: frozenset[str]
    grain: str
    source: str
    refreshed: str
    caveats: str
    runbook: str
    personal: Literal["yes", "pseudonymised", "no"]
    code: Callable[..., Any] | None = None
    freshness: dg.FreshnessPolicy | None = FRESH


def _raw(what: str, record: str, read: Callable[..., Any], caveats: str) -> About:
    return About(
        what=what,
        group="raw",
        kinds=frozenset({"duckdb"}),
        grain=f"one raw record per version of {record}, verbatim, in `raw_record`; append-only",
        source="the dealers' Autoflex API",
        refreshed=EVERY_TICK,
        caveats=caveats,
        runbook="runbook.md#holds",
        personal="yes",
        code=read,
    )


def _entity(entity: str) -> About:
    return About(
        what=f"{(MODELS[entity].__doc__ or '').strip()} The newest accepted version of each.",
        group="staging",
        kinds=frozenset({"duckdb", "pandera"}),
        grain=f"one row per (dealer_id, dms_number) in `{entity}`; older versions are in `{entity}_history`",
        source="the raw records of the DMS: typed, repaired, validated against the model",
        refreshed=EVERY_TICK,
        caveats=(
            "a record that breaks a rule waits in quarantine while its last good version stays here; a field that the "
            "DMS does not send keeps its last value"
        ),
        runbook="runbook.md#rules",
        personal="yes",
        code=stage_entities,
    )


def _system(group: str, what: str, source: str, refreshed: str) -> About:
    return About(
        what=what,
        group=group,
        kinds=frozenset({"api"}),
        grain="a system outside, not run by this product",
        source=source,
        refreshed=refreshed,
        caveats="which names of its API hold on a real connection is told by `autoflex-pipeline doctor`",
        runbook="operators.md",
        personal="yes",
        freshness=None,
    )


def _report(what: str, refreshed: str, code: Callable[..., Any], runbook: str) -> About:
    return About(
        what=what,
        group="reports",
        kinds=frozenset({"table"}),
        grain="one report a materialization, in its metadata",
        source="the warehouse and the state store",
        refreshed=refreshed,
        caveats="personal values are hidden unless the dealer's privacy is full",
        runbook=runbook,
        personal="no",
        code=code,
        freshness=None,
    )


ABOUT: Mapping[str, About] = {
    "autoflex": _system(
        "autoflex",
        "The dealers' DMS, Autoflex 10: orders, lines, vehicles and relations behind its REST API.",
        "people at the dealer",
        "all day, by hand",
    ),
    "claire": _system(
        "claire",
        "Claire, the workshop platform at the reception desk: it holds what was delivered to it.",
        "this pipeline, and staff who type in Claire",
        EVERY_TICK,
    ),
    "open_orders": _raw(
        "Every open work order of each dealer, and by id those that left the open list: what a tick reads.",
        "an order",
        read_open_orders,
        "not partitioned, because a tick never completes a month; when reading breaks off, nothing is concluded from "
        "what did not come",
    ),
    "orders_by_month": About(
        what="Every work order, billed or not, whose appointment lies in the months asked for: what a backfill reads.",
        group="raw",
        kinds=frozenset({"duckdb"}),
        grain="one raw record per version of an order; partitioned dealer × month, any number of months in one run",
        source="the dealers' Autoflex API",
        refreshed="only when somebody asks for months: the job `backfill`, or `sync --from --to`",
        caveats=(
            "a month is materialized when all its orders were read; one that broke off is not: what came of it is "
            "kept, and the check says why. Billed orders are staged, but go to Claire only with `deliver_history`"
        ),
        runbook="operators.md#backfill",
        personal="yes",
        code=read_months,
        freshness=None,
    ),
    "order_lines": _raw(
        "The lines of orders that are new or changed, and within a budget those of unchanged ones whose changes the "
        "DMS does not announce.",
        "an order line",
        read_lines,
        "an order's lines count as read when they were read completely; a line that is gone then leaves its document",
    ),
    "vehicles": _raw(
        "The cars that new or changed orders refer to; those of today and tomorrow every 10 minutes.",
        "a vehicle",
        read_vehicles,
        "cars of later appointments are read again by the nightly full pass only",
    ),
    "relations": _raw(
        "The contractors, drivers and owners that new or changed orders and cars refer to; those of today and tomorrow "
        "every 10 minutes.",
        "a relation",
        read_relations,
        "parties of later appointments are read again by the nightly full pass only",
    ),
    **{entity: _entity(entity) for entity in MODELS},
    "documents": About(
        what="The documents that Claire should hold: appointment with car, customers and interventions, in DMS order.",
        group="claire",
        kinds=frozenset({"duckdb"}),
        grain="one per appointment, known by its hash, in `document`",
        source="the four entities",
        refreshed=EVERY_TICK,
        caveats="only those that may have changed are made anew",
        runbook="runbook.md#states-of-a-delivery",
        personal="no",
        code=refresh_documents,
    ),
    "quarantine": About(
        what=(
            "What was rejected, with rule, field, value and hint; each row heals by itself when the DMS is corrected."
        ),
        group="staging",
        kinds=frozenset({"duckdb"}),
        grain="one row per rejected record and rule in `quarantine`; an unchanged bad record stays the same row",
        source="the rules of staging",
        refreshed=EVERY_TICK,
        caveats="here are counts only: `autoflex-pipeline quarantine list` shows the values",
        runbook="runbook.md#rules",
        personal="yes",
        code=quarantine.entries,
    ),
    "claire_deliveries": About(
        what=(
            "What differs from what Claire acknowledged last is sent, effectively once; the ledger keeps every attempt."
        ),
        group="claire",
        kinds=frozenset({"api"}),
        grain="one row per attempt to deliver a document, in `delivery`",
        source="the documents, and what Claire acknowledged",
        refreshed=EVERY_TICK,
        caveats="a dealer that failed has a failing check here; the others are not touched",
        runbook="runbook.md#states-of-a-delivery",
        personal="yes",
        code=deliver_dealer,
    ),
    "preview_report": About(
        what="What the next run would send to Claire, field by field (now, then). Nothing is sent by it.",
        group="claire",
        kinds=frozenset({"table"}),
        grain="one report a preview: a row per appointment and field, cancelations first",
        source="the documents, and what Claire acknowledged",
        refreshed="by the job `preview`, and by every dry run",
        caveats=(
            "personal values and free text are hidden unless the dealer's privacy is full: `sync --dry-run` prints them"
        ),
        runbook="operators.md#preview",
        personal="no",
        code=field_changes,
        freshness=None,
    ),
    "status_report": _report(
        "How it stands for each dealer: last success, what is pending, held, rejected or in quarantine, what is wrong.",
        "by every sync, and by the job `status`",
        dealer_status,
        "operators.md#status",
    ),
    "trace_report": _report(
        "Where a work order is, and why.", "by the job `trace`", trace_orders, "data-team.md#where-is-this-work-order"
    ),
    "backfill_estimate": _report(
        "What a backfill would cost: requests and time.",
        "by the job `estimate_backfill`",
        estimate_backfill,
        "operators.md#backfill",
    ),
    "quarantine_retry_report": _report(
        "What became of quarantined records that were validated anew.",
        "by the job `quarantine_retry`",
        retry_quarantined,
        "operators.md#do-it-from-the-ui",
    ),
    "resend_report": _report(
        "What Claire answered to appointments that were sent again.",
        "by the job `resend`",
        resent,
        "operators.md#do-it-from-the-ui",
    ),
    "analytics": About(
        what="The analysts' DuckDB: a pseudonymised, consistent copy, replaced atomically.",
        group="analysts",
        kinds=frozenset({"duckdb"}),
        grain="the four entities with their history, quarantine, deliveries, lineage and extracts",
        source="the warehouse, all tables as they stood at one moment",
        refreshed="after a command that changed something, and by the schedule at most every five minutes",
        caveats="dealers with `privacy = \"full\"` are not pseudonymised; a session that is open keeps its older file",
        runbook="analysts.md",
        personal="pseudonymised",
        code=publish,
    ),
    "backup": About(
        what="A verified copy of the warehouse and the state store, both as they were at one moment.",
        group="operations",
        kinds=frozenset({"duckdb", "sqlite"}),
        grain="one folder a night below `[warehouse] backup_path`; the newest `backups_kept` are kept",
        source="the warehouse and the state store",
        refreshed="by the nightly job, and by `autoflex-pipeline backup`",
        caveats="it holds what the stores hold, personal data too; put back with `autoflex-pipeline restore`",
        runbook="operators.md#backups",
        personal="yes",
        code=back_up,
        freshness=FRESH_NIGHTLY,
    ),
}  # fmt: skip


def described(spec: dg.AssetSpec, settings: OrchestrationSettings) -> dg.AssetSpec:
    """The spec with all that its entry says, the owners of the configuration, and the version of this program."""
    about = ABOUT[spec.key.to_user_string()]
    metadata: dict[str, Any] = {"runbook": doc_link(settings, about.runbook)}
    if about.code is not None:
        metadata["dagster/code_references"] = _code_reference(settings, about.code)
    return spec.replace_attributes(
        description=_description(settings, about),
        group_name=about.group,
        owners=list(settings.owners),
        kinds=set(about.kinds),
        tags={"personal_data": about.personal},
        code_version=version("autoflex-pipeline") if about.code is not None else None,
        freshness_policy=about.freshness,
        metadata={**spec.metadata, **metadata},
    )


def doc_link(settings: OrchestrationSettings, page: str) -> dg.MetadataValue[Any]:
    """The same as metadata."""
    address = settings.doc_address(page)
    return dg.MetadataValue.path(address) if settings.docs_url is None else dg.MetadataValue.url(address)


def _description(settings: OrchestrationSettings, about: About) -> str:
    address = settings.doc_address(about.runbook)
    shown = f"`{address}`" if settings.docs_url is None else f"[{about.runbook}]({address})"
    lines = {
        "Grain": about.grain,
        "Source": about.source,
        "Refreshed": about.refreshed,
        "Mind": about.caveats,
        "Runbook": shown,
    }
    return "\n".join([about.what, "", *(f"- **{name}:** {text}." for name, text in lines.items())])


def _code_reference(settings: OrchestrationSettings, code: Callable[..., Any]) -> dg.CodeReferencesMetadataValue:
    """The place of the function: an address below ``source_url``, else the file on this machine."""
    file, line = Path(getsourcefile(code) or ""), getsourcelines(code)[1]
    if settings.source_url is None:
        place: dg.LocalFileCodeReference | dg.UrlCodeReference = dg.LocalFileCodeReference(
            file_path=str(file), line_number=line, label=code.__name__
        )
    else:
        inside = file.relative_to(PROJECT).as_posix()
        place = dg.UrlCodeReference(url=f"{settings.source_url}/{inside}#L{line}", label=code.__name__)
    return dg.CodeReferencesMetadataValue(code_references=[place])
