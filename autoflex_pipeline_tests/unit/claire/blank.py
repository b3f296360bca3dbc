"""Documents without a value, to be filled by a test."""

from __future__ import annotations

from typing import Any

from autoflex_pipeline.claire.contract import sent_fields


def blank(entity: str) -> dict[str, Any]:
    """The part of ``entity`` in a document, with the fields that every source has (not merely wanted), all empty."""
    return {name: None for name, info in sent_fields(entity).items() if not info.wanted}
