"""Relations: people with tussenvoegsels and house number additions, companies, lease companies. Names from Faker."""

from __future__ import annotations

import random
from typing import Any

Row = dict[str, Any]

_PREFIXES = ("van", "de", "van den", "van der", "van de", "ter", "ten", "in 't", "'t", "von", "el", "op den")
_TITLES = ("Dhr.", "Mevr.", "De heer", "Mevrouw", "Fam.", "dr.", "Mr. drs.")
_ADDITIONS = ("A", "B", "bis", "II", "hs", "-3", "rood", "a1", "t/o")
_TRADES = ("Bouwbedrijf", "Loodgietersbedrijf", "Schilders", "Hoveniersbedrijf", "Transport", "Bakkerij", "Thuiszorg")
_LEASE = (
    "Rijnstreek Lease",
    "Mobiel & Meer Autolease",
    "Noorderlicht Lease",
    "Polder Fleet",
    "Zuiderzee Operational Lease",
)
_ODD_NAMES = ("Ç. Yıldız", "Müller-Lüdenscheidt", "O'Brien", 'Jaap "Japie" Groen', "Þórsson", "Nguyễn")
_FOREIGN_PLACES = (("B-2000", "Antwerpen"), ("47533", "Kleve"), ("B-3600", "Genk"), ("48599", "Gronau"))


class People:
    """Draws relations from pools of Dutch names, streets and places made once with Faker."""

    def __init__(self, rng: random.Random) -> None:
        # Imported late: it takes a good part of a second, and a Claire by itself draws no people.
        from faker import Faker

        self._rng = rng
        fake = Faker("nl_NL")
        fake.seed_instance(rng.randrange(2**32))
        self._surnames = sorted({fake.last_name().split()[-1].capitalize() for _ in range(300)})
        self._streets = sorted({fake.street_name() for _ in range(200)})
        self._places = sorted({fake.city() for _ in range(150)})

    def person(self, relation_id: int) -> Row:
        """A private person."""
        rng = self._rng
        odd = rng.random() < 0.01
        return {
            "relation_id": relation_id,
            "company_name": None,
            "title": rng.choice(_TITLES) if rng.random() < 0.8 else None,
            "last_name_prefix": rng.choice(_PREFIXES) if rng.random() < 0.35 and not odd else None,
            "last_name": rng.choice(_ODD_NAMES) if odd else rng.choice(self._surnames),
            **self._address(),
        }

    def company(self, relation_id: int) -> Row:
        """A company; one in three has a contact person's name."""
        rng = self._rng
        form = rng.choice(("B.V.", "VOF", "& Zn.", "Holding BV", ""))
        named = rng.random() < 0.33
        return {
            "relation_id": relation_id,
            "company_name": f"{rng.choice(_TRADES)} {rng.choice(self._surnames)} {form}".strip(),
            "title": None,
            "last_name_prefix": rng.choice(_PREFIXES) if named and rng.random() < 0.35 else None,
            "last_name": rng.choice(self._surnames) if named else None,
            **self._address(),
        }

    def lease_company(self, relation_id: int, index: int) -> Row:
        """One of the lease companies."""
        name = f"{_LEASE[index % len(_LEASE)]} B.V."
        return {**self.company(relation_id), "company_name": name, "last_name": None, "last_name_prefix": None}

    def _address(self) -> Row:
        rng = self._rng
        if rng.random() < 0.02:
            postcode, city = rng.choice(_FOREIGN_PLACES)
        else:
            digits, letters = f"{rng.randrange(1000, 9999)}", "".join(rng.choice("ABCDEGHJKLNPRSTVWXZ") for _ in "XX")
            shapes = (f"{digits} {letters}", f"{digits}{letters}", f"{digits}{letters.lower()}")
            postcode, city = rng.choices(shapes, weights=(70, 25, 5))[0], rng.choice(self._places)
        return {
            "street": rng.choice(self._streets),
            "house_number": rng.choice((str, int))(rng.randrange(1, 400)),
            "house_number_addition": rng.choice(_ADDITIONS) if rng.random() < 0.2 else None,
            "postcode": postcode,
            "city": city,
        }
