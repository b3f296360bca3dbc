"""What a workshop does and writes down: titles with prices, and the notes of the reception desk."""

from __future__ import annotations

import random
from typing import Any

Row = dict[str, Any]

_JOBS: tuple[tuple[str, float, float], ...] = (
    ("Grote beurt", 329, 489),
    ("Kleine beurt", 169, 249),
    ("APK", 39, 59.5),
    ("APK-keuring incl. viergastest", 49.5, 69),
    ("Remblokken vervangen vooras", 149, 239),
    ("Remschijven en -blokken achter", 289, 419),
    ("Distributieriem + waterpomp vervangen", 549, 899),
    ("Airco-onderhoud (R1234yf)", 119, 229),
    ("Winterbanden wisselen & balanceren", 49, 79),
    ("Vier banden 205/55 R16 91V", 359, 519),
    ("Accu vervangen", 129, 239),
    ("Ruit repareren – sterretje", 0, 75),
    ("Diagnose storing: motorlampje", 45, 95),
    ("Koppelingsset vernieuwen", 689, 1149),
    ("Uitlijnen 3D", 79, 119),
    ("Software-update infotainment", 0, 49),
    ("Trekhaak monteren (13-polig)", 589, 849),
    ("Bougies vervangen (4×)", 79, 139),
    ("Terugroepactie 23V-Ü/9", 0, 0),
    ("Wachtauto", 15, 35),
    ("Korting vaste klant", -50, -10),
    ("Fietsendrager; huur per dag", 9.95, 14.95),
)
_NOTES = (
    "Klant wacht",
    "Graag bellen vóór 12.00 uur: 06 – …",
    "Sleutel in brievenbus 🔑",
    "Tikkend geluid linksvoor\nbij > 80 km/u\n(alleen koud)",
    'Klant zegt: "doe maar als de vorige keer"',
    "Let op; factuur naar leasemaatschappij",
    "'); DROP TABLE appointments; --",
    "Naïeve vraag: coördineren met schadebedrijf? €€",
    "Code\t4471\tAlarm\tuit",
    "Ophalen én terugbrengen 🚗💨 – afgesproken met Zoë",
    "<b>Niet</b> wassen &amp; niet poetsen",
    "C:\\temp\\foto's\\schade.jpg",
    "نرجو الاتصال قبل البدء",
    '1;2;3;"4"',
    "100% tevreden? Bel {klant} op %s",
    "Leenauto: VW up! – eigen risico € 450,-",
)
_LONG = "Uitgebreide klachtomschrijving: de auto trilt bij het remmen, vooral bergaf en bij regen. "


def make_lines(rng: random.Random, order_id: int, first_id: int) -> list[Row]:
    """One to six lines, in the DMS's order; line numbers run 1, 2, 3 or 10, 20, 30, or are not there."""
    jobs = rng.sample(_JOBS, rng.choices((1, 2, 3, 4, 5, 6), weights=(30, 28, 20, 12, 6, 4))[0])
    step = rng.choices((1, 10, 0), weights=(91, 6, 3))[0]
    return [
        {
            "order_line_id": first_id + index,
            "order_id": order_id,
            "line_number": (index + 1) * step if step else None,
            "description": title,
            "price_incl_vat": _price(rng, low, high),
        }
        for index, (title, low, high) in enumerate(jobs)
    ]


def make_note(rng: random.Random) -> str | None:
    """A note, or none; a few are very long."""
    draw = rng.random()
    if draw < 0.6:
        return None
    return _LONG * rng.randrange(10, 80) if draw > 0.995 else rng.choice(_NOTES)


def other_price(rng: random.Random) -> Any:
    """Some other price, as when somebody corrects it."""
    return _price(rng, 25, 650)


def _price(rng: random.Random, low: float, high: float) -> Any:
    if rng.random() < 0.02:
        return None
    cents = round(rng.uniform(low, high) * 20) * 5
    text = f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"
    return text if rng.random() < 0.5 else float(text)
