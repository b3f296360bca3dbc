"""The intervention: one line of an order."""

from __future__ import annotations

from decimal import Decimal

from autoflex_pipeline.model.columns import Entity, Money, Text, Whole, column, wanted

MAX_PRICE_EUR = Decimal(100_000)


class Intervention(Entity):
    """One order line of a dealer; key (dealer_id, dms_number)."""

    dealer_id: Text = column("The dealer, as named in the configuration.", key=True)
    dms_number: Text = column(
        "The number by which Autoflex knows the line.",
        dms="order_line_id",
        evidence="A",
        header="Regel ID",
        claire="interventions[].dms_nr",
        empty="required",
        key=True,
    )
    appointment_dms_number: Text = column(
        "The order that the line belongs to.",
        dms="order_id",
        evidence="A",
        header="Order ID",
        empty="required",
    )
    position: Whole = column(
        "line_number as it stands; without it, the place (from 1) in which the DMS gave the line.",
        dms="line_number",
        evidence="A",
        header="Regelnummer",
        claire="interventions[].position",
        empty="required",
    )
    title: Text = column(
        "What is to be done.",
        dms="description",
        evidence="A",
        header="Omschrijving",
        claire="interventions[].title",
        empty="required",
        str_length={"min_value": 1},
    )
    price: Money = column(
        "Price in EUR, VAT included.",
        dms="price_incl_vat",
        evidence="A",
        header="Prijs incl. BTW",
        claire="interventions[].price",
        empty="clear",
        ge=-MAX_PRICE_EUR,
        le=MAX_PRICE_EUR,
    )
    description: Text = wanted("Longer text of the intervention.", claire="interventions[].description", pii="F")
    elements: Text = wanted("Labour, parts and menus of the intervention, as JSON.", claire="interventions[].elements")
