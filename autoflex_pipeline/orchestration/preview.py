"""The preview: what a run would send, field by field, as a table in the Dagster UI."""

# Dagster reads annotations of configuration and resources as objects: no `from __future__ import annotations` here.

from collections.abc import Mapping
from typing import Any

import dagster as dg

from autoflex_pipeline.claire.options import DealerDelivery
from autoflex_pipeline.claire.preview import field_changes, preview_counts, shortened
from autoflex_pipeline.orchestration.metadata import counts_metadata
from autoflex_pipeline.settings import Settings

REPORT = "preview_report"
"""The asset key under which the previews are found."""

MOST_FIELDS = 500
"""Of the table: metadata is kept in Dagster's database. `sync --dry-run` prints all."""


def preview_metadata(settings: Settings, deliveries: Mapping[str, DealerDelivery]) -> dict[str, Any]:
    """Counts of what would be done, per dealer too, and the difference field by field."""
    changes = [
        change
        for dealer_id, delivery in deliveries.items()
        for change in field_changes(settings.dealer(dealer_id), delivery)
    ]
    rows, left_out = shortened(changes, MOST_FIELDS)
    records = [
        dg.TableRecord(
            {
                "dealer": row.dealer_id,
                "dms_number": row.dms_number,
                "would": row.would,
                "field": row.field,
                "now": row.now,
                "then": row.then,
            }
        )
        for row in rows
    ]
    problems = [f"{dealer_id}: {delivery.error}" for dealer_id, delivery in deliveries.items() if delivery.error]
    return {
        **counts_metadata({dealer_id: preview_counts(delivery) for dealer_id, delivery in deliveries.items()}),
        "difference": dg.MetadataValue.table(records) if records else dg.MetadataValue.text("nothing would be sent"),
        "fields": len(changes),
        "fields_left_out": left_out,
        "problems": dg.MetadataValue.text("; ".join(problems) or "none"),
    }
