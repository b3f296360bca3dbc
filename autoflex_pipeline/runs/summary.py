"""The summary of a run over all its dealers, as ``sync --json`` prints it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autoflex_pipeline.claire.delivery import DealerDelivery
from autoflex_pipeline.runs.closing import dealer_summary
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.state.summaries import summaries

Changes = dict[str, list[dict[str, Any]]]


def summary_of(
    state: StateStore, run_ids: Sequence[str], dealer_ids: Sequence[str], errors: Sequence[str]
) -> tuple[dict[str, Any], Changes]:
    """The summary and per dealer the differences; a dealer that the run did not come to has an error that says so.

    ``errors`` are why a run stopped before its end, such as a publication that failed after all deliveries.
    """
    known: dict[str, dict[str, Any]] = {}
    with state.begin() as connection:
        for run_id in run_ids:
            known |= {
                dealer_id: kept for dealer_id, kept in summaries(connection, run_id).items() if dealer_id in dealer_ids
            }
    dealers: dict[str, dict[str, Any]] = {}
    for dealer_id in dealer_ids:
        if dealer_id in known:
            dealers[dealer_id] = known[dealer_id]["summary"]
        else:
            message = "; ".join(errors) or "the run ended before this dealer was done; run it again"
            dealers[dealer_id] = dealer_summary([{"kind": "source", "message": message}], None, DealerDelivery())
    ok = not errors and all(part["ok"] for part in dealers.values())
    return {"ok": ok, "errors": list(errors), "dealers": dealers}, {
        dealer_id: kept["changes"] for dealer_id, kept in known.items()
    }


def refused_summary(error: str, dealer_ids: Sequence[str]) -> dict[str, Any]:
    """The summary of a run that may not start: no dealer was touched."""
    part = dealer_summary([{"kind": "source", "message": error}], None, DealerDelivery())
    return {"ok": False, "errors": [error], "dealers": dict.fromkeys(dealer_ids, part)}
