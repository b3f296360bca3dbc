"""Fewer collections of garbage while many objects are made that form no cycles.

Each full collection walks through all that the process has loaded (pandas, SQLAlchemy, Dagster), and whoever makes
objects by the hundred thousand sets off dozens of them: a sixth of the time that a large delivery takes.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

OBJECTS_BETWEEN = 50_000
"""New objects, less those that are gone, before the youngest are looked at; by default it is a few hundred."""

_lock = Lock()
_blocks = 0
_usual = gc.get_threshold()


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """Within the block, in this whole process; blocks of several threads may overlap."""
    global _blocks, _usual
    with _lock:
        if _blocks == 0:
            _usual = gc.get_threshold()
            gc.set_threshold(OBJECTS_BETWEEN, *_usual[1:])
        _blocks += 1
    try:
        yield
    finally:
        with _lock:
            _blocks -= 1
            if _blocks == 0:
                gc.set_threshold(*_usual)
