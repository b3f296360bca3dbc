"""The reference of the commands, made from the commands themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer

from autoflex_pipeline.cli.app import app

PROGRAM = "autoflex-pipeline"

INTRODUCTION = f"""# Commands

`{PROGRAM} COMMAND …`; after `make install` it is `.venv/bin/{PROGRAM}`, and has its short name
after `. .venv/bin/activate`. Each command takes `--help`.

| exit code | means |
| --- | --- |
| 0 | done; rejected and quarantined rows are findings, not failures |
| 1 | a dealer failed or was read only in part, deliveries are left, the guard stopped something, or nothing was found |
| 2 | usage or configuration: one line names the option, or the key and the file; nothing was touched |

With `--json` one JSON value is printed on standard output and nothing else there; complaints go to standard error.
"""


@dataclass(frozen=True, slots=True)
class Described:
    """A command with its whole name, and what its help says, apart from the examples."""

    name: str
    command: Any
    text: str
    examples: tuple[str, ...]

    @property
    def is_group(self) -> bool:
        """Whether it only holds other commands."""
        return bool(getattr(self.command, "commands", None))


def described_commands() -> list[Described]:
    """Every command, in the order of ``--help``, a group before what it holds."""
    return list(_walk(typer.main.get_command(app), PROGRAM))[1:]


def _walk(command: Any, name: str) -> Iterator[Described]:
    text, _, examples = (command.help or "").partition("\b")
    lines = tuple(line.strip() for line in examples.strip().splitlines())
    yield Described(name, command, text.strip(), lines[1:])
    for child_name, child in getattr(command, "commands", {}).items():
        yield from _walk(child, f"{name} {child_name}")


def commands_page() -> str:
    """The whole page, as Markdown."""
    return "\n".join([INTRODUCTION, *(_section(described) for described in described_commands())])


def _section(described: Described) -> str:
    # Without the program's name, so that the address of a section is short: commands.md#quarantine-retry.
    parts = [f"## {described.name.removeprefix(PROGRAM + ' ')}", described.text]
    if not described.is_group:
        parts += [f"```\n{usage(described)}\n```", _parameters(described)]
    if described.examples:
        parts.append("Examples:\n```\n" + "\n".join(described.examples) + "\n```")
    return "\n\n".join(parts) + "\n"


def usage(described: Described) -> str:
    """One line: the command with its arguments, and the options that must be given."""
    words = [described.name]
    for parameter in described.command.params:
        if _is_argument(parameter):
            word = _metavar(parameter) + ("…" if parameter.nargs == -1 else "")
            words.append(word if parameter.required else f"[{word}]")
        elif parameter.required:
            words.append(f"{parameter.opts[0]} {_metavar(parameter)}")
    return " ".join([*words, "[options]"])


def _parameters(described: Described) -> str:
    rows = [
        f"| {_shown_name(parameter)} | {_default(parameter)} | {_escaped(parameter.help or '')} |"
        for parameter in sorted(described.command.params, key=lambda parameter: not _is_argument(parameter))
    ]
    return "\n".join(["| option | default | meaning |", "| --- | --- | --- |", *rows])


def _shown_name(parameter: Any) -> str:
    if _is_argument(parameter):
        return f"`{_metavar(parameter)}`"
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    return names if parameter.is_flag else f"{names} `{_metavar(parameter)}`"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "must be given"
    if parameter.default is None or parameter.default is False:
        return "–"
    return f"`{parameter.default}`"


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _escaped(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")
