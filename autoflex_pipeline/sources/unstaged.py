"""Work orders whose newest version is stored and not yet staged, as after a run that died in between.

The next run stages what is stored, whatever has become of the order since: so it is looked for first.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import duckdb

from autoflex_pipeline.model import dms_name
from autoflex_pipeline.model.appointment import IS_WORKSHOP
from autoflex_pipeline.sources.needs import IS_THERE, reference
from autoflex_pipeline.sources.window import day_in

IS_TO_BE_STAGED = "sighting.raw_seq > coalesce((SELECT raw_seq FROM staged WHERE entity = 'order'), -1)"
"""SQL: the newest version of the order, in ``sighting``, is stored and not yet staged."""


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """The newest stored version of a work order: what reading asks about it, and its JSON ``text``.

    ``is_there``: the DMS did not say, when it was asked for the order last, that it does not exist.
    """

    number: str
    car: str | None
    contractor: str | None
    modified_at: str | None
    is_open: bool
    is_there: bool
    text: str

    @property
    def day(self) -> date | None:
        """The day it lies on; None when unreadable."""
        return day_in(self.text)


def orders_to_be_staged(
    connection: duckdb.DuckDBPyConnection,
    dealer_id: str,
    *,
    rejected: bool = False,
    numbers: Collection[str] | None = None,
) -> list[StoredOrder]:
    """The work orders (of these ``numbers``) of which a version is to be staged, by number; ``rejected``: also those in
    quarantine.
    """
    rows = connection.execute(
        # Materialized: else the JSON of every record ever stored is read, although there is seldom one to be staged.
        f"""
        WITH wanted AS (
            SELECT record_key, raw_seq FROM sighting
            WHERE dealer_id = $dealer_id AND entity = 'order' AND record_key IS NOT NULL AND {IS_TO_BE_STAGED}
            UNION
            SELECT sighting.record_key, sighting.raw_seq FROM sighting
            JOIN quarantine ON quarantine.dms_number = sighting.record_key
            WHERE sighting.dealer_id = $dealer_id AND sighting.entity = 'order'
              AND quarantine.dealer_id = $dealer_id AND quarantine.entity = 'appointment' AND quarantine.state = 'open'
              AND $rejected
        ),
        newest AS MATERIALIZED (
            SELECT sighting.record_key, {IS_THERE} AS is_there, raw_record.record
            FROM wanted AS sighting
            JOIN raw_record ON raw_record.seq = sighting.raw_seq
            WHERE $numbers IS NULL OR list_contains($numbers::VARCHAR[], sighting.record_key)
        )
        SELECT record_key,
               {reference("record", dms_name("appointment", "car_dms_number"))},
               {reference("record", dms_name("appointment", "contractor_dms_number"))},
               {reference("record", dms_name("appointment", "modified_at"))},
               coalesce(try(record ->> '$.{dms_name("appointment", "is_billed")}'), '0') NOT IN ('1', 'true'),
               is_there, record
        FROM newest
        WHERE {IS_WORKSHOP.format(order_type="try(record ->> '$.order_type')")}
        ORDER BY record_key
        """,
        {"dealer_id": dealer_id, "rejected": rejected, "numbers": None if numbers is None else sorted(numbers)},
    ).fetchall()
    return [StoredOrder(*row) for row in rows]
