"""How a car is made from a vehicle, and its rules."""

from __future__ import annotations

from autoflex_pipeline.staging.rules import Kind, Recipe, Rule, Severity

RECIPE = Recipe(
    "car",
    kinds={
        "car_notes": Kind.NOTES,
        "driver_dms_number": Kind.REFERENCE,
        "owner_dms_number": Kind.REFERENCE,
    },
    helpers={"dutch_plate": "dutch_plate(plate_signs(read_registration_number))"},
    values={
        "registration_number": "coalesce(dutch_plate, upper(read_registration_number))",
        "vin": "upper(read_vin)",
    },
    normalised={"registration_number": "dutch_plate IS NOT NULL"},
    rules=(
        Rule(
            "plate_normalised",
            "registration_number",
            Severity.REPAIR,
            "dutch_plate <> raw_registration_number",
            "The plate was written in the Dutch form; nothing to do.",
        ),
        Rule(
            "plate_foreign_or_invalid",
            "registration_number",
            Severity.WARN,
            "registration_number IS NOT NULL AND dutch_plate IS NULL",
            "The plate has no Dutch form; check it in the DMS when the car is Dutch.",
        ),
        Rule(
            "vin_invalid",
            "vin",
            Severity.WARN,
            "NOT regexp_full_match(vin, '[A-HJ-NPR-Z0-9]{17}')",
            "A VIN has 17 of A-Z and 0-9 without I, O and Q; check it in the DMS.",
        ),
        Rule(
            "car_unidentified",
            "make, model, registration_number, vin",
            Severity.REJECT,
            "make IS NULL AND model IS NULL AND registration_number IS NULL AND vin IS NULL",
            "Give the car a make, a model, a plate or a VIN in the DMS.",
            before="NULL",
        ),
    ),
)
