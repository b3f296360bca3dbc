"""Cars: makes with their real world manufacturer identifiers, models and engine families; VINs and mileages."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date
from typing import Any

from autoflex_pipeline.sandbox.generator.plates import SIDECODES, as_typed, dutch_plate, foreign_plate

Row = dict[str, Any]

_MAKES: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("Volkswagen", "WVW", ("Golf", "Polo", "Passat Variant", "up!", "T-Roc", "ID.3"), ("CAX", "DPC", "CHY", "EBJ")),
    ("Audi", "WAU", ("A1 Sportback", "A3 Limousine", "A4 Avant", "Q3"), ("CZE", "DET", "CUN")),
    ("BMW", "WBA", ("118i", "320d Touring", "X1", "i3"), ("B38A15", "B47D20", "N20B20")),
    ("Mercedes-Benz", "WDD", ("A 180", "C 220 d Estate", "E 200"), ("M270", "OM651", "M264")),
    ("Opel", "W0L", ("Corsa", "Astra Sports Tourer", "Mokka", "Karl"), ("B14XER", "A13DTE", "D14XFL")),
    ("Ford", "WF0", ("Fiësta", "Focus Wagon", "Kuga", "Transit Custom"), ("M1JE", "XWDA", "SFJB")),
    ("Renault", "VF1", ("Clio", "Mégane Estate", "Captur", "Zoé"), ("H4BB4", "K9KF6", "5AQ")),
    ("Peugeot", "VF3", ("108", "208", "308 SW", "3008"), ("HMZ", "EB2F", "DV6C")),
    ("Citroën", "VF7", ("C1", "C3", "Berlingo", "C4 Picasso"), ("HM01", "BH02", "YH01")),
    ("Toyota", "JTD", ("Aygo", "Yaris Hybrid", "Corolla Touring Sports", "Prius"), ("1KR", "1NZ-FXE", "2ZR-FXE")),
    ("Kia", "KNA", ("Picanto", "Ceed Sportswagon", "Niro", "e-Soul"), ("G3LA", "G4LE", "EM16")),
    ("Hyundai", "KMH", ("i10", "i20", "Kona Electric", "Tucson"), ("G3LA", "G4LD", "EM16")),
    ("Volvo", "YV1", ("V40", "V60", "XC40", "XC60"), ("B4204T", "D4204T", "B3154T")),
    ("Škoda", "TMB", ("Fabia Combi", "Octavia Combi", "Citigo"), ("CHYA", "DFGA", "CZCA")),
    ("Seat", "VSS", ("Ibiza", "Leon ST", "Arona"), ("CHZB", "CZDA", "DKRF")),
    ("Fiat", "ZFA", ("500", "Panda", "Tipo Stationwagon"), ("169A4", "312A2", "55282")),
    ("Suzuki", "TSM", ("Swift", "Vitara", "Ignis"), ("K12C", "K14C", "K10C")),
    ("Tesla", "5YJ", ("Model 3", "Model S"), ("3D1", "L1S")),
)
_VIN_SIGNS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
_YEAR_SIGNS = {2010 + index: sign for index, sign in enumerate("ABCDEFGHJKLMNPRSTVWXY")}
_NOTES = (
    "Sleutelnummer 4471",
    "Trekhaak afneembaar; ligt thuis",
    "Let op: lage voorspoiler!",
    "Winterbanden in opslag\nrek 12B",
    "Radiocode 0417 – 'vragen bij klant'",
    "Kofferbak opent alleen met tweede sleutel 🔑",
)


@dataclass(frozen=True)
class Wheels:
    """What the generator knows of a car beyond its row: how its mileage grows."""

    vehicle_id: int
    registered: date
    km_per_day: float
    driver_id: int | None
    owner_id: int | None
    is_leased: bool

    def mileage(self, day: date) -> int:
        """Kilometres on that day; never less than on an earlier one."""
        return 12 + int(max(0, (day - self.registered).days) * self.km_per_day)


def make_car(rng: random.Random, index: int, wheels: Wheels, taken: set[str]) -> Row:
    """The row of a car. The first 14 cars of a dealer bear one sidecode each; about one in 40 is foreign."""
    brand, wmi, models, engines = rng.choice(_MAKES)
    plate = _plate(rng, index, taken)
    return {
        "vehicle_id": wheels.vehicle_id,
        "brand": brand,
        "model": rng.choice(models),
        "license_plate": as_typed(rng, plate),
        "formatted_license_plate": plate,
        "vin": _vin(rng, wmi, wheels.registered.year),
        "engine_number": f"{rng.choice(engines)}{rng.randrange(1_000_000):06d}" if rng.random() < 0.85 else None,
        "notes": rng.choice(_NOTES) if rng.random() < 0.12 else None,
        "milometer": None,
        "driver_relation_id": wheels.driver_id,
        "owner_relation_id": wheels.owner_id,
    }


def _plate(rng: random.Random, index: int, taken: set[str]) -> str:
    while True:
        foreign = index >= len(SIDECODES) and rng.random() < 0.025
        plate = foreign_plate(rng) if foreign else dutch_plate(rng, index + 1 if index < len(SIDECODES) else None)
        if plate not in taken:
            taken.add(plate)
            return plate


def _vin(rng: random.Random, wmi: str, year: int) -> str:
    descriptor = "ZZZ" + "".join(rng.choice(_VIN_SIGNS) for _ in range(2)) + "Z"
    year_sign = _YEAR_SIGNS.get(year, "9")
    return f"{wmi}{descriptor}{year_sign}{rng.choice('ABDEGMPRW')}{rng.randrange(1_000_000):06d}"
