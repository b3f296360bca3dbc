"""The SQL files of this folder: statements found by the name in the comment above them."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files


@cache
def named_sql(file: str) -> dict[str, str]:
    """The statements of a .sql file by name."""
    text = files(__package__).joinpath(file).read_text("utf-8")
    parts = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)[1:]
    return {name: sql.strip().rstrip(";") for name, sql in zip(parts[::2], parts[1::2], strict=True)}
