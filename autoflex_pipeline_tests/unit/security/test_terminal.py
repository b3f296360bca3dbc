"""What the DMS says is shown as it is: it is no markup, and it steers no terminal."""

from __future__ import annotations

import json

import pytest

from autoflex_pipeline.cli.output import complain, print_json, print_table

HOSTILE = [
    "[red]rood[/red]",
    "[/]",
    "[link=https://evil.example]klik[/link]",
    "\x1b[2J\x1b]0;titel\x07",
    "\x9b31m",
    "\u202etxt",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_table_shows_markup_as_text_and_no_control_characters(capsys: pytest.CaptureFixture[str], text: str) -> None:
    print_table(f"order {text}", ["DMS number", "value"], [[text, text]])
    print_table(text, ["DMS number"], [])
    printed = capsys.readouterr().out
    assert all(character.isprintable() or character == "\n" for character in printed), "nothing steers the terminal"
    if text.startswith("["):
        assert printed.count(text) == 4, "markup is text like any other"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_complaint_steers_no_terminal(capsys: pytest.CaptureFixture[str], text: str) -> None:
    complain(f"dealer: {text}\nsecond line")
    printed = capsys.readouterr().err
    assert all(character.isprintable() or character == "\n" for character in printed)
    assert printed.endswith("\nsecond line\n")


@pytest.mark.parametrize("text", [*HOSTILE, "half \ud83d", "Citroën\u2028"])
def test_json_holds_the_exact_value_and_no_control_characters(capsys: pytest.CaptureFixture[str], text: str) -> None:
    print_json({"value": text})
    printed = capsys.readouterr().out
    assert all(character.isprintable() or character == "\n" for character in printed)
    assert json.loads(printed) == {"value": text}
