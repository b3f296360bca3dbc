"""The trace as a Markdown report for the Dagster UI, whose event log is no place for personal data.

Values are shown only of a dealer whose privacy is "full"; else counts, rules, fields, times and results.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from autoflex_pipeline.lineage.stores import Row
from autoflex_pipeline.plain_text import shown
from autoflex_pipeline.settings import DealerSettings

HIDDEN = "hidden"
MOST_ROWS = 100
"""Of one table: a report is for reading; `trace --json` has all."""


def report_of(orders: Sequence[Row], dealer: DealerSettings) -> str:
    """The report of all orders that were found, newest appointment first."""
    return "\n\n".join(_order(order, dealer) for order in orders)


def _order(order: Row, dealer: DealerSettings) -> str:
    values = _Values(dealer.zone, is_full=dealer.privacy == "full")
    why = order["why"]
    parts = [
        f"## Work order {_cell(order['wo_number'])}, DMS number {_cell(order['dms_number'])}",
        f"**{why['state']}**: {_cell(why['text'])}",
        *(f"- {_cell(note)}" for note in why["notes"]),
        *([f"- {_cell(why['detail'])}"] if why["detail"] and values.is_full else []),
        "### In Claire",
        _held(order, values),
        "### Deliveries",
        markdown_table(
            ("when", "result", "HTTP", "message", "fields changed", "run"),
            (
                (
                    values.time(row["attempted_at"]), row["result"], row["http_status"], values.show(row["message"]),
                    values.changes(row["fields_changed"]), row["run_id"],
                )
                for row in order["deliveries"]
            ),
        ),
        "### Findings",
        markdown_table(
            ("severity", "rule", "of", "field", "value", "state", "when", "what to do"),
            (
                (
                    row["severity"], row["rule"], _of(row), row["field"], values.show(row["value"]), row["state"],
                    values.time(row["found_at"]), row["hint"],
                )
                for row in order["findings"]
            ),
        ),
        "### Repairs",
        markdown_table(
            ("rule", "of", "field", "before", "after", "when"),
            (
                (
                    row["rule"], _of(row), row["field"], values.show(row["before"]), values.show(row["after"]),
                    values.time(row["found_at"]),
                )
                for row in order["repairs"]
            ),
        ),
        "### Versions",
        markdown_table(
            ("of", "from", "to", "fields changed", "raw", "run"),
            (
                (
                    _of(row), values.time(row["valid_from"]), values.time(row["valid_to"]),
                    values.changes(row["changed"]), str(row["raw_hash"])[:12], row["run_id"],
                )
                for row in order["versions"]
            ),
        ),
        "### Raw records",
        markdown_table(
            ("of", "where", "extract", "when", "raw", "record", "run"),
            (
                (
                    _of(row), row["source"] if values.is_full else _endpoint(row["source"]), row["extract"],
                    values.time(row["fetched_at"]), row["raw_hash"][:12], values.show(row["record"]), row["run_id"],
                )
                for row in order["raw"]
            ),
        ),
    ]  # fmt: skip
    return "\n\n".join(_lists_together(parts))


class _Values:
    """How values are shown: as they are, or hidden; times as the dealer's clock has them."""

    def __init__(self, zone: ZoneInfo, *, is_full: bool) -> None:
        self._zone = zone
        self.is_full = is_full

    def show(self, value: Any) -> str:
        if value is None:
            return ""
        if not self.is_full:
            return HIDDEN
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)

    def changes(self, changes: Sequence[Row]) -> str:
        if not self.is_full:
            return ", ".join(change["field"] for change in changes)
        return "; ".join(f"{each['field']}: {self.show(each['old'])} → {self.show(each['new'])}" for each in changes)

    def time(self, moment: datetime | None) -> str:
        return moment.astimezone(self._zone).strftime("%Y-%m-%d %H:%M:%S") if moment else "now"


def _held(order: Row, values: _Values) -> str:
    held = order["claire"]
    if held is None:
        return "Claire has acknowledged nothing."
    text = (
        f"id {_cell(held['id'])}, status {_cell(held['status'])}, acknowledged {values.time(held['acknowledged_at'])}."
    )
    if order["differs"]:
        return f"{text} It differs from staging in: {_cell(values.changes(order['differs']))}."
    return f"{text} It equals staging." if order["differs"] is not None else f"{text} The order is not in staging."


def _endpoint(source: str) -> str:
    """Where it was read, without the question: that may name a record."""
    return source.partition("?")[0]


def markdown_table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table in which no cell is taken for markup; "none" without rows."""
    found = list(rows)
    if not found:
        return "none"
    lines = [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in found[:MOST_ROWS]]
    if len(found) > MOST_ROWS:
        lines.append(f"\n… and {len(found) - MOST_ROWS} more: `autoflex-pipeline trace --json`")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    """One cell: no line break, nothing that Markdown or HTML would take for its own."""
    text = shown(" ".join(str("" if value is None else value).split()))
    for sign in "\\`*_[]|":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _of(row: Row) -> str:
    return f"{row['entity']} {row['dms_number']}"


def _lists_together(parts: Sequence[str]) -> list[str]:
    """The parts as paragraphs; items of a list after each other are one."""
    joined: list[str] = []
    for part in parts:
        if part.startswith("- ") and joined and joined[-1].startswith("- "):
            joined[-1] += f"\n{part}"
        else:
            joined.append(part)
    return joined


def counts_of(orders: Sequence[Row]) -> dict[str, int]:
    """How much of each kind the trace found: numbers for the materialization."""
    names = ("raw", "repairs", "findings", "versions", "deliveries")
    counts = {name: sum(len(order[name]) for order in orders) for name in names}
    states = Counter(order["why"]["state"] for order in orders)
    return {"orders": len(orders), **counts, **{f"state_{state}": count for state, count in states.items()}}
