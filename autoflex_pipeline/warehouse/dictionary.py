"""The data dictionary of the analysts' page, made from the declarations.

``python -m autoflex_pipeline.warehouse.dictionary docs/analysts.md`` writes it into the page anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

from autoflex_pipeline.warehouse.analyst_tables import published_tables

BEGIN = "<!-- dictionary: made by python -m autoflex_pipeline.warehouse.dictionary docs/analysts.md -->"
END = "<!-- end of dictionary -->"


def dictionary() -> str:
    """Every published table with its columns, as Markdown."""
    parts = []
    for table in published_tables():
        rows = "\n".join(f"| {column.name} | {column.type} | {column.description} |" for column in table.columns)
        parts.append(
            f"### {table.name}\n{table.description}\n\n| column | type | meaning |\n| --- | --- | --- |\n{rows}"
        )
    return "\n\n".join(parts)


def with_dictionary(page: str) -> str:
    """``page`` with what stands between the two marks replaced; ValueError when they are not there once each."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in after:
        raise ValueError(f"the page must hold {BEGIN!r} and then {END!r}, each once")
    return f"{before}{BEGIN}\n\n{dictionary()}\n\n{END}{after}"


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(with_dictionary(file.read_text(encoding="utf-8")), encoding="utf-8")
