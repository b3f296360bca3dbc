"""The reference of the configuration file, made from the declarations in ``settings``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from autoflex_pipeline.settings import Settings

INTRODUCTION = """# Configuration

One TOML file, found by `--config FILE` (every command takes it), else `$AUTOFLEX_CONFIG`, else `autoflex.toml` in the
working directory. Relative paths are relative to the file. Secrets are never in it: a key that ends in `_env` names the
environment variable that holds the value.

An unknown key, a bad value, or two dealers with one `id` or `claire_location_id` is one line that names the key and the
file; exit code 2, nothing is touched. So is a missing variable that all dealers need; that of one dealer fails that
dealer only.
"""

EXAMPLE = """## The whole file

`autoflex.example.toml`; what is commented out is the default, or an example where there is none.

```toml
{text}```
"""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a table of the file, as its declaration has it (``declared`` is a JSON schema)."""

    table: str
    name: str
    declared: dict[str, Any]
    is_required: bool

    @property
    def description(self) -> str:
        """What it means."""
        return str(self.declared.get("description", ""))


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the file: ``name`` with its brackets, such as ``[dealers.api]`` or ``[[dealers]]``."""

    name: str
    description: str
    keys: tuple[Key, ...]


def tables() -> list[Table]:
    """Every table of the file, an outer one before those in it."""
    schema = Settings.model_json_schema()
    return list(_walk(schema, schema["$defs"], "", ""))[1:]


def _walk(schema: dict[str, Any], defined: dict[str, Any], path: str, name: str) -> Iterator[Table]:
    inner = {}
    keys = []
    for key, declared in schema["properties"].items():
        model = _model_of(declared)
        if model:
            inner[key] = (defined[model], "items" in declared)
        else:
            keys.append(Key(name, key, declared, key in schema.get("required", [])))
    yield Table(name, str(schema.get("description", "")), tuple(keys))
    for key, (inner_schema, is_list) in inner.items():
        inner_path = f"{path}.{key}" if path else key
        yield from _walk(inner_schema, defined, inner_path, f"[[{inner_path}]]" if is_list else f"[{inner_path}]")


def _model_of(declared: dict[str, Any]) -> str | None:
    """The model that the key holds, or holds a list of; None for a plain value."""
    for part in (declared, declared.get("items", {}), *declared.get("anyOf", ())):
        if "$ref" in part:
            return str(part["$ref"]).rpartition("/")[2]
    return None


def configuration_page(example: str) -> str:
    """The whole page, as Markdown; ``example`` is the text of the example file."""
    return "\n".join([INTRODUCTION, *(_section(table) for table in tables()), EXAMPLE.format(text=example)])


def _section(table: Table) -> str:
    rows = [
        f"| `{key.name}` | {value_type(key)} | {_default(key)} | {' '.join(key.description.split())} |"
        for key in table.keys
    ]
    description = " ".join(table.description.replace("``", "`").split())
    head = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    return "\n".join([f"## {table.name}", "", description, "", *head, *rows, ""])


def value_type(key: Key) -> str:
    """What kind of value the key takes, with its bounds."""
    declared = next((part for part in key.declared.get("anyOf", ()) if part["type"] != "null"), key.declared)
    if "enum" in declared:
        return _choice(declared)
    if key.name.endswith("_env"):
        return "name of a variable"
    if "items" in declared:
        items = declared["items"]
        return f"list of {_choice(items) if 'enum' in items else KINDS[items['type']]}"
    return KINDS[declared.get("format", declared["type"])] + _bounds(declared)


def _choice(declared: dict[str, Any]) -> str:
    return " or ".join(f"`{_toml(value)}`" for value in declared["enum"])


KINDS = {
    "string": "text", "boolean": "true or false", "integer": "whole number", "number": "number", "path": "path",
    "uri": "address",
}  # fmt: skip
"""What a type or format of the JSON schema is called."""


def _bounds(declared: dict[str, Any]) -> str:
    low, high = declared.get("minimum", declared.get("exclusiveMinimum")), declared.get("maximum")
    if low is None or high is None:
        return ""
    return f", {'above ' if 'exclusiveMinimum' in declared else ''}{low:,} to {high:,}"


def _default(key: Key) -> str:
    if key.is_required:
        return "must be given"
    default = key.declared.get("default")
    return "–" if default in (None, "") else f"`{_toml(default)}`"


def _toml(value: object) -> str:
    """A value as it stands in the file."""
    return json.dumps(value, ensure_ascii=False)
