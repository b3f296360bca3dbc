"""SQLite files of the sandbox: readable by their owner only, durable against a killed process."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

OWNER_ONLY = 0o600


def open_database(path: Path, schema: str) -> sqlite3.Connection:
    """Open (or make) the file at ``path`` and run ``schema`` (idempotent statements) on it.

    WAL with ``synchronous=NORMAL``: a commit survives a killed process at a fraction of the price of FULL; only a power
    cut can lose it, which no test of a sandbox needs. Autocommit: transactions are begun where they are needed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, OWNER_ONLY))
    path.chmod(OWNER_ONLY)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(schema)
    return connection
