"""The statuses of an appointment, and which moves between them are allowed."""

from __future__ import annotations

NEW_ENTRY = "New entry"
CAR_IN_SHOP = "Car in shop"
CANCELLED = "Cancelled"
BACKORDER = "Backorder"

FLOW = (
    NEW_ENTRY,
    CAR_IN_SHOP,
    "Control started",
    "Car check",
    "Calculating",
    "Proposal Ok",
    "Contact customer",
    "Customer Ok",
    "Car ready",
)
STATUSES = (*FLOW, BACKORDER, CANCELLED)


def work_has_started(status: str) -> bool:
    """Whether work has started: the status is neither New entry, Car in shop nor Cancelled."""
    return status not in (NEW_ENTRY, CAR_IN_SHOP, CANCELLED)


def moves(status: str) -> tuple[str, ...]:
    """Where staff can move an appointment from here, the usual next step first."""
    if status == CANCELLED:
        return (NEW_ENTRY,)
    if status == BACKORDER:
        return FLOW[2:]
    at = FLOW.index(status)
    onward = FLOW[at + 1 : at + 2] + ((BACKORDER,) if at >= FLOW.index("Control started") else ())
    back = FLOW[at - 1 : at] if at else ()
    return onward + back + (() if work_has_started(status) else (CANCELLED,))
