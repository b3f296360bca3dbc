"""The commands of ``autoflex-pipeline``. Names, exit codes and JSON are fixed by the contract page."""

from __future__ import annotations

from autoflex_pipeline.cli.app import main

__all__ = ["main"]
