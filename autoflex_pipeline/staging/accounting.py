"""The accounting of a run: extracted = accepted + unchanged + quarantined (+ skipped), for each dealer and entity."""

from __future__ import annotations

from dataclasses import dataclass, field

import duckdb

from autoflex_pipeline.model import MODELS, RAW_ENTITIES
from autoflex_pipeline.staging.script import named_sql, run_sql

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
        sql = named_sql("accounting.sql")["account"].replace("{entity}", entity).replace("{raw}", raw)
        for dealer_id, fate, count in run_sql(connection, sql, {"run_id": run_id}).fetchall():
            account = accounts.setdefault(dealer_id, DealerAccount())
            account.extracted[raw] = account.extracted.get(raw, 0) + count
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
