"""Having what was staged before staged anew, because what it is judged by has changed."""

from __future__ import annotations

import duckdb


def stage_orders_again(connection: duckdb.DuckDBPyConnection, dealer_id: str) -> None:
    """Have the next staging take all orders of the dealer again, and all its documents compared."""
    connection.execute(
        "INSERT INTO restage SELECT dealer_id, 'order', record_key FROM sighting "
        "WHERE dealer_id = ? AND entity = 'order' AND record_key IS NOT NULL",
        [dealer_id],
    )
    connection.execute(
        "INSERT INTO document_dirty SELECT dealer_id, dms_number FROM document WHERE dealer_id = ?", [dealer_id]
    )
