"""Raw records to typed, repaired and validated rows: accepted, or in quarantine; every version is kept.

``stage_entities`` does it. The rules stand in ``appointment``, ``intervention``, ``car`` and ``party``,
those that every field of a kind has in ``rules``; ``compiling`` makes the query of them, ``stage.sql`` holds the rest.
"""

from __future__ import annotations

from autoflex_pipeline.staging.context import StageCounts, StagingContext
from autoflex_pipeline.staging.guard import StagingDefectError
from autoflex_pipeline.staging.stage import ORDER, lost_in_staging, stage_entities

__all__ = ["ORDER", "StageCounts", "StagingContext", "StagingDefectError", "lost_in_staging", "stage_entities"]
