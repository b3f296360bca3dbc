"""The offset of each dealer's local time at a moment, as tables in DuckDB."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import duckdb

from autoflex_pipeline.warehouse.zones import EPOCH, offset_changes

QUARTER_US = 900_000_000


def install_zones(connection: duckdb.DuckDBPyConnection, zones: Mapping[str, str]) -> None:
    """Make the temporary tables ``dealer_zone`` (dealer_id, timezone) and ``zone_offset`` on this connection.

    Moments are counted in quarters of an hour since 1970: zones change their offset at a full one.
    """
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE dealer_zone AS "
        "SELECT unnest(?::VARCHAR[]) AS dealer_id, unnest(?::VARCHAR[]) AS timezone",
        [[*zones], [*zones.values()]],
    )
    rows = [(timezone, since, offset) for timezone in {*zones.values()} for since, offset in offset_changes(timezone)]
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE zone_offset AS SELECT unnest(?::VARCHAR[]) AS timezone, "
        "unnest(?::BIGINT[]) AS since_quarter, unnest(?::BIGINT[]) AS offset_us, unnest(?::VARCHAR[]) AS offset_text",
        [
            [timezone for timezone, _, _ in rows],
            [(since - EPOCH) // timedelta(microseconds=QUARTER_US) for _, since, _ in rows],
            [offset // timedelta(microseconds=1) for _, _, offset in rows],
            [_text(offset) for _, _, offset in rows],
        ],
    )


def _text(offset: timedelta) -> str:
    """+01:00 as ISO 8601 has it."""
    sign = "-" if offset < timedelta() else "+"
    minutes = abs(offset) // timedelta(minutes=1)
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}"
