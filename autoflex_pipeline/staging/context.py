"""What a staging run is told, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

DEFAULT_ZONE = "Europe/Amsterdam"
"""For raw records of a dealer that has left the configuration."""

DEFAULT_WAITING_HOURS = 24.0


@dataclass(frozen=True, slots=True)
class StagingContext:
    """``zones`` and ``waiting_hours`` by dealer id; ``now`` is aware (UTC); ``run_id`` marks what is written."""

    zones: Mapping[str, str]
    waiting_hours: Mapping[str, float]
    now: datetime
    run_id: str


@dataclass(frozen=True, slots=True)
class StageCounts:
    """Rows of one dealer in one staging of an entity.

    ``accepted`` are new or changed rows that were written, ``quarantined`` rows that were rejected; ``repaired`` and
    ``warned`` are the rows with at least one such finding, whether they were accepted or not.
    """

    accepted: int = 0
    repaired: int = 0
    warned: int = 0
    quarantined: int = 0
