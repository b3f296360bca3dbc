"""What a dry run found, as a table of fields: what would be sent of which appointment, and what it is now.

For a report that more people read than may know customers by name: personal values and free text are hidden, unless
the dealer's privacy is "full". The commands show all of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from autoflex_pipeline.claire.contract import sent_fields
from autoflex_pipeline.claire.options import DealerDelivery
from autoflex_pipeline.model import MODELS
from autoflex_pipeline.plain_text import shown
from autoflex_pipeline.settings import DealerSettings

HIDDEN = "hidden"
ORDER = {"cancel": 0, "update": 1, "create": 2}
"""What a person should see first: a first import of thousands must not push the one cancelation off the table."""

COUNTS = {
    "created": "would_create", "updated": "would_update", "held": "would_hold", "waiting": "would_wait",
    "pending": "would_stay_pending", "rejected": "stays_rejected", "failed": "stays_failed", "unchanged": "unchanged",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of one appointment: what would be done (create, update, cancel), and its value now and then."""

    dealer_id: str
    dms_number: str
    would: str
    field: str
    now: str
    then: str


def field_changes(dealer: DealerSettings, delivery: DealerDelivery) -> list[FieldChange]:
    """The difference of a dealer's dry run, field by field: cancelations first, then updates, then what is new."""
    is_full = dealer.privacy == "full"
    changes = [
        FieldChange(
            dealer.id,
            document["dms_number"],
            what_would_be(document),
            change["field"],
            _value(change["field"], change["old"], is_full=is_full),
            _value(change["field"], change["new"], is_full=is_full),
        )
        for document in delivery.changes
        for change in document["fields_changed"]
    ]
    return sorted(changes, key=lambda change: ORDER[change.would])


def preview_counts(delivery: DealerDelivery) -> dict[str, int]:
    """How many appointments would be created, updated (of both: canceled), held and so on."""
    counts = {name: delivery.counts[state] for state, name in COUNTS.items()}
    canceled = sum(what_would_be(document) == "cancel" for document in delivery.changes)
    return counts | {"would_cancel": canceled}


def what_would_be(document: Mapping[str, Any]) -> str:
    """What would be done with an appointment of a dry run: create, update or cancel."""
    (canceled,) = [name for name, info in sent_fields("appointment").items() if info.name == "is_canceled"]
    if any(change["field"] == canceled and change["new"] is True for change in document["fields_changed"]):
        return "cancel"
    return "create" if document["result"] == "created" else "update"


def is_plain(path: str) -> bool:
    """Whether what stands at a path of the document may be shown to anybody; what is not declared may not."""
    return re.sub(r"\[[^\]]*\]", "[]", path) in _plain_paths()


@cache
def _plain_paths() -> frozenset[str]:
    declared = {info.claire for entity in MODELS for info in sent_fields(entity).values() if info.pii is None}
    # The order of the lines, by their numbers.
    return frozenset(path for path in declared if path) | {"interventions"}


def _value(path: str, value: Any, *, is_full: bool) -> str:
    if value is None:
        return ""
    if not (is_full or is_plain(path)):
        return HIDDEN
    if isinstance(value, list):
        return ", ".join(shown(str(each)) for each in value)
    return shown(str(value))


def shortened(changes: Sequence[FieldChange], most: int) -> tuple[Sequence[FieldChange], int]:
    """The first ``most`` fields of all dealers' changes, and how many are left out."""
    ordered = sorted(changes, key=lambda change: ORDER[change.would])
    return ordered[:most], max(0, len(ordered) - most)
