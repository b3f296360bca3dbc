"""What is judged, and what a judgement is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from autoflex_pipeline.model import MODELS

ORDERS = "open_orders"
"""What is judged of the DMS as a whole is told of the list that every tick reads."""

Severity = Literal["warn", "error"]


@dataclass(frozen=True, slots=True)
class Check:
    """A question about ``subject`` (an asset's name): what it asks, and what to do when the answer is no."""

    name: str
    subject: str
    asks: str
    to_do: str


@dataclass(frozen=True, slots=True)
class JudgedDealer:
    """What judging needs to know of a dealer."""

    id: str
    timezone: str
    waiting_hours: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a check: ``told`` in one line, ``rows`` one per dealer (or finding), ``numbers`` over all dealers.

    Neither holds a value of the DMS: names of fields and counts only.
    """

    check: Check
    passed: bool
    told: str
    severity: Severity = "warn"
    rows: list[dict[str, Any]] = field(default_factory=list)
    numbers: dict[str, float] = field(default_factory=dict)


def verdict_of(check: Check, rows: list[dict[str, Any]], numbers: Mapping[str, float] | None = None) -> Verdict:
    """The verdict over rows of one dealer each, with ``dealer``, ``is_odd`` and ``told``; one odd row is a warning."""
    odd = [row for row in rows if row["is_odd"]]
    told = "; ".join(f"{row['dealer']}: {row['told']}" for row in odd or rows)
    return Verdict(check, not odd, told or "nothing to judge yet", rows=rows, numbers=dict(numbers or {}))


SCHEMA = Check(
    "schema_as_known",
    ORDERS,
    "The DMS sends the fields that it sent before, in the same form. What changed is additive (a new field: harmless), "
    "semantic (the same field in another form) or breaking (a field that is used is gone, or cannot be read).",
    "Ask the dealer or the vendor what changed in Autoflex. Nothing is wiped meanwhile: a field that is gone keeps its "
    "last value. Then correct the names in the model, or the reading of that form.",
)
VOLUME = Check(
    "volume_as_usual",
    ORDERS,
    "As many new work orders as on the same weekday of the last weeks, up to this time of the day.",
    "Look in Autoflex whether the dealer works as usual (a public holiday explains it). If it does, compare its open "
    "list with `autoflex-pipeline status`, then `sync --full --dealer ID`.",
)
CHANGES = Check(
    "changes_as_usual",
    ORDERS,
    "The last change in the DMS is not much older than it was on the same weekday of the last weeks at this time.",
    "Change a work order's note in Autoflex and see if it arrives. If not: `autoflex-pipeline doctor --dealer ID`: "
    "the account may no longer see the orders of this branch.",
)
REJECTED = {
    entity: Check(
        "few_rejected",
        entity,
        f"Few of the {entity} records are in quarantine: at most 5 % of a dealer's, or fewer than 5.",
        "Look at `autoflex-pipeline quarantine list`: one rule usually tells of one cause in the DMS. Corrected there, "
        "the rows heal by themselves.",
    )
    for entity in MODELS
}
VALUES = {
    entity: Check(
        "values_as_usual",
        entity,
        f"The {entity} versions of the last day look like those of the last 8 weeks: as often filled, as often true, "
        "numbers of the same size.",
        "Look at some of the newest in Autoflex: is the field filled in another way, or mapped to another column? What "
        "was sent is what the DMS says; the history keeps the earlier versions.",
    )
    for entity in MODELS
}
REFERENCES = {
    entity: Check(
        "no_orphans",
        entity,
        f"What each {entity} refers to has arrived within the dealer's waiting_hours: at most 1 % lacks it, or fewer "
        "than 5.",
        "Run the nightly full pass (`sync --full --dealer ID`). What is missing even then is not in the DMS, or "
        "the account may not read it: `autoflex-pipeline doctor --dealer ID`.",
    )
    for entity in ("appointment", "intervention", "car")
}

CHECKS: tuple[Check, ...] = (
    SCHEMA,
    VOLUME,
    CHANGES,
    *REJECTED.values(),
    *VALUES.values(),
    *REFERENCES.values(),
)
"""Every check, in the order in which they are shown."""
