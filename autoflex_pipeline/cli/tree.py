"""The trace as a tree for the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.text import Text
from rich.tree import Tree

from autoflex_pipeline.lineage.stores import Row
from autoflex_pipeline.plain_text import shown

GOOD, BAD, DIM = "green", "yellow", "dim"


def order_tree(order: Row, zone: ZoneInfo) -> Tree:
    """One work order; times are the dealer's."""
    at = _clock(zone)
    why = order["why"]
    number = f"work order {order['wo_number'] or '?'}, DMS number {order['dms_number']}"
    tree = Tree(_text(f"{order['dealer_id']}: {number}"))
    _leaf(tree, f"{why['state']}: {why['text']}", GOOD if why["state"] == "delivered" else BAD)
    for more in (why["detail"], *why["notes"]):
        if more:
            _leaf(tree, more, BAD)
    _claire(tree, order, at)
    _branch(tree, "deliveries", order["deliveries"], lambda branch, row: _attempt(branch, row, at))
    _branch(tree, "versions", order["versions"], lambda branch, row: _version(branch, row, at))
    _branch(tree, "findings", order["findings"], lambda branch, row: _finding(branch, row, at))
    _branch(
        tree,
        "repairs",
        order["repairs"],
        lambda branch, row: _leaf(
            branch, f"{_of(row)}.{row['field']}: {_show(row['before'])} → {_show(row['after'])} ({row['rule']})"
        ),
    )
    _branch(tree, "raw records", order["raw"], lambda branch, row: _raw(branch, row, at))
    return tree


def raw_tree(record: Row, zone: ZoneInfo) -> Tree:
    """A raw record and what became of it."""
    at = _clock(zone)
    raw = record["raw"]
    tree = Tree(_text(f"{raw['dealer_id']}: raw record {raw['raw_hash'][:16]} of {raw['entity']} {raw['dms_number']}"))
    _raw(tree, raw, at)
    _branch(tree, "versions", record["versions"], lambda branch, row: _version(branch, row, at))
    _branch(tree, "findings", record["findings"], lambda branch, row: _finding(branch, row, at))
    _branch(
        tree,
        "appointments that it reached",
        record["appointments"],
        lambda branch, row: _leaf(
            branch, f"{row['wo_number']} (DMS {row['dms_number']}), from {at(row['since'])} to {at(row['until'])}"
        ),
    )
    _branch(
        tree,
        "deliveries of them",
        record["deliveries"],
        lambda branch, row: _attempt(branch, row, at, prefix=f"{row['dms_number']}: "),
    )
    return tree


def _claire(tree: Tree, order: Row, at: Callable[[datetime | None], str]) -> None:
    held = order["claire"]
    if held is None:
        _leaf(tree, "Claire: has acknowledged nothing", BAD)
        return
    differs = order["differs"]
    branch = tree.add(
        _text(f"Claire: id {held['id']}, status {held['status']}, acknowledged {at(held['acknowledged_at'])}")
    )
    if differs:
        for change in differs:
            _leaf(branch, f"differs: {_change(change)}", BAD)
    else:
        _leaf(branch, "equal to staging" if differs is not None else "not in staging now", GOOD)


def _attempt(branch: Tree, row: Row, at: Callable[[datetime | None], str], prefix: str = "") -> None:
    answer = f"HTTP {row['http_status']}" if row["http_status"] else "no answer"
    message = f": {row['message']}" if row["message"] else ""
    text = f"{prefix}{at(row['attempted_at'])} {row['result']}, {answer}{message} (run {_run(row)})"
    leaf = branch.add(_text(text, "" if row["result"] in ("created", "updated", "unchanged") else BAD))
    if row["result"] == "created" and all(change["old"] is None for change in row["fields_changed"]):
        _leaf(leaf, f"all of it: {len(row['fields_changed'])} fields (--json lists them)", DIM)
        return
    for change in row["fields_changed"]:
        _leaf(leaf, _change(change), DIM)


def _version(branch: Tree, row: Row, at: Callable[[datetime | None], str]) -> None:
    leaf = branch.add(_text(f"{_of(row)}: {at(row['valid_from'])} – {at(row['valid_to'])} (run {_run(row)})"))
    for change in row["changed"]:
        _leaf(leaf, _change(change), DIM)


def _finding(branch: Tree, row: Row, at: Callable[[datetime | None], str]) -> None:
    state = f", {row['state']}" if row.get("state") else ""
    _leaf(
        branch,
        f"{row['severity']}{state}: {row['rule']} on {_of(row)}.{row['field']}, value {_show(row['value'])}, "
        f"{at(row['found_at'])}. {row['hint']}",
        BAD if row["severity"] == "reject" and row.get("state") == "open" else "",
    )


def _raw(branch: Tree, row: Row, at: Callable[[datetime | None], str]) -> None:
    leaf = branch.add(
        _text(
            f"{_of(row)}: {row['source']}, read {at(row['fetched_at'])} (run {_run(row)}, extract {row['extract']}"
            f"{'' if row['is_complete'] else ', partial'}, {row['raw_hash'][:16]})"
        )
    )
    _leaf(leaf, row["record"] if isinstance(row["record"], str) else _show(row["record"]), DIM)


def _branch(tree: Tree, title: str, found: Sequence[Row], add: Callable[[Tree, Row], object]) -> None:
    branch = tree.add(_text(f"{title}: {len(found) or 'none'}"))
    for row in found:
        add(branch, row)


def _leaf(branch: Tree, text: str, style: str = "") -> None:
    branch.add(_text(text, style))


def _text(text: str, style: str = "") -> Text:
    """As Text, and harmless: what comes from the DMS is neither markup nor a command to the terminal."""
    return Text(shown(text, keep="\n"), style=style)


def _of(row: Row) -> str:
    return f"{row['entity']} {row['dms_number']}"


def _run(row: Row) -> str:
    return str(row["run_id"])[:8]


def _change(change: Row) -> str:
    return f"{change['field']}: {_show(change['old'])} → {_show(change['new'])}"


def _show(value: Any) -> str:
    return "empty" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _clock(zone: ZoneInfo) -> Callable[[datetime | None], str]:
    return lambda moment: moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") if moment else "now"
