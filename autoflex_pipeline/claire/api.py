"""Everything that is known about Claire's API: paths, headers, parameters, statuses, answers. D documented, A assumed.

``contracts/claire-api.md`` is the page; a team that knows better corrects it here and nowhere else. What is in a
document is said by the declarations of the fields.
"""

from __future__ import annotations

from typing import Any

import msgspec

IMPORT_PATH = "/v1/appointments/import"  # D; POST is A
LIST_PATH = "/v1/appointments/list"  # D; the query parameters are A
DETAILS_PATH = "/v1/appointments/{id}"  # A
KEY_HEADER = "Authorization"  # D; the key alone, without a scheme word
IDEMPOTENCY_HEADER = "Idempotency-Key"  # A
LOCATION = "location_id"  # A; the field of the import that chooses the location, and a parameter of the list
BY_NUMBER = "dms_nr"  # A; a parameter of the list, and a field of its rows
PAGE = "page"  # A; a parameter of the list
CANCELLED = "Cancelled"  # D
NOT_STARTED = frozenset({"New entry", "Car in shop", CANCELLED})  # D
RESULTS = frozenset({"created", "updated", "unchanged"})  # A
REFUSED_STATUSES = frozenset({400, 409, 413, 422})  # A
NOT_LOOKED_AT = frozenset({425, 429})  # A
"""Claire is there, and the request had no effect: it was sent too early."""

FAULTS_OF_ONE_DEALER = frozenset({403})  # A
"""The location is outside the key's scope: that says nothing about the other locations of the key."""

LONGEST_ID = 500
"""Characters of an id and a status together: they are kept for good."""


def work_started(status: str | None) -> bool:
    """Whether work has started on an appointment of this status (D); one that Claire does not have has not."""
    return status is not None and status not in NOT_STARTED


def read_import(answer: Any) -> dict[str, Any]:
    """A: ``{"id", "result", "status"}``."""
    if answer["result"] not in RESULTS or not isinstance(answer["status"], str) or not answer["id"]:
        raise ValueError("not the contract's answer")
    if not isinstance(answer["id"], str | int) or len(f"{answer['id']}{answer['status']}") > LONGEST_ID:
        raise ValueError("not the contract's answer")
    result: dict[str, Any] = answer
    return result


def read_status(answer: Any) -> str | None:
    """A: details are one object with its ``status``; an empty one stands for an unknown id."""
    if not answer:
        return None
    if not isinstance(answer["status"], str):
        raise ValueError("not the contract's answer")
    return str(answer["status"])


def read_page(answer: Any) -> tuple[list[dict[str, Any]], int | None]:
    """D: ``{"data": [{"id", "status", …}], "next_page": 2 | null}``."""
    rows, following = answer["data"], answer["next_page"]
    if not isinstance(rows, list) or not (following is None or isinstance(following, int)):
        raise ValueError("not the contract's answer")
    for row in rows:
        if not isinstance(row["id"], str | int) or not isinstance(row["status"], str):
            raise ValueError("not the contract's answer")
    return rows, following


def read_status_of(number: str, answer: Any) -> str | None:
    """D: ``{"data": [{"dms_nr", "status", …}], "next_page"}``; None when none of them has this number.

    Another's status is not taken for its own, should Claire not heed the parameter.
    """
    own = [row for row in answer["data"] if str(row.get(BY_NUMBER, number)) == number]
    return read_status(own[0]) if own else None


def words_of(problem: bytes) -> str:
    """A: what an ``application/problem+json`` says, with the fields that it names; empty when it is none."""
    try:
        told = msgspec.json.decode(problem)
        texts = [str(told.get("detail") or told.get("title") or "")]
        texts += [f"{error.get('field')}: {error.get('message')}" for error in told.get("errors") or ()]
        return "; ".join(text for text in texts if text)
    except (ValueError, AttributeError, TypeError, RecursionError):
        return ""
