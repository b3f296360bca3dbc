"""How a message can fail to go."""

from __future__ import annotations

from autoflex_pipeline.errors import PipelineError


class NotSentError(PipelineError):
    """A message did not go; the text says why, without address or secret. ``retry_after``: seconds asked for."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
