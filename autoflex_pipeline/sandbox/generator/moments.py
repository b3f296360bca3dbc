"""Dates as the DMS writes them, in several shapes, without a zone."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from typing import Literal

DateStyle = Literal["compact", "iso", "mixed"]


def written(rng: random.Random, moment: datetime, style: DateStyle) -> str:
    """The moment as ``YYYYMMDDTHHMMSS`` or ISO; mixed: mostly the first."""
    compact = style == "compact" or (style == "mixed" and rng.random() < 0.8)
    return moment.strftime("%Y%m%dT%H%M%S" if compact else "%Y-%m-%dT%H:%M:%S")


def read(text: str) -> datetime:
    """What ``written`` wrote."""
    return datetime.fromisoformat(text)


def workdays(first: date, last: date) -> list[date]:
    """Monday to Saturday from ``first`` to ``last``, both included."""
    days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    return [day for day in days if day.weekday() < 6]


def last_sunday(year: int, month: int) -> date:
    """The last Sunday of a month of 31 days: in March and October the night when the clock changes."""
    end = date(year, month, 31)
    return end - timedelta(days=(end.weekday() + 1) % 7)
