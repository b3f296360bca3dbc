"""What must survive a crash between two commits: outbox, ledger, looks, dealer locks, holds.

A transactional store (SQLite through SQLAlchemy) beside the warehouse. No commit spans both.
"""

from __future__ import annotations

from autoflex_pipeline.state.store import StateStore

__all__ = ["StateStore"]
