"""Which orders lie in a window of appointment days: judged from the raw record, before it is stored."""

from __future__ import annotations

import json
import re
from calendar import monthrange
from datetime import date

from autoflex_pipeline.model import dms_name, fields
from autoflex_pipeline.sources.autoflex_api import Record

_YEAR_FIRST = re.compile(r"^\s*(\d{4})-?(\d{2})-?(\d{2})(?!\d)")
_DAY_FIRST = re.compile(r"^\s*(\d{2})-(\d{2})-(\d{4})(?!\d)")


def month_bounds(month: str) -> tuple[date, date]:
    """First and last day of ``month`` (YYYY-MM); ValueError when it is none."""
    if not re.fullmatch(r"\d{4}-\d{2}", month):
        raise ValueError(f"month {month!r} must be YYYY-MM, such as 2026-09")
    year, number = int(month[:4]), int(month[5:])
    if not 1 <= number <= 12 or year < 1:
        raise ValueError(f"month {month!r} must be YYYY-MM, such as 2026-09")
    return date(year, number, 1), date(year, number, monthrange(year, number)[1])


def months_between(first: str, last: str) -> list[str]:
    """The months from ``first`` to ``last`` (YYYY-MM, both inclusive); ValueError in the wrong order."""
    start, end = month_bounds(first)[0], month_bounds(last)[0]
    if end < start:
        raise ValueError(f"the first month {first} lies after the last month {last}; exchange them")
    count = (end.year - start.year) * 12 + end.month - start.month + 1
    return [
        f"{start.year + (start.month - 1 + step) // 12:04d}-{(start.month - 1 + step) % 12 + 1:02d}"
        for step in range(count)
    ]


def appointment_day(record: Record) -> date | None:
    """The day an order lies on: of its planned date, or of its order date when that is empty; None when unreadable."""
    return day_in(record.text)


def day_in(text: str) -> date | None:
    """The same of an order's JSON text."""
    try:
        values = json.loads(text)
    except ValueError:
        return None
    names = next(field.dms for field in fields("appointment") if field.name == "appointment_date")
    for name in names:
        value = values.get(name) if isinstance(values, dict) else None
        if value is not None and str(value).strip():
            return _day(value)
    return None


def _day(value: object) -> date | None:
    text = str(value)
    try:
        if match := _YEAR_FIRST.match(text):
            return date(int(match[1]), int(match[2]), int(match[3]))
        if match := _DAY_FIRST.match(text):
            return date(int(match[3]), int(match[2]), int(match[1]))
    except ValueError:
        return None
    return None


def is_open(record: Record) -> bool:
    """Whether the order is not invoiced; a missing or null flag counts as not."""
    try:
        values = json.loads(record.text)
    except ValueError:
        return True
    billed = dms_name("appointment", "is_billed")
    return not (isinstance(values, dict) and str(values.get(billed)).strip().lower() in ("1", "true"))
