"""How `make docs` builds the site. Nothing in it comes from outside: no fonts, no scripts, no analytics."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

project = "autoflex_pipeline"
author = "the data team"
html_title = "autoflex_pipeline"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["screenshots"]
html_theme = "furo"
html_show_sphinx = False
html_copy_source = False
# Links such as runbook.md#orphan lead to headings, as they do where the pages are read as plain Markdown.
myst_heading_anchors = 3
nitpicky = True
highlight_language = "none"  # what a block without a language holds is typed or printed, not Python

SCREENSHOT = re.compile(r"!\[(?P<shown>[^\]]*)\]\((?P<file>screenshots/[^)]+)\)")


def without_missing_screenshots(app: Sphinx, _page: str, content: list[str]) -> None:
    """Say what a screenshot would show where the browser tests have not made it yet."""

    def image_or_words(found: re.Match[str]) -> str:
        if (Path(app.srcdir) / found["file"]).is_file():
            return found[0]
        return f"*(A screenshot belongs here, made by `make test-browser` and then `make docs`: {found['shown']}.)*"

    content[0] = SCREENSHOT.sub(image_or_words, content[0])


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", without_missing_screenshots)
