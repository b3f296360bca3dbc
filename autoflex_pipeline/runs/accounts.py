"""Whether what a run extracted is accounted for: a dealer for which it is not is sent nothing, by any run."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import duckdb

from autoflex_pipeline.runs.context import RunContext
from autoflex_pipeline.staging.accounting import has_lost_records, unbalanced_dealers
from autoflex_pipeline.state.marks import LOST, UNACCOUNTED, mark, set_mark


def note_lost(context: RunContext, dealer_ids: Collection[str]) -> None:
    """Remember that this run read a record of these dealers that is not stored, or not staged as it was read."""
    if dealer_ids:
        with context.state.begin() as state:
            lost: dict[str, str] = mark(state, LOST) or {}
            set_mark(state, LOST, lost | dict.fromkeys(dealer_ids, context.run_id))


def check_accounts(context: RunContext) -> dict[str, str]:
    """The dealers whose records do not add up, in this run or in an earlier one and not mended since; each with why.

    They are remembered: a later run need not see the lost records again, and a resend does not account at all.
    """
    with context.warehouse.open() as connection, context.state.begin() as state:
        known: dict[str, str] = mark(state, UNACCOUNTED) or {}
        still = {dealer: run_id for dealer, run_id in known.items() if has_lost_records(connection, dealer)}
        noted: dict[str, str] = mark(state, LOST) or {}
        # Whom this run read was staged anew: what an earlier run lost is there by now, or was lost again.
        taken = _read_by(connection, context.run_id)
        lost = {dealer: run_id for dealer, run_id in noted.items() if run_id == context.run_id or dealer not in taken}
        if lost != noted:
            set_mark(state, LOST, lost)
        now = dict.fromkeys(unbalanced_dealers(connection, context.run_id), context.run_id) | still | lost
        if now != known:
            set_mark(state, UNACCOUNTED, now)
    return _reasons(now)


def unaccounted(context: RunContext) -> dict[str, str]:
    """By id of a dealer that may be sent nothing, why."""
    with context.state.begin() as state:
        known: dict[str, str] = mark(state, UNACCOUNTED) or {}
    return _reasons(known)


def _reasons(known: Mapping[str, str]) -> dict[str, str]:
    return {
        dealer_id: (
            f"dealer {dealer_id!r}: its records do not add up (check nothing_vanishes of run {run_id}): nothing is "
            "sent for it; this is a defect of this program: report it with that run's id"
        )
        for dealer_id, run_id in sorted(known.items())
    }


def _read_by(connection: duckdb.DuckDBPyConnection, run_id: str) -> set[str]:
    """The dealers of which the run read something whole."""
    rows = connection.execute(
        "SELECT DISTINCT dealer_id FROM extract WHERE run_id = $run AND is_complete", {"run": run_id}
    ).fetchall()
    return {dealer_id for (dealer_id,) in rows}
