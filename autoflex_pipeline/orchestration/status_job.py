"""The status page in the Dagster UI: refreshed by each sync, and by the job ``status``."""

# Dagster reads annotations of configuration and resources as objects: no `from __future__ import annotations` here.

from datetime import datetime
from typing import Any

import dagster as dg

from autoflex_pipeline.errors import PipelineError
from autoflex_pipeline.lineage.report import markdown_table
from autoflex_pipeline.orchestration.jobs import KIND_TAG
from autoflex_pipeline.orchestration.resources import Installation
from autoflex_pipeline.runs.status import COUNTS, ago, dealer_status, what_is_wrong

STATUS = "status"
REPORT = "status_report"
"""The asset key under which the reports are found."""

DEALERS_SHOWN = 50
"""Those with trouble first: a report comes with every sync, and Dagster's database keeps it for two weeks."""

ORDER = ("on_hold", "failing", "never", "ok")
COLUMNS = ("dealer", "state", "last success", *COUNTS, "quarantined", "next try", "what is wrong")


def status_report(installation: Installation) -> dg.AssetMaterialization:
    """How it stands for each dealer now."""
    dealers = dealer_status(installation.settings, installation.warehouse, installation.state, now=installation.clock())
    rows = sorted(dealers.items(), key=lambda item: ORDER.index(item[1]["state"]))
    lags = [row["lag_seconds"] for _, row in rows if row["lag_seconds"] is not None]
    totals = {name: sum(row[name] for _, row in rows) for name in (*COUNTS, "quarantined")}
    states = {f"dealers_{name}": sum(row["state"] == name for _, row in rows) for name in ORDER}
    cells = [_cells(installation, dealer_id, row) for dealer_id, row in rows[:DEALERS_SHOWN]]
    return dg.AssetMaterialization(
        REPORT,
        description="How it stands for each dealer; trouble first.",
        metadata={
            "status": dg.MetadataValue.md(markdown_table(COLUMNS, cells)),
            **totals,
            **states,
            **({"oldest_success_minutes": round(max(lags) / 60, 1)} if lags else {}),
            "dealers_left_out": max(0, len(rows) - DEALERS_SHOWN),
        },
    )


def _cells(installation: Installation, dealer_id: str, row: dict[str, Any]) -> list[Any]:
    moment: datetime | None = row["next_try_at"]
    zone = installation.settings.dealer(dealer_id).zone
    return [
        dealer_id,
        row["state"].replace("_", " "),
        ago(row["lag_seconds"]),
        *(row[name] for name in COUNTS),
        row["quarantined"],
        f"{moment.astimezone(zone):%H:%M}" if moment else "",
        what_is_wrong(row),
    ]


@dg.op(description="Reads how it stands for each dealer and leaves it as a report. Asks and sends nothing.")
def look_at_status(context: dg.OpExecutionContext, installation: dg.ResourceParam[Installation]) -> None:
    """Leave the report as a materialization."""
    try:
        report = status_report(installation)
    except PipelineError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None
    context.log_event(report)


@dg.job(
    name=STATUS,
    description=(
        "How does it stand? Launch it as it is. The run leaves the status page: open its materialization of "
        "status_report, then status → Show Markdown. Each sync leaves one too: Assets → status_report shows the "
        "newest, and its plots. It asks and sends nothing, and works beside any other run."
    ),
    executor_def=dg.in_process_executor,
    tags={KIND_TAG: "status"},
)
def status() -> None:
    """Show the status."""
    look_at_status()
