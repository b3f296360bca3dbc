"""How an intervention is made from an order line, and its rules."""

from __future__ import annotations

from autoflex_pipeline.model.intervention import MAX_PRICE_EUR
from autoflex_pipeline.staging.rules import Kind, Recipe, Rule, Severity

RECIPE = Recipe(
    "intervention",
    kinds={"appointment_dms_number": Kind.REFERENCE, "elements": Kind.NOTES, "description": Kind.NOTES},
    values={
        # Without a whole number of its own: the place in which the DMS gave the line.
        "position": "coalesce(try_cast(read_position AS BIGINT), place, 1)",
    },
    # Without line numbers the order given counts, also when it changes: keeping the last one would hide that.
    not_kept=frozenset({"position"}),
    rules=(
        Rule(
            "key_missing",
            "appointment_dms_number",
            Severity.REJECT,
            "appointment_dms_number IS NULL",
            "The line names no order; find its order in the DMS.",
        ),
        Rule(
            "title_empty",
            "title",
            Severity.REJECT,
            "title IS NULL",
            "Give the line a description in the DMS.",
        ),
        Rule(
            "price_invalid",
            "price",
            Severity.REJECT,
            "read_price IS NULL AND text_price IS NOT NULL",
            "The price is no number; correct it in the DMS.",
        ),
        Rule(
            "price_out_of_range",
            "price",
            Severity.REJECT,
            f"abs(try_cast(read_price AS DOUBLE)) > {MAX_PRICE_EUR}",
            "The price lies beyond 100,000 EUR; correct it in the DMS.",
        ),
    ),
)

ORPHAN = Rule(
    "orphan",
    "appointment_dms_number",
    Severity.WARN,
    "",
    "The order of this line has not been seen; look whether it is a workshop order, or in quarantine.",
)
"""Judged against the staged appointments, once the line has waited long enough (see stage.sql)."""
