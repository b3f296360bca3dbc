"""A field is declared once: no name of a vendor's field is spelt anywhere but in the models."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import autoflex_pipeline
from autoflex_pipeline.model import MODELS, fields

PACKAGE = Path(autoflex_pipeline.__file__).parent
ELSEWHERE = ("model", "sandbox")
STRUCTURE = {"dms_nr", "dealer_id"}
"""Keys that hold documents together; they are no mapping of a field."""


def vendor_names() -> set[str]:
    """Names in the DMS, in extract files and in Claire that could not be mistaken for one of our own columns."""
    declared = [field for entity in MODELS for field in fields(entity)]
    ours = {field.name for field in declared} | set(MODELS)
    leaves = {field.claire.rpartition(".")[2] for field in declared if field.claire}
    names = {name for field in declared for name in (*field.dms, *field.header)} | leaves
    return {name for name in names if name not in ours | STRUCTURE and ("_" in name or " " in name)}


def texts(path: Path) -> list[str]:
    """The string literals of a module, without docstrings; the whole of an SQL file without comments."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".sql":
        return [re.sub(r"--.*", "", source)]
    tree = ast.parse(source)
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    ]


def test_the_models_name_the_fields_that_this_test_looks_for() -> None:
    assert {"plan_date_from", "order_number", "wo_nr", "creation_date", "Plandatum van"} <= vendor_names()


def test_no_field_is_mapped_anywhere_else() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix not in (".py", ".sql") or path.relative_to(PACKAGE).parts[0] in ELSEWHERE:
            continue
        for text in texts(path):
            found += [f"{path.name}: {name}" for name in vendor_names() if re.search(rf"(?<!\w){name}(?!\w)", text)]
    assert not found
