"""The Dagster code location: ``dagster dev -w workspace.yaml`` loads it."""

from __future__ import annotations

from autoflex_pipeline.orchestration.build import build_definitions
from autoflex_pipeline.orchestration.resources import Installation

defs = build_definitions(Installation())
