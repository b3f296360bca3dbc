"""``python -m autoflex_pipeline``: the same as the command ``autoflex-pipeline``."""

from __future__ import annotations

from autoflex_pipeline.cli import main

main()
