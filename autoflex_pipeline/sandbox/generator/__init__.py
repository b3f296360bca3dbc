"""Realistic Dutch dealers, the same for the same seed and day, whatever the clock says."""

from __future__ import annotations

from autoflex_pipeline.sandbox.generator.dealer import DealerData, generate_dealer
from autoflex_pipeline.sandbox.generator.dirt import DirtyRow

__all__ = ["DealerData", "DirtyRow", "generate_dealer"]
