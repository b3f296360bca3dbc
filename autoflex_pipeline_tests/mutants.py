"""Mutants: a module is changed in one small place, and its fast tests must notice. `make mutants`.

Each mutant runs in a copy of the repository, so nothing here is ever changed. One process, a fixed seed for samples.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[1]
SECONDS = 120
"""A mutant whose tests take longer is noticed by that."""

TESTS: dict[str, tuple[str, ...]] = {
    "claire/difference.py": ("unit/claire/test_difference.py",),
    "sources/absence.py": ("unit/reading/test_absence.py",),
    "throttling.py": ("unit/test_throttling.py",),
    "state/outbox.py": ("unit/claire/test_delivery.py",),
    "state/ledger.py": ("unit/claire/test_delivery.py",),
    "claire/gate.py": ("unit/claire/test_delivery.py",),
}
"""Each module and the fast tests that are to notice its mutants."""

LIBRARIES = ("dagster", "duckdb", "fastapi", "httpx", "hypothesis", "pandera.pandas", "sqlalchemy", "typer", "uvicorn")
"""What takes long to import, imported once."""
ALREADY_IMPORTED = ("-W", "ignore::pytest.PytestAssertRewriteWarning")

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
SQL = (
    (" <= ", " < "), (" < ", " <= "), (" = ", " <> "), (" AND ", " OR "), ("IS NULL", "IS NOT NULL"),
    ("NOT EXISTS", "EXISTS"), (" IN (", " NOT IN ("), ("min(", "max("), ("ANTI JOIN", "SEMI JOIN"),
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """The text of a module with one change, and what was changed."""

    line: int
    change: str
    text: str


def mutants_of(text: str) -> list[Mutant]:
    """All mutants of a module, in the order of its lines."""
    tree = ast.parse(text)
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    found = []
    for place, node in enumerate(ast.walk(tree)):
        if id(node) in docstrings:
            continue
        for number in range(len(list(_changed(copy.deepcopy(node))))):
            another = copy.deepcopy(tree)
            target = list(ast.walk(another))[place]
            change, changed = list(_changed(target))[number]
            text_after = ast.unparse(_Replaced(target, changed).visit(another))
            found.append(Mutant(getattr(node, "lineno", 0), change, text_after))
    return sorted(found, key=lambda mutant: (mutant.line, mutant.change))


class _Replaced(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._old else self.generic_visit(node)


def _changed(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What ``node`` may become, with a word for it."""
    if isinstance(node, ast.Compare):
        operators = [COMPARISONS[type(node.ops[0])](), *node.ops[1:]]
        yield f"comparison turned: {ast.unparse(node)}", ast.Compare(node.left, operators, node.comparators)
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield f"and/or changed: {ast.unparse(node)}", ast.BoolOp(other, node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield f"not left out: {ast.unparse(node)}", node.operand
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub | ast.Mult):
        operator = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield f"operator changed: {ast.unparse(node)}", ast.BinOp(node.left, operator, node.right)
    elif isinstance(node, ast.If | ast.IfExp):
        changed = copy.copy(node)
        changed.test = ast.UnaryOp(ast.Not(), node.test)
        yield f"condition turned: {ast.unparse(node.test)}", changed
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield f"None returned: {ast.unparse(node)}", ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield f"call left out: {ast.unparse(node)[:60]}", ast.Pass()
    elif isinstance(node, ast.Constant):
        yield from _changed_constant(node)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _changed_constant(node: ast.Constant) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node.value, bool):
        yield f"{node.value} turned", ast.Constant(not node.value)
    elif isinstance(node.value, int | float):
        yield f"{node.value} plus one", ast.Constant(node.value + 1)
    elif isinstance(node.value, str):
        for old, new in SQL:
            if node.value.lstrip().startswith(("SELECT", "INSERT", "UPDATE")):
                for number in range(node.value.count(old)):
                    parts = node.value.split(old)
                    after = old.join(parts[: number + 1]) + new + old.join(parts[number + 1 :])
                    yield f"SQL:{old}to{new}(place {number + 1})", ast.Constant(after)


def is_killed(copied: Path, module: str, text: str) -> bool:
    """Whether the tests of ``module`` fail with ``text`` in its place.

    They run in a fork of this process, which has imported the libraries once for all.
    """
    target = copied / "autoflex_pipeline" / module
    before = target.read_text("utf-8")
    target.write_text(text, "utf-8")
    child = os.fork()
    if child == 0:
        _run_tests(copied, TESTS[module])
    try:
        return os.waitpid(child, 0)[1] != 0
    finally:
        target.write_text(before, "utf-8")


def _run_tests(copied: Path, tests: tuple[str, ...]) -> NoReturn:
    """In the fork: end with the code of pytest, or by the alarm."""
    signal.alarm(SECONDS)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    for name in [name for name in sys.modules if name.startswith("autoflex_pipeline")]:
        del sys.modules[name]
    sys.path.insert(0, str(copied))
    sys.dont_write_bytecode = True
    os.chdir(copied)
    options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=no", *ALREADY_IMPORTED]
    code = 1
    try:
        code = int(pytest.main([*options, *(f"autoflex_pipeline_tests/{test}" for test in tests)]))
    finally:  # whatever a mutant raises ends the fork, and never goes on as this program
        os._exit(code)


def run(module: str, *, sample: int, seed: int, until: float) -> tuple[int, int, int]:
    """Try the mutants of a module; gives how many there are, were tried and were killed. Survivors are printed."""
    text = (ROOT / "autoflex_pipeline" / module).read_text("utf-8")
    mutants = mutants_of(text)
    chosen = random.Random(seed).sample(mutants, min(sample or len(mutants), len(mutants)))
    tried = killed = 0
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder)
        for name in ("autoflex_pipeline", "autoflex_pipeline_tests", "pyproject.toml"):
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, copied / name)
        if is_killed(copied, module, text):
            raise SystemExit(f"{module}: its tests fail without any mutant")
        for mutant in chosen:
            if time.monotonic() > until:
                break
            tried += 1
            if is_killed(copied, module, mutant.text):
                killed += 1
            else:
                print(f"survived: {module}:{mutant.line}: {mutant.change}", flush=True)
    return len(mutants), tried, killed


def main() -> None:
    """The command."""
    for library in LIBRARIES:
        importlib.import_module(library)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=list(TESTS), help="such as claire/difference.py; all without any")
    parser.add_argument("--sample", type=int, default=0, help="so many of each module; 0: all")
    parser.add_argument("--seed", type=int, default=1, help="which ones a sample takes")
    parser.add_argument("--minutes", type=float, default=24 * 60, help="no further mutant after so long")
    given = parser.parse_args()
    until = time.monotonic() + 60 * given.minutes
    for module in given.modules:
        mutants, tried, killed = run(module, sample=given.sample, seed=given.seed, until=until)
        print(f"{module}: {mutants} mutants, {tried} tried, {killed} killed", flush=True)


if __name__ == "__main__":
    main()
