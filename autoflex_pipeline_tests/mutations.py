"""What a mutant is: the text of a module or of a file of SQL with one small change."""

from __future__ import annotations

import ast
import copy
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import duckdb

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.BitAnd: ast.BitOr,
}  # fmt: skip
SQL = (
    (" <= ", " < "), (" < ", " <= "), (" >= ", " > "), (" > ", " >= "), (" = ", " <> "), (" AND ", " OR "),
    (" OR ", " AND "), (" NOT ", " "), ("IS NULL", "IS NOT NULL"), ("IS NOT NULL", "IS NULL"),
    ("IS DISTINCT FROM", "IS NOT DISTINCT FROM"), ("IS NOT DISTINCT FROM", "IS DISTINCT FROM"),
    (" IN (", " NOT IN ("), ("min(", "max("), ("max(", "min("), ("ANTI JOIN", "SEMI JOIN"), ("SEMI JOIN", "ANTI JOIN"),
    ("LEFT JOIN", "JOIN"), ("DISTINCT ", ""), (" DESC", ""),
)  # fmt: skip
IS_SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|WITH)\b")


@dataclass(frozen=True)
class Mutant:
    """A whole text with one change: where, and what was changed in which words."""

    line: int
    change: str
    text: str


def mutants_of_python(text: str, *, part: str = "") -> list[Mutant]:
    """All mutants of a module, or of its function ``part``, in the order of its lines."""
    tree = ast.parse(text)
    lines = text.splitlines()
    chosen = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == part]
    if part and not chosen:
        raise ValueError(f"there is no function {part}")
    inside = {id(node) for top in chosen or [tree] for node in ast.walk(top)} - set(_left_alone(tree))
    found = []
    for place, node in enumerate(ast.walk(tree)):
        if id(node) not in inside:
            continue
        for number in range(len(list(_changed(copy.deepcopy(node))))):
            another = copy.deepcopy(tree)
            target = list(ast.walk(another))[place]
            change, further, changed = list(_changed(target))[number]
            line = getattr(node, "lineno", 1) + further
            text_after = ast.unparse(_Replaced(target, changed).visit(another))
            found.append(Mutant(line, _told(change, lines[line - 1]), text_after))
    return _in_order(found)


def mutants_of_sql(text: str) -> list[Mutant]:
    """All mutants of a file of SQL that can be read, but for those in its comments."""
    lines = text.splitlines()
    found = []
    for line, change, after in _changed_sql(text):
        if not lines[line].lstrip().startswith("--") and _is_readable(after):
            found.append(Mutant(line + 1, _told(change, lines[line]), after))
    return _in_order(found)


def _told(change: str, line: str) -> str:
    return f"{' '.join(change.split())[:70]} | {line.strip()}"


def _in_order(mutants: Iterable[Mutant]) -> list[Mutant]:
    """By line; each text once, and the second of the same words on a line with a number."""
    found: dict[str, Mutant] = {}
    words: Counter[tuple[int, str]] = Counter()
    for mutant in sorted(mutants, key=lambda each: (each.line, each.change)):
        if mutant.text not in found:
            words[mutant.line, mutant.change] += 1
            number = words[mutant.line, mutant.change]
            change = f"{mutant.change} ({number})" if number > 1 else mutant.change
            found[mutant.text] = Mutant(mutant.line, change, mutant.text)
    return list(found.values())


class _Replaced(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._old else self.generic_visit(node)


def _left_alone(tree: ast.AST) -> Iterator[int]:
    """Docstrings, what only type checkers read, and the pieces of texts in which values stand (seen as a whole)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield id(node.value)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from (id(each) for each in ast.walk(node))
        elif isinstance(node, ast.JoinedStr):
            yield from (id(piece) for piece in node.values if isinstance(piece, ast.Constant))


def _changed(node: ast.AST) -> Iterator[tuple[str, int, ast.AST]]:
    """What ``node`` may become, with a word for it and how many lines below its first one."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        if IS_SQL.match(node.value):
            for line, change, after in _changed_sql(node.value):
                if _is_readable(after):
                    yield change, line if "\n" in node.value else 0, ast.Constant(after)
        return
    if isinstance(node, ast.JoinedStr):
        yield from _changed_joined(node)
        return
    for change, after in _changed_code(node):
        yield change, 0, after


def _changed_code(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.Compare):
        operators = [COMPARISONS[type(node.ops[0])](), *node.ops[1:]]
        yield f"comparison turned: {ast.unparse(node)}", ast.Compare(node.left, operators, node.comparators)
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield f"and/or changed: {ast.unparse(node)}", ast.BoolOp(other, node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield f"not left out: {ast.unparse(node)}", node.operand
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS and not _is_text(node):
        changed = ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)
        yield f"operator changed: {ast.unparse(node)}", changed
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        turned = copy.copy(node)
        turned.test = ast.UnaryOp(ast.Not(), node.test)
        yield f"condition turned: {ast.unparse(node.test)}", turned
    elif isinstance(node, ast.Return) and not _is_nothing(node.value):
        yield f"None returned: {ast.unparse(node)}", ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield f"call left out: {ast.unparse(node)}", ast.Pass()
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "where":
        for place, condition in enumerate(node.args):
            rest = [*node.args[:place], *node.args[place + 1 :]]
            yield f"condition left out: {ast.unparse(condition)}", ast.Call(node.func, rest, node.keywords)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield f"{node.value} turned", ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield f"{node.value} plus one", ast.Constant(node.value + 1)


def _is_text(node: ast.BinOp) -> bool:
    """Whether texts are joined: with another operator that only breaks."""
    return any(isinstance(side, ast.JoinedStr) or _is_string(side) for side in (node.left, node.right))


def _is_string(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_nothing(node: ast.expr | None) -> bool:
    """Whether None in its place would say the same: None, or False."""
    return node is None or (isinstance(node, ast.Constant) and node.value in (None, False))


def _changed_joined(node: ast.JoinedStr) -> Iterator[tuple[str, int, ast.AST]]:
    """The changes of a text of SQL in which values stand."""
    first = node.values[0] if node.values else None
    if not (isinstance(first, ast.Constant) and IS_SQL.match(str(first.value))):
        return
    before = 0
    for place, piece in enumerate(node.values):
        if not isinstance(piece, ast.Constant):
            continue
        for line, change, after in _changed_sql(str(piece.value)):
            pieces: Iterable[ast.expr] = (*node.values[:place], ast.Constant(after), *node.values[place + 1 :])
            yield change, before + line, ast.JoinedStr([*pieces])
        before += str(piece.value).count("\n")


def _changed_sql(text: str) -> Iterator[tuple[int, str, str]]:
    """Each place where a word of SQL can be another: how many lines below the first one, what, and the text after."""
    for old, new in SQL:
        for found in re.finditer(re.escape(old), text):
            if _is_meant(old, text, found.start()):
                after = text[: found.start()] + new + text[found.end() :]
                words = f"{old.strip()} to {new.strip() or 'nothing'}"
                yield text.count("\n", 0, found.start()), words, after


def _is_meant(old: str, text: str, start: int) -> bool:
    """Not the AND of a BETWEEN, not the NOT of NOT NULL or NOT DISTINCT, not the DISTINCT of IS DISTINCT FROM."""
    if old == " AND ":
        return re.search(r"BETWEEN \S+$", text[:start]) is None
    if old == " NOT ":
        return re.match(r" NOT (NULL|DISTINCT|IN )", text[start:]) is None
    return not (old == "DISTINCT " and text[:start].endswith(("IS ", "NOT ")))


def _is_readable(sql: str) -> bool:
    """Whether DuckDB can read it: what it cannot read is no mutant."""
    try:
        duckdb.extract_statements(sql)
    except duckdb.Error:
        return False
    return True
