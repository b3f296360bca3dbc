"""The site builds without a broken link, needs nothing from outside, and names only commands that exist."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoflex_pipeline.documentation.commands import PROGRAM, described_commands
from autoflex_pipeline_tests.browser.screenshots import SCREENSHOTS, collect

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
TEXTS = [*sorted(DOCS.glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
COMMANDS = {described.name: described.command for described in described_commands()}
MENTIONED = re.compile(rf"^(?:\.venv/bin/)?({PROGRAM} .+)$|`(?:\.venv/bin/)?({PROGRAM} [^`\n]+)`", re.MULTILINE)
FROM_OUTSIDE = re.compile(
    r"<(?:script|img|iframe)[^>]*src=\"(?:https?:)?//|<link[^>]*rel=\"(?:stylesheet|preload|preconnect|icon)\"[^>]*"
    r"href=\"(?:https?:)?//|@import|url\([\"']?(?:https?:)?//"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it, with one screenshot there and the others missing."""
    folder = tmp_path_factory.mktemp("documentation")
    sources, site = folder / "docs", folder / "site"
    shutil.copytree(DOCS, sources, ignore=shutil.ignore_patterns("screenshots"))
    shutil.copyfile(ROOT / "autoflex.example.toml", folder / "autoflex.example.toml")
    artifacts = folder / "artifacts"
    artifacts.mkdir()
    (artifacts / "trace-report.png").write_bytes(ONE_PIXEL)
    collect(artifacts, sources)
    strictly = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet"]
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", *strictly, "--builder", "html", str(sources), str(site)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return site


ONE_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a49444154789c636000000002000148afa4710000000049454e44ae426082"
)


def test_every_page_is_in_the_site(site: Path) -> None:
    for page in DOCS.glob("*.md"):
        assert (site / f"{page.stem}.html").is_file()


def test_the_site_needs_nothing_from_outside(site: Path) -> None:
    for file in (*site.rglob("*.html"), *site.rglob("*.css")):
        found = FROM_OUTSIDE.search(file.read_text(encoding="utf-8"))
        assert found is None, f"{file.name}: {found and found[0]}"


def test_where_the_program_leads_to_is_on_the_site(site: Path) -> None:
    led_to = {
        match
        for file in (ROOT / "autoflex_pipeline").rglob("*.py")
        for match in re.findall(r"\b([\w-]+)\.md#([\w-]+)(?![\w{-])", file.read_text(encoding="utf-8"))
    }
    assert led_to
    for page, anchor in led_to:
        assert f'id="{anchor}"' in (site / f"{page}.html").read_text(encoding="utf-8"), f"{page}.md#{anchor}"


def test_a_screenshot_is_shown_where_it_was_made_and_told_of_where_it_was_not(site: Path) -> None:
    page = (site / "data-team.html").read_text(encoding="utf-8")
    assert 'src="_images/trace-report.png"' in page
    assert "A screenshot belongs here" in page
    assert SCREENSHOTS["trace-launchpad.png"] in page


def test_the_pages_show_the_screenshots_that_the_browser_tests_make_and_no_others() -> None:
    shown = {
        (file, words)
        for page in TEXTS
        for words, file in re.findall(r"!\[([^\]]*)\]\(screenshots/([^)]+)\)", page.read_text(encoding="utf-8"))
    }
    assert shown == set(SCREENSHOTS.items())


def test_what_the_browser_tests_take_is_in_the_list() -> None:
    taken = {
        f"{name}.png"
        for file in (ROOT / "autoflex_pipeline_tests" / "browser").glob("*.py")
        for name in re.findall(r'\bshot\(page, "([^"]+)"\)', file.read_text(encoding="utf-8"))
    }
    assert taken <= set(SCREENSHOTS)


def mentioned() -> Iterator[tuple[str, str]]:
    for page in TEXTS:
        for match in MENTIONED.finditer(page.read_text(encoding="utf-8")):
            yield page.name, match[1] or match[2]


@pytest.mark.parametrize(("page", "text"), sorted(set(mentioned())))
def test_a_command_in_the_documentation_is_one_that_exists(page: str, text: str) -> None:
    words = shlex.split(re.sub(r"[\[\]…]", " ", text), comments=True)
    name, rest = PROGRAM, words[1:]
    while rest and f"{name} {rest[0].split('|')[0]}" in COMMANDS:
        name = f"{name} {rest.pop(0).split('|')[0]}"
    if name == PROGRAM:
        assert rest in (["COMMAND"], ["--help"]), f"{page}: no such command: {text}"
        return
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts} | {"--help"}
    given = {word.split("=")[0] for word in rest if word.startswith("--")}
    assert given <= options, f"{page}: {name} has no {', '.join(sorted(given - options))}"
