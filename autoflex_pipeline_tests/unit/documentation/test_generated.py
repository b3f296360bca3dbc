"""The pages that are made from the program are those of this program, and say something of everything in it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from autoflex_pipeline.documentation.commands import Described, described_commands
from autoflex_pipeline.documentation.configuration import Key, tables, value_type
from autoflex_pipeline.documentation.pages import COMMAND, generated_pages
from autoflex_pipeline.settings import load_settings

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "autoflex.example.toml"
PAGES = generated_pages(ROOT / "docs", example=EXAMPLE)
COMMENTED_OUT = re.compile(r"^# (?=\[|\w+ = )", re.MULTILINE)
MINIMUM = 10

COMMANDS = described_commands()
KEYS = [key for table in tables() for key in table.keys]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_generated_page_is_that_of_the_program(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == PAGES[page], f"write it anew: {COMMAND}"


@pytest.mark.parametrize("described", COMMANDS, ids=lambda described: described.name)
def test_the_command_and_each_of_its_options_say_what_they_do(described: Described) -> None:
    assert len(described.text) >= MINIMUM
    for parameter in described.command.params:
        assert len(parameter.help or "") >= MINIMUM, parameter.name


@pytest.mark.parametrize(
    "described", [one for one in COMMANDS if not one.is_group], ids=lambda described: described.name
)
def test_the_command_has_an_example_that_is_one_of_it(described: Described) -> None:
    assert described.examples
    for example in described.examples:
        assert f"{example} ".startswith(f"{described.name} ")


def test_the_commands_in_a_group_are_found_too() -> None:
    """Once the commands were looked for in click's groups, which typer's are no longer: only the program was found."""
    assert {"autoflex-pipeline sync", "autoflex-pipeline quarantine retry"} <= {one.name for one in COMMANDS}


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.table}{key.name}")
def test_the_key_of_the_file_says_what_it_means(key: Key) -> None:
    assert len(key.description) >= MINIMUM
    assert value_type(key)


@pytest.mark.parametrize("table", tables(), ids=lambda table: table.name)
def test_the_table_of_the_file_says_what_it_is_for(table: Any) -> None:
    assert len(table.description) >= MINIMUM


def test_the_example_is_read_as_it_stands_and_with_all_that_is_commented_out(tmp_path: Path) -> None:
    file = tmp_path / "autoflex.toml"
    for text in (EXAMPLE.read_text(encoding="utf-8"), whole_example()):
        file.write_text(text, encoding="utf-8")
        assert load_settings(file).dealer_ids == ("garage-jansen",)


def test_the_example_names_every_key_and_shows_the_defaults() -> None:
    example = tomllib.loads(whole_example())
    for key in KEYS:
        shown = [example]
        for part in key.table.strip("[]").split("."):
            shown = [inner for outer in shown for inner in _each(outer.get(part, []))]
        values = [table[key.name] for table in shown if key.name in table]
        assert values, f"{key.table} {key.name}"
        default = key.declared.get("default")
        if default is not None:
            assert default in values, f"{key.table} {key.name}"


def whole_example() -> str:
    """The example with what is commented out put in."""
    return COMMENTED_OUT.sub("", EXAMPLE.read_text(encoding="utf-8"))


def _each(tables: Any) -> list[Any]:
    """The tables of a list of them, or the one."""
    return tables if isinstance(tables, list) else [tables]
