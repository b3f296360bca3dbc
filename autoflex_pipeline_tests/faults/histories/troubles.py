"""What can go wrong at the vendors during one run, as the stand-ins' own faults; each as the words of such a fault."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from autoflex_pipeline.sandbox.autoflex.schema import ENDPOINTS, FIELDS, KEYS
from autoflex_pipeline_tests.faults.histories.edits import DEALERS, LOCATIONS, ORDERS

Fault = dict[str, Any]

LINKS = ("order_id", *KEYS.values())
"""Fields of which another type would make up a record that the DMS never had; they may be missing, though."""

_times = st.sampled_from((1, 2, 3, None))
_after = st.integers(0, 3)
_places = st.sampled_from((None, *ENDPOINTS))


_ON_THE_WIRE = (
    "status", "error", "timeout", "reset", "html", "truncated", "half_json", "login_busy", "token_refused",
)  # fmt: skip


def _wire_faults() -> st.SearchStrategy[Fault]:
    return st.fixed_dictionaries(
        {"kind": st.sampled_from(_ON_THE_WIRE), "dealer": st.sampled_from(DEALERS), "endpoint": _places,
         "times": _times, "after": _after}
    )  # fmt: skip


_ROWS: tuple[Fault, ...] = (
    {"kind": "shift", "rows": 1},
    {"kind": "shift", "rows": -1},
    {"kind": "duplicate", "rows": 2},
    {"kind": "empty"},
)


def _row_faults() -> st.SearchStrategy[Fault]:
    def of(what: Fault) -> st.SearchStrategy[Fault]:
        words = {name: st.just(value) for name, value in what.items()}
        places = {"dealer": st.sampled_from(DEALERS), "endpoint": _places, "times": _times, "after": _after}
        return st.fixed_dictionaries({**words, **places})

    return st.sampled_from(_ROWS).flatmap(of)


def _field_faults() -> st.SearchStrategy[Fault]:
    def of(endpoint: Any) -> st.SearchStrategy[Fault]:
        names = [name for name in FIELDS[endpoint] if name not in ("order_type", "last_modified")]
        common = {"dealer": st.sampled_from(DEALERS), "endpoint": st.just(endpoint), "times": _times, "after": _after,
                  "rows": st.sampled_from((None, 1))}  # fmt: skip
        missing = st.fixed_dictionaries({"kind": st.just("field_missing"), "field": st.sampled_from(names), **common})
        typed = st.fixed_dictionaries(
            {"kind": st.just("field_type"), "field": st.sampled_from([name for name in names if name not in LINKS]),
             "to": st.sampled_from(("text", "number", "boolean", "list", "object", "null")), **common}
        )  # fmt: skip
        return st.one_of(missing, typed)

    return st.sampled_from(ENDPOINTS).flatmap(of)


autoflex_faults: st.SearchStrategy[list[Fault]] = st.lists(
    st.one_of(_wire_faults(), _row_faults(), _field_faults()), min_size=1, max_size=2
)

_ANSWERS: tuple[Fault, ...] = (
    {"kind": "rate_limited", "retry_after": 2.0},
    {"kind": "rate_limited", "retry_after": 2.0, "retry_after_as_date": True},
    {"kind": "status_before", "status": 503},
    {"kind": "status_before", "status": 502, "retry_after": 1.0},
    {"kind": "status_before", "status": 422},
    {"kind": "status_before", "status": 400},
    {"kind": "status_before", "status": 404},
    {"kind": "status_after", "status": 500},
    {"kind": "timeout_before"},
    {"kind": "timeout_after"},
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "truncated"},
    {"kind": "half_json"},
    {"kind": "html"},
    {"kind": "html_before"},
    {"kind": "unauthorized"},
)

AUTOFLEX_KINDS = (*_ON_THE_WIRE, *dict.fromkeys(fault["kind"] for fault in _ROWS), "field_missing", "field_type")
CLAIRE_KINDS = tuple(dict.fromkeys(fault["kind"] for fault in _ANSWERS))
REFUSALS = (400, 422)


def _claire_fault(answer: Fault) -> st.SearchStrategy[Fault]:
    return st.fixed_dictionaries(
        {
            **{name: st.just(value) for name, value in answer.items()},
            "location": st.sampled_from((*LOCATIONS.values(), None)),
            "dms_nr": st.sampled_from((None, None, None, *(str(number) for number in ORDERS[:3]))),
            "times": st.sampled_from((1, 3, None, None)),
            "after": st.integers(0, 2),
        }
    )


claire_faults: st.SearchStrategy[list[Fault]] = st.lists(
    st.sampled_from(_ANSWERS).flatmap(_claire_fault), min_size=1, max_size=2
)


def stops_the_connection(fault: Fault) -> bool:
    """Whether Claire's answer is a fault of configuration, or silence that may keep all dealers from being sent."""
    return fault["kind"] == "unauthorized" or fault.get("status") == 404 or fault["times"] is None
