"""What the commands share: options, JSON, tables, the installation that a configuration file describes."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autoflex_pipeline.plain_text import shown
from autoflex_pipeline.settings import load_settings, missing_common_variables

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", help="The configuration file; else $AUTOFLEX_CONFIG, else ./autoflex.toml.", metavar="FILE"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else there.")]
Dealers = Annotated[
    list[str] | None, typer.Option("--dealer", help="Id of a dealer; may be given several times.", metavar="ID")
]


PIPE_WIDTH = 200
"""Columns of a table that goes to a file or a pipe, where nothing says how wide it may be."""


def console() -> Console:
    """Where people read."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def complain(message: str) -> None:
    """One clear line on standard error; it may quote the DMS, so nothing in it steers the terminal."""
    print(shown(message, keep="\n\t"), file=sys.stderr)


def print_json(value: Any) -> None:
    """One JSON value on standard output; what would steer a terminal is escaped, which means the same to programs."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=_plain)
    print(_STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


_STEERING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Besides the control characters that JSON escapes anyway: more of them, and those that turn the direction of text."""


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


def print_table(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """A table for people; a line when it is empty."""
    console().print(table_of(title, columns, rows))


def table_of(title: str, columns: list[str], rows: list[list[Any]]) -> Table | Text:
    """The same, to be printed."""
    if not rows:
        return Text(f"{shown(title)}: nothing")
    # Text, never str: what the DMS says must not be taken for rich's markup.
    table = Table(title=Text(shown(title)), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, no_wrap=place == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else shown(str(cell), keep="\n")) for cell in row))
    return table


@contextmanager
def installation(config: Path | None, *, needs_secrets: bool = False) -> Iterator[Any]:
    """The installation of the configuration file, closed at the end; ConfigurationError when the file is wrong.

    ``needs_secrets``: also when a variable that all dealers need is not set, before anything is touched.
    """
    settings = load_settings(config)
    if needs_secrets:
        missing_common_variables(settings)
    from autoflex_pipeline.orchestration.resources import Installation

    opened = Installation(config)
    try:
        yield opened
    finally:
        opened.close()
