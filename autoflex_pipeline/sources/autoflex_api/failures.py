"""How a call to the DMS can fail, and how its secrets stay out of what is said about it."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from autoflex_pipeline.errors import SourceError
from autoflex_pipeline.plain_text import one_line

MAX_MESSAGE = 200
"""Characters of a vendor's message that are passed on."""

MIN_SECRET = 4
"""Shorter values are not looked for in messages: they would blot out ordinary words."""


class RefusedRequestError(SourceError):
    """The DMS understood the request and refuses it (a 4xx other than a refused token). Retrying cannot help."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class FilterIgnoredError(SourceError):
    """The answer holds rows that the filter should have kept out: the DMS does not know the filter."""


class Secrets:
    """The values that must never be said: blots them out of a vendor's message, however they are encoded."""

    def __init__(self, values: Iterable[str]) -> None:
        self._values: set[str] = set()
        for value in values:
            self.add(value)

    def __repr__(self) -> str:
        return f"<{len(self._values)} secrets>"

    def add(self, value: str) -> None:
        """Keep ``value`` out of every message from now on."""
        if len(value) >= MIN_SECRET:
            self._values = self._values | {value, quote(value, safe=""), quote_plus(value)}

    def blot(self, message: str) -> str:
        """``message`` on one line, cut, without secrets and control characters."""
        for value in sorted(self._values, key=len, reverse=True):
            message = message.replace(value, "***")
        return one_line(message, MAX_MESSAGE)
