"""Small pictures for Markdown metadata: bars by day, a status mix. Plain SVG of a few hundred bytes, counts only.

An image address holds the whole picture, so that a run's record is all that is needed to show it (Dagster's UI lets
``data:`` addresses of images through, 1.13).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import date
from html import escape

import dagster as dg

WIDTH, HEIGHT, TOP, LEFT = 420, 110, 24, 8
COLOURS = ("#4f7cac", "#e08e45", "#7aa95c", "#b65b7a", "#8a8a8a")
"""Readable on a light and on a dark page."""


def bars(title: str, by_day: Mapping[date, Mapping[str, float]], *, unit: str = "") -> dg.MetadataValue[str]:
    """Stacked bars, one a day, with the highest day's number; each name of a part has its colour."""
    days = sorted(by_day)
    names = list(dict.fromkeys(name for day in days for name in by_day[day]))
    totals = {day: sum(by_day[day].values()) for day in days}
    highest = max(totals.values(), default=0)
    if not highest:
        return dg.MetadataValue.md(f"*{title}: nothing yet.*")
    step = (WIDTH - 2 * LEFT) / len(days)
    drawn = []
    for place, name in enumerate(names):
        path = ""
        for number, day in enumerate(days):
            below = sum(by_day[day].get(other, 0) for other in names[:place])
            value = by_day[day].get(name, 0)
            if value:
                x = LEFT + step * (number + 0.5)
                path += f"M{x:.0f} {_y(below, highest):.1f}V{_y(below + value, highest):.1f}"
        drawn.append(f'<path d="{path}" stroke="{_colour(place)}" stroke-width="{step * 0.7:.0f}"/>')
    heading = f"{title}, {days[0]:%d-%m} to {days[-1]:%d-%m}; most in a day: {highest:g}{unit}"
    return _picture(title, [_text(heading), *drawn, *_legend(names)])


def mix(title: str, counts: Mapping[str, int]) -> dg.MetadataValue[str]:
    """One bar that shows how a whole is made up, with the numbers."""
    present = {name: count for name, count in counts.items() if count}
    total = sum(present.values())
    if not total:
        return dg.MetadataValue.md(f"*{title}: nothing yet.*")
    x, drawn = float(LEFT), []
    for place, count in enumerate(present.values()):
        width = (WIDTH - 2 * LEFT) * count / total
        drawn.append(f'<path d="M{x:.1f} 60h{width:.1f}" stroke="{_colour(place)}" stroke-width="36"/>')
        x += width
    return _picture(title, [_text(title), *drawn, *_legend([f"{name} {count}" for name, count in present.items()])])


def _y(value: float, highest: float) -> float:
    return HEIGHT - 18 - (HEIGHT - 18 - TOP) * value / highest


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _text(words: str, x: float = LEFT, y: float = 14, colour: str = "#8a8a8a") -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" fill="{colour}" font-size="11" font-family="sans-serif">{escape(words)}</text>'
    )


def _legend(names: Sequence[str]) -> list[str]:
    """The names in their colours, on one line; one name needs none."""
    if len(names) < 2:
        return []
    step = (WIDTH - 2 * LEFT) / len(names)
    return [_text(name, LEFT + step * place, HEIGHT - 4, _colour(place)) for place, name in enumerate(names)]


def _picture(title: str, parts: Sequence[str]) -> dg.MetadataValue[str]:
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" fill="none">{"".join(parts)}</svg>'
    )
    return dg.MetadataValue.md(f"![{title}](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})")
