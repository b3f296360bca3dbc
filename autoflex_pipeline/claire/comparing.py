"""After a restore: what Claire holds is read from Claire itself, before anything is sent for the dealer.

The restored store knows what Claire held when the backup was made; what was delivered since is in no file. The document
that Claire's list gives takes the place of the remembered one wherever the two differ; then the usual difference finds
what has to be sent, and what Claire has already.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from autoflex_pipeline.claire.api import CANCELLED, LOCATION
from autoflex_pipeline.claire.client import ClaireConnection, DealerStop
from autoflex_pipeline.claire.contract import KIND, KINDS, NUMBER, Document, Version, customers_by_kind, sent_fields
from autoflex_pipeline.settings import DealerSettings
from autoflex_pipeline.state import StateStore, outbox
from autoflex_pipeline.state.marks import COMPARED, RESTORED, mark, set_mark

UNKNOWN_HASH = ""
"""No document has it: what Claire holds is compared field by field."""


def is_due(state: Connection, dealer_id: str) -> bool:
    """Whether the store was put back from a backup and the dealer not compared with Claire since."""
    restored = mark(state, RESTORED)
    return restored is not None and mark(state, COMPARED + dealer_id) != restored


def compare(dealer: DealerSettings, connection: ClaireConnection, state: StateStore, *, now: datetime) -> int:
    """Take over what Claire holds; gives how many appointments it holds otherwise than remembered.

    To be called under the dealer's lock. ClaireUnreachableError leaves it due; what was taken over until then is right.
    """
    place = (dealer.id, dealer.claire_location_id)
    changed = 0
    for page in connection.appointments(dealer.claire_location_id, DealerStop()):
        ours = {
            str(row[NUMBER]): row
            for row in page
            if row.get(NUMBER) is not None and row.get(LOCATION, dealer.claire_location_id) == dealer.claire_location_id
        }
        with state.begin() as store:
            known = outbox.acknowledged_rows(store, *place, list(ours))
            rows = [_row(number, row, known.get(number), now) for number, row in ours.items()]
            differing = [row for row in rows if row is not None]
            outbox.acknowledge(store, *place, differing)
        changed += len(differing)
    with state.begin() as store:
        outbox.give_up_intents(store, *place, now)
        # What was refused, held or waiting then is judged anew.
        outbox.clear_dispositions(store, dealer.id, list(outbox.dispositions(store, dealer.id)))
        set_mark(store, COMPARED + dealer.id, mark(store, RESTORED))
    return changed


def held_version(row: Mapping[str, Any]) -> Version:
    """An appointment of Claire's list as a document that it holds: known fields, the DMS's lines, no empty values."""
    document = _filled("appointment", row)
    if lines := [_filled("intervention", line) for line in row.get("interventions") or () if line.get(NUMBER)]:
        document["interventions"] = lines
    if car := _filled("car", row.get("car") or {}):
        document["car"] = car
    customers = [
        {KIND: customer[KIND]} | filled
        for customer in row.get("customers") or ()
        if customer.get(KIND) in KINDS and (filled := _filled("party", customer))
    ]
    if customers:
        document["customers"] = sorted(customers, key=lambda customer: str(customer[KIND]))
    references = {kind: customer.get(NUMBER) for kind, customer in customers_by_kind(document).items()}
    return Version(document, references | {"car": document.get("car", {}).get(NUMBER)})


def _row(number: str, row: Mapping[str, Any], known: Mapping[str, Any] | None, now: datetime) -> dict[str, Any] | None:
    """What is to be remembered of the appointment; None when it is what is remembered."""
    there = held_version(row)
    if known is not None and [each["document"] for each in outbox.from_json(known["held"])] == [there.document]:
        return None
    names = {info.name: name for name, info in sent_fields("appointment").items()}
    day = there.document.get(names["appointment_date"])
    return {
        "dms_number": number,
        "claire_id": str(row["id"]),
        "status": row["status"],
        "held": outbox.as_json([{"document": there.document, "references": there.references}]),
        "document_hash": UNKNOWN_HASH,
        "intent_number": known["intent_number"] if known else 0,
        "is_billed": bool(there.document.get(names["is_billed"])),
        "is_canceled": bool(there.document.get(names["is_canceled"])) or row["status"] == CANCELLED,
        "appointment_date": date.fromisoformat(day) if day else None,
        "acknowledged_at": now,
    }


def _filled(entity: str, values: Mapping[str, Any]) -> Document:
    declared = sent_fields(entity)
    return {name: value for name, value in values.items() if name in declared and value is not None}
