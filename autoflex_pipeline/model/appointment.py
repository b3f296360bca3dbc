"""The appointment: one per Autoflex order of type WORKSHOP."""

from __future__ import annotations

from autoflex_pipeline.model.columns import Day, Entity, Flag, Moment, Text, Whole, column, wanted

MAX_MILEAGE_KM = 2_000_000

IS_WORKSHOP = "coalesce(upper(trim({order_type})) IN ('1', 'WORKSHOP', 'WERKPLAATS'), false)"
"""SQL: whether an order is an appointment, by its type as the DMS writes it."""


class Appointment(Entity):
    """One workshop order of a dealer; key (dealer_id, dms_number)."""

    dealer_id: Text = column("The dealer, as named in the configuration; chooses Claire's location_id.", key=True)
    dms_number: Text = column(
        "The number by which Autoflex knows the order.",
        dms="order_id",
        evidence="A",
        header="Order ID",
        claire="dms_nr",
        empty="required",
        key=True,
    )
    wo_number: Text = column(
        "The work order number that people use. Text: counters restart at New Year, internal ones carry an i.",
        dms="order_number",
        evidence="D",
        header="Ordernummer",
        claire="wo_nr",
        empty="required",
    )
    appointment_date: Day = column(
        "The day of the appointment, local to the dealer: of plan_date_from, or of order_date when that is empty.",
        dms=("plan_date_from", "order_date"),
        evidence="A",
        header="Plandatum van",
        claire="appointment_date",
        empty="required",
    )
    created_at: Moment = column(
        "When the order was made.",
        dms="order_date",
        evidence="D",
        header="Orderdatum",
        claire="creation_date",
        empty="clear",
    )
    scheduled_in_at: Moment = column(
        "When the car is expected.",
        dms="plan_date_from",
        evidence="A",
        header="Plandatum van",
        claire="scheduled_in",
        empty="clear",
    )
    scheduled_out_at: Moment = column(
        "When the car is to be ready; never before scheduled_in_at.",
        dms="plan_date_to",
        evidence="A",
        header="Plandatum tot",
        claire="scheduled_out",
        empty="clear",
    )
    is_billed: Flag = column(
        "Whether the work order is invoiced; can go back to false.",
        dms="is_invoiced",
        evidence="D",
        header="Gefactureerd",
        claire="billed",
        empty="false",
    )
    dms_notes: Text = column(
        "Notes of the order, with their line breaks.",
        dms="notes",
        evidence="A",
        header="Notitie",
        claire="dms_notes",
        empty="clear",
        pii="F",
    )
    car_in_shop: Flag = column(
        "Whether the car is in the shop; may be unknown.",
        dms="is_present",
        evidence="A",
        header="Aanwezig",
        claire="car_in_shop",
        empty="keep",
    )
    is_internal: Flag = column(
        "Whether it is an internal work order.",
        dms="is_internal",
        evidence="A",
        header="Intern",
        claire="internal",
        empty="false",
    )
    dms_mileage: Whole = column(
        "Mileage in km as the DMS has it.",
        dms="milometer",
        evidence="A",
        header="Tellerstand",
        claire="dms_mileage",
        empty="keep",
        ge=0,
        le=MAX_MILEAGE_KM,
    )
    is_canceled: Flag = column(
        "Whether it is canceled, in the DMS or because it is confirmed to be gone from it.",
        dms="is_canceled",
        evidence="A",
        header="Geannuleerd",
        claire="canceled",
        empty="false",
    )
    car_dms_number: Text = column(
        "The car, by its number in the DMS.",
        dms="vehicle_id",
        evidence="A",
        header="Voertuig ID",
        empty="keep",
    )
    contractor_dms_number: Text = column(
        "The party that ordered the work, by its number in the DMS.",
        dms="relation_id",
        evidence="A",
        header="Relatienummer",
        empty="keep",
    )
    modified_at: Moment = column(
        "When the order or its lines were last changed, where the DMS says so; not sent to Claire.",
        dms="last_modified",
        evidence="A",
        header="Gewijzigd op",
    )
    customer_waiting: Flag = wanted("Whether the customer waits in the showroom.", claire="customer_waiting")
