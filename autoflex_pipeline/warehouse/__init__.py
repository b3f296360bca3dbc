"""DuckDB: connections, tables and their migrations, publishing for analysts. No rules about records live here."""

from __future__ import annotations

from autoflex_pipeline.warehouse.connection import Warehouse

__all__ = ["Warehouse"]
