"""Which pages are generated, and from what."""

from __future__ import annotations

from pathlib import Path

from autoflex_pipeline.documentation.commands import commands_page
from autoflex_pipeline.documentation.configuration import configuration_page
from autoflex_pipeline.warehouse.dictionary import with_dictionary

COMMAND = "python -m autoflex_pipeline.documentation"


def generated_pages(docs: Path, *, example: Path) -> dict[Path, str]:
    """Each generated page of the folder ``docs`` with the text that it should have."""
    analysts = docs / "analysts.md"
    made_by = f"<!-- made by {COMMAND} -->"
    return {
        docs / "commands.md": f"{made_by}\n{commands_page()}",
        docs / "configuration.md": f"{made_by}\n{configuration_page(example.read_text(encoding='utf-8'))}",
        analysts: with_dictionary(analysts.read_text(encoding="utf-8")),
    }
