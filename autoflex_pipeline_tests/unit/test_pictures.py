"""The small pictures of the Dagster UI."""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import date, timedelta
from xml.etree import ElementTree

import dagster as dg

from autoflex_pipeline.orchestration.pictures import bars, mix

FIRST = date(2026, 11, 1)


def drawn(picture: dg.MetadataValue[str]) -> ElementTree.Element:
    """The picture behind the image's address, which is read as XML: what is not well-formed is not shown."""
    found = re.fullmatch(r"!\[[^\]]+\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", str(picture.value))
    assert found
    return ElementTree.fromstring(b64decode(found[1]))


def words(picture: dg.MetadataValue[str]) -> list[str]:
    return [str(part.text) for part in drawn(picture) if part.tag.endswith("text")]


def test_bars_have_a_place_for_each_day_that_has_something_and_name_the_highest() -> None:
    picture = bars("Arrivals", {FIRST + timedelta(days=n): {"new": n} for n in range(14)})
    (path,) = [part for part in drawn(picture) if part.tag.endswith("path")]
    assert path.attrib["d"].count("M") == 13
    assert words(picture) == ["Arrivals, 01-11 to 14-11; most in a day: 13"]


def test_stacked_parts_stand_on_each_other_and_are_named() -> None:
    picture = bars("Rejected", {FIRST: {"a": 1, "b": 3}})
    ends = [
        [float(y) for y in re.findall(r"[ V]([\d.]+)", part.attrib["d"])]
        for part in drawn(picture)
        if part.tag.endswith("path")
    ]
    assert ends[0][1] == ends[1][0], "the second begins where the first ends"
    assert words(picture)[1:] == ["a", "b"]


def test_a_mix_leaves_out_what_is_zero() -> None:
    assert words(mix("States", {"created": 3, "held": 0, "rejected": 1})) == ["States", "created 3", "rejected 1"]


def test_nothing_to_draw_is_said_in_words() -> None:
    assert bars("Arrivals", {FIRST: {}}).value == "*Arrivals: nothing yet.*"
    assert mix("States", {"held": 0}).value == "*States: nothing yet.*"


def test_a_name_cannot_break_out_of_the_picture() -> None:
    assert words(bars("x", {FIRST: {"<script>": 1, "&": 2}}))[1:] == ["<script>", "&"]


def test_a_picture_of_two_weeks_and_five_parts_is_small() -> None:
    parts = {f"some_rule_{n}": 100 + n for n in range(5)}
    assert len(str(bars("Rejected", {FIRST + timedelta(days=n): parts for n in range(14)}).value)) < 4_000
