"""Tables for the Dagster UI: counts, states and rules, never a personal value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import dagster as dg
import duckdb

from autoflex_pipeline.plain_text import shown
from autoflex_pipeline.runs.resending import Resent
from autoflex_pipeline.settings import DealerSettings

ROWS_SHOWN = 200
HIDDEN_WORDS = "hidden, as it may quote a person; `autoflex-pipeline trace` shows it"
RESEND_REPORT = "resend_report"
"""The asset key under which the reports of the job resend are found."""


def quarantine_table(connection: duckdb.DuckDBPyConnection) -> tuple[dg.MetadataValue[Any], int]:
    """Open quarantine by dealer, entity, rule and field, most first, and the number of rows in all."""
    rows = connection.execute(
        """
        SELECT dealer_id, entity, rule, field, any_value(hint), count(*)
        FROM quarantine WHERE state = 'open'
        GROUP BY dealer_id, entity, rule, field
        ORDER BY count(*) DESC, dealer_id, entity, rule, field
        """
    ).fetchall()
    records = [
        dg.TableRecord(
            {"dealer": row[0], "entity": row[1], "rule": row[2], "field": row[3], "rows": row[5], "what_to_do": row[4]}
        )
        for row in rows[:ROWS_SHOWN]
    ]
    total = sum(row[5] for row in rows)
    return (dg.MetadataValue.table(records) if records else dg.MetadataValue.text("empty")), total


def resend_report(dealer: DealerSettings, resent: Sequence[Resent]) -> dg.AssetMaterialization:
    """What became of each appointment that was sent again; Claire may quote a person, so its words may be hidden."""
    is_full = dealer.privacy == "full"
    counts = Counter(each.result for each in resent)
    rows = [
        dg.TableRecord(
            {
                "dealer": dealer.id,
                "dms_number": each.dms_number,
                "result": each.result,
                "http_status": "" if each.http_status is None else str(each.http_status),
                "message": shown(each.message or "") if is_full or each.http_status is None else HIDDEN_WORDS,
            }
        )
        for each in resent[:ROWS_SHOWN]
    ]
    return dg.AssetMaterialization(
        RESEND_REPORT,
        description="What became of the appointments that were sent again.",
        metadata={
            "dealer": dealer.id,
            **{name.replace(" ", "_"): count for name, count in counts.items()},
            "appointments": dg.MetadataValue.table(rows),
            "left_out": max(0, len(resent) - ROWS_SHOWN),
        },
    )
