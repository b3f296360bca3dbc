"""Write every generated page anew: ``python -m autoflex_pipeline.documentation``, from the root of a checkout."""

from __future__ import annotations

from pathlib import Path

from autoflex_pipeline.documentation.pages import generated_pages

for page, text in generated_pages(Path("docs"), example=Path("autoflex.example.toml")).items():
    page.write_text(text, encoding="utf-8")
