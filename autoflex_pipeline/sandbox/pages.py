"""What both stand-ins' pages share: templates with escaping, the style sheet, and how prices and times are shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader
from starlette.responses import HTMLResponse, Response

_HERE = Path(__file__).parent
_DAYS = ("maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag")
_MONTHS = (
    "januari",
    "februari",
    "maart",
    "april",
    "mei",
    "juni",
    "juli",
    "augustus",
    "september",
    "oktober",
    "november",
    "december",
)


HEADERS = {
    "Cache-Control": "no-store",
    # Should a value of the DMS ever get out of its quotes: no script runs, nothing is loaded or sent elsewhere.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Pages:
    """Renders the templates of one stand-in."""

    def __init__(self, folder: str) -> None:
        loader = FileSystemLoader(_HERE / folder / "templates")
        self._environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
        self._environment.filters.update(euro=euro, day=day_in_words, clock=clock_time, shown=shown)

    def page(self, template: str, values: Mapping[str, Any], status: int = 200) -> Response:
        """A page; never kept by the browser, so that a reload shows what is there now."""
        text = self._environment.get_template(template).render(values)
        return HTMLResponse(text, status, HEADERS)


def style_sheet() -> Response:
    """The style sheet of both."""
    return Response((_HERE / "static" / "style.css").read_bytes(), media_type="text/css")


def euro(value: object) -> str:
    """An amount as the Dutch write it: € 1.234,50; a text that is none as it stands; empty for None."""
    if value is None:
        return ""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    if not amount.is_finite():
        return str(value)
    return "€ " + f"{amount:,.2f}".replace(",", "_").replace(".", ",").replace("_", ".")


def day_in_words(day: date) -> str:
    """Such as "dinsdag 24 november 2026"."""
    return f"{_DAYS[day.weekday()]} {day.day} {_MONTHS[day.month - 1]} {day.year}"


def clock_time(text: str | None, timezone: str = "Europe/Amsterdam") -> str:
    """An ISO timestamp as "24-11-2026 08:30" in that zone; empty for None."""
    return (
        "" if text is None else datetime.fromisoformat(text).astimezone(ZoneInfo(timezone)).strftime("%d-%m-%Y %H:%M")
    )


def shown(value: object) -> str:
    """A value for people: yes and no, a dash for nothing."""
    if value is None or value == "" or value == []:
        return "–"
    if isinstance(value, bool):
        return "ja" if value else "nee"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
