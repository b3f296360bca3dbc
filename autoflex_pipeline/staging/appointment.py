"""How an appointment is made from an order, and its rules."""

from __future__ import annotations

from autoflex_pipeline.model.appointment import IS_WORKSHOP, MAX_MILEAGE_KM
from autoflex_pipeline.staging.rules import Kind, Recipe, Rule, Severity

ORDER_TYPE = "order_type"
"""D: the DMS's name of an order's type; it decides what is staged and is no field of the model."""

SKIP_SQL = f"""
CASE
    WHEN stripped(order_type) IS NULL THEN 'type_missing'
    WHEN NOT {IS_WORKSHOP.format(order_type="order_type")} THEN 'not_workshop'
END
"""
"""Why an order is not staged; NULL when it is. An order whose type is absent is skipped too, not kept."""

# The day is read from plan_date_from, and from order_date only when that is empty: never when it is unreadable.
_PLANNED = "raw_appointment_date"
_ORDERED = "raw_appointment_date_2"
_GONE = "(confirmed_at IS NOT NULL AND returned_at IS NULL)"
_MIN_GAP_DAYS, _SWAPPED_GAP_DAYS = 180, 60

RECIPE = Recipe(
    "appointment",
    kinds={
        "dms_notes": Kind.NOTES,
        "car_dms_number": Kind.REFERENCE,
        "contractor_dms_number": Kind.REFERENCE,
    },
    sources={"appointment_date": f"coalesce(stripped({_PLANNED}), {_ORDERED})"},
    helpers={
        "ordered_on": "CASE WHEN moment_created_at IS NOT NULL THEN read_created_at::DATE END",
        "is_out_before_in": """
            CASE
                WHEN moment_scheduled_in_at IS NULL OR moment_scheduled_out_at IS NULL THEN false
                WHEN is_day_only(text_scheduled_in_at) OR is_day_only(text_scheduled_out_at)
                THEN read_scheduled_out_at::DATE < read_scheduled_in_at::DATE
                ELSE moment_scheduled_out_at < moment_scheduled_in_at
            END""",
        "is_mileage_possible": f"read_dms_mileage BETWEEN 0 AND {MAX_MILEAGE_KM}",
    },
    values={
        "scheduled_out_at": "CASE WHEN is_out_before_in IS NOT TRUE THEN moment_scheduled_out_at END",
        "dms_mileage": "CASE WHEN is_mileage_possible THEN read_dms_mileage::BIGINT END",
        "is_canceled": f"coalesce(read_is_canceled, false) OR {_GONE}",
    },
    not_kept=frozenset({"modified_at"}),
    absent={"appointment_date": f"{{0}} OR (stripped({_PLANNED}) IS NULL AND {{1}})"},
    # What is kept is the DMS's own word: not that the order was gone, when it is there again.
    kept={
        "appointment_date": "coalesce(previous_appointment_date, read_appointment_date)",
        "is_canceled": f"coalesce(previous_is_canceled AND returned_at IS NULL, false) OR {_GONE}",
    },
    rules=(
        Rule(
            "wo_number_missing",
            "wo_number",
            Severity.REJECT,
            "wo_number IS NULL",
            "Give the order its number in the DMS.",
        ),
        Rule(
            "appointment_date_unreadable",
            "appointment_date",
            Severity.REJECT,
            "appointment_date IS NULL",
            "Correct the planned date in the DMS (or the order's date, when nothing is planned).",
            before="text_appointment_date",
        ),
        Rule(
            "date_out_of_range",
            "appointment_date",
            Severity.REJECT,
            "appointment_date < DATE '2000-01-01' OR appointment_date > today + INTERVAL 2 YEAR",
            "The day lies before 2000 or more than two years ahead; correct the planned date in the DMS.",
            before="text_appointment_date",
        ),
        Rule(
            "appointment_date_from_order_date",
            "appointment_date",
            Severity.WARN,
            "text_scheduled_in_at IS NULL AND text_created_at IS NOT NULL"
            " AND appointment_date IS NOT DISTINCT FROM read_appointment_date AND appointment_date IS NOT NULL",
            "Nothing is planned; the day of the order was taken. Plan the order in the DMS.",
            before=_ORDERED,
        ),
        Rule(
            "date_day_month_swapped",
            "appointment_date",
            Severity.WARN,
            f"abs(appointment_date - ordered_on) > {_MIN_GAP_DAYS} AND CASE WHEN day(appointment_date) <= 12 THEN "
            "abs(make_date(year(appointment_date), day(appointment_date), month(appointment_date)) - ordered_on)"
            f" <= {_SWAPPED_GAP_DAYS} END",
            "Day and month look exchanged; check the planned date in the DMS.",
            before="text_appointment_date",
        ),
        Rule(
            "out_before_in",
            "scheduled_out_at",
            Severity.WARN,
            "is_out_before_in",
            "The car would leave before it comes, so the leaving time was left out; correct it in the DMS.",
        ),
        Rule(
            "created_after_appointment",
            "created_at",
            Severity.WARN,
            "ordered_on > appointment_date",
            "The order was made after its day; check both dates in the DMS.",
        ),
        Rule(
            "mileage_out_of_range",
            "dms_mileage",
            Severity.WARN,
            "NOT is_mileage_possible",
            "The mileage was left out because it is negative or above 2,000,000 km; correct it in the DMS.",
        ),
        Rule(
            "gone_from_dms",
            "is_canceled",
            Severity.WARN,
            _GONE,
            "The order is no longer in the DMS and counts as canceled; look there whether that is right.",
        ),
        Rule(
            "returned_to_dms",
            "is_canceled",
            Severity.WARN,
            "returned_at IS NOT NULL",
            "The order was gone from the DMS and is there again; check that Claire no longer shows it as canceled.",
        ),
    ),
)

MILEAGE_LOWER = Rule(
    "mileage_lower",
    "dms_mileage",
    Severity.WARN,
    "",
    "An earlier appointment of this car has a higher mileage; check both in the DMS.",
)
"""Judged against the other appointments, after the row is staged (see stage.sql)."""
