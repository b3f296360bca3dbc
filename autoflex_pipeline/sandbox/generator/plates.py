"""Number plates: the 14 Dutch sidecodes, current and historic, and those of the neighbours."""

from __future__ import annotations

import random

SIDECODES = {
    1: "XX-99-99",
    2: "99-99-XX",
    3: "99-XX-99",
    4: "XX-99-XX",
    5: "XX-XX-99",
    6: "99-XX-XX",
    7: "99-XXX-9",
    8: "9-XXX-99",
    9: "XX-999-X",
    10: "X-999-XX",
    11: "XXX-99-X",
    12: "X-99-XXX",
    13: "9-XX-999",
    14: "999-XX-9",
}
"""Source: RDW. X is a letter, 9 a digit."""

_OLD_LETTERS = "ABDEFGHJKLMNPRSTUVXYZ"
_LETTERS = "BDFGHJKLNPRSTVXZ"
_WEIGHTS = {1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 6, 7: 10, 8: 12, 9: 16, 10: 18, 11: 6, 12: 4, 13: 4, 14: 4}
_FOREIGN = ("1-XXX-999", "X-XX 9999", "XXX-XX 999", "XX-999-XX", "9XX 9999", "XX99 XXX")
"""Belgium, two German districts, France, Czechia, Great Britain."""


def dutch_plate(rng: random.Random, sidecode: int | None = None) -> str:
    """A plate with hyphens; of the sidecode given, or of one as often as it is on the road."""
    code = sidecode or rng.choices(list(_WEIGHTS), weights=list(_WEIGHTS.values()))[0]
    return _filled(rng, SIDECODES[code], _OLD_LETTERS if code <= 3 else _LETTERS)


def foreign_plate(rng: random.Random) -> str:
    """A plate of a neighbouring country."""
    return _filled(rng, rng.choice(_FOREIGN), _LETTERS)


def as_typed(rng: random.Random, plate: str) -> str:
    """The plate as the DMS usually has it (capitals without hyphens), now and then as somebody typed it."""
    bare = plate.replace("-", "")
    if rng.random() < 0.94:
        return bare
    return rng.choice((plate, bare.lower(), f" {plate.lower()}", plate.replace("-", " ")))


def _filled(rng: random.Random, pattern: str, letters: str) -> str:
    digits = {"X": letters, "9": "0123456789"}
    return "".join(rng.choice(digits[mark]) if mark in digits else mark for mark in pattern)
