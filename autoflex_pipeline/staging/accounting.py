"""The accounting of a run: extracted = accepted + unchanged + quarantined (+ skipped), for each dealer and entity."""

from __future__ import annotations

from dataclasses import dataclass, field

import duckdb

from autoflex_pipeline.model import MODELS, RAW_ENTITIES
from autoflex_pipeline.sql_files import named_sql, run_sql

STATES = ("accepted", "unchanged", "quarantined")


@dataclass(slots=True)
class DealerAccount:
    """What became of the records that a run saw of one dealer.

    ``extracted`` by the DMS's kind of record, ``skipped`` by reason, ``staged`` by entity and state. ``lost`` are
    records that staging has not accounted for, by entity: always empty when all four entities were staged.
    """

    extracted: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    staged: dict[str, dict[str, int]] = field(
        default_factory=lambda: {entity: dict.fromkeys(STATES, 0) for entity in MODELS}
    )
    lost: dict[str, int] = field(default_factory=dict)

    @property
    def balanced(self) -> bool:
        """Whether everything extracted is accounted for."""
        told = sum(sum(states.values()) for states in self.staged.values()) + sum(self.skipped.values())
        return not self.lost and sum(self.extracted.values()) == told


def account_run(connection: duckdb.DuckDBPyConnection, run_id: str) -> dict[str, DealerAccount]:
    """The accounts by dealer of the records that were last seen in ``run_id``."""
    accounts: dict[str, DealerAccount] = {}
    for entity, raw in RAW_ENTITIES.items():
        for dealer_id, count in run_sql(connection, _sql("extracted", entity), {"run_id": run_id}).fetchall():
            accounts.setdefault(dealer_id, DealerAccount()).extracted[raw] = count
        for dealer_id, fate, count in run_sql(connection, _sql("account", entity), {"run_id": run_id}).fetchall():
            account = accounts[dealer_id]
            if fate in STATES:
                account.staged[entity][fate] = count
            elif fate == "lost":
                account.lost[entity] = count
            else:
                account.skipped[fate] = account.skipped.get(fate, 0) + count
    return accounts


def unbalanced_dealers(connection: duckdb.DuckDBPyConnection, run_id: str) -> list[str]:
    """Dealers for which the records of the run do not add up."""
    return sorted(dealer_id for dealer_id, account in account_run(connection, run_id).items() if not account.balanced)


def has_lost_records(connection: duckdb.DuckDBPyConnection, dealer_id: str) -> bool:
    """Whether any record of the dealer, seen by whichever run, is accounted for nowhere."""
    return any(
        run_sql(connection, f"{_sql('lost', entity)} LIMIT 1", {"dealer_id": dealer_id}).fetchone()
        for entity in RAW_ENTITIES
    )


def stage_lost_again(connection: duckdb.DuckDBPyConnection, dealer_id: str) -> None:
    """Have the next staging take the dealer's lost records again: a mended program finds their place."""
    for entity in RAW_ENTITIES:
        run_sql(connection, f"INSERT INTO restage {_sql('lost', entity)}", {"dealer_id": dealer_id})


def _sql(name: str, entity: str) -> str:
    return named_sql("staging/accounting.sql")[name].replace("{entity}", entity).replace("{raw}", RAW_ENTITIES[entity])
