"""All checks at once, on one connection to the warehouse."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb

from autoflex_pipeline.quality.history import install_dealers
from autoflex_pipeline.quality.references import judge_references
from autoflex_pipeline.quality.rejected import judge_rejected
from autoflex_pipeline.quality.schema_drift import judge_schema
from autoflex_pipeline.quality.usual import judge_changes, judge_volume
from autoflex_pipeline.quality.values import judge_values
from autoflex_pipeline.quality.verdict import JudgedDealer, Verdict


def judge(connection: duckdb.DuckDBPyConnection, dealers: Sequence[JudgedDealer], now: datetime) -> list[Verdict]:
    """The verdict of every check over ``dealers`` as of ``now`` (aware); reads only, in well under a second."""
    install_dealers(connection, dealers, now)
    return [
        judge_schema(connection, now),
        judge_volume(connection, dealers, now),
        judge_changes(connection, dealers, now),
        *judge_rejected(connection),
        *judge_values(connection, dealers, now),
        *judge_references(connection),
    ]
