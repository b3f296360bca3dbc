"""The car: one vehicle of the DMS."""

from __future__ import annotations

from autoflex_pipeline.model.columns import Day, Entity, Text, column, wanted


class Car(Entity):
    """One vehicle of a dealer; key (dealer_id, dms_number)."""

    dealer_id: Text = column("The dealer, as named in the configuration.", key=True)
    dms_number: Text = column(
        "The number by which Autoflex knows the vehicle.",
        dms="vehicle_id",
        evidence="O",
        header="Voertuig ID",
        claire="car.dms_nr",
        empty="required",
        key=True,
    )
    make: Text = column("Make.", dms="brand", evidence="O", header="Merk", claire="car.make", empty="keep")
    model: Text = column("Model.", dms="model", evidence="O", header="Model", claire="car.model", empty="keep")
    registration_number: Text = column(
        "Plate: capitals with hyphens for Dutch ones, others in capitals as given.",
        dms="license_plate",
        evidence="O",
        header="Kenteken",
        claire="car.registration_number",
        empty="keep",
        pii="P",
    )
    vin: Text = column(
        "Vehicle identification number in capitals.",
        dms="vin",
        evidence="A",
        header="Chassisnummer",
        claire="car.vin",
        empty="keep",
        pii="P",
    )
    engine_number: Text = column(
        "Engine number.",
        dms="engine_number",
        evidence="A",
        header="Motornummer",
        claire="car.engine_number",
        empty="keep",
        pii="P",
    )
    car_notes: Text = column(
        "Notes of the car, with their line breaks.",
        dms="notes",
        evidence="A",
        header="Notitie",
        claire="car.notes",
        empty="clear",
        pii="F",
    )
    driver_dms_number: Text = column(
        "The party that drives the car.",
        dms="driver_relation_id",
        evidence="A",
        header="Bestuurder",
        claire="car.driver_id",
        empty="keep",
    )
    owner_dms_number: Text = column(
        "The party that owns the car.",
        dms="owner_relation_id",
        evidence="A",
        header="Eigenaar",
        empty="keep",
    )
    fuel: Text = wanted("Fuel.", claire="car.fuel")
    first_registration_date: Day = wanted("Day of first registration.", claire="car.first_registration_date")
    apk_date: Day = wanted("Day on which the APK (MOT) ends.", claire="car.apk_date")
    warranty_start: Day = wanted("First day of the warranty.", claire="car.warranty_start")
    warranty_end: Day = wanted("Last day of the warranty.", claire="car.warranty_end")
