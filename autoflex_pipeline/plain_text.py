"""Words of a vendor made harmless: nothing in them steers a terminal, a log or a table."""

from __future__ import annotations

import re
import unicodedata

_ODD = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters: of a terminal, of a header, of a log's lines
    "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"  # those that turn the direction of text or end a line
    "\ud800-\udfff]"  # halves of characters, which cannot be printed at all
)


def one_line(text: str, longest: int) -> str:
    """A vendor's words, fit for a log, a terminal and a table: one line, cut, without control characters."""
    return shown(" ".join(text.split()))[:longest]


def shown(text: str, *, keep: str = "") -> str:
    r"""The text with its control characters (but those in ``keep``) written out, as ``\x1b``: nothing happens."""
    return _ODD.sub(lambda found: found[0] if found[0] in keep else _written(found[0]), text)


def _written(character: str) -> str:
    if unicodedata.category(character) == "Cs":
        return "\ufffd"
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
