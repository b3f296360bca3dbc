"""The demo as a user starts it, and a Chromium to look at it with. Screenshots go to artifacts/, outside git."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from autoflex_pipeline_tests.browser.chromium import FLAGS, find_chromium

ARTIFACTS = Path(os.environ.get("TEST_ARTIFACTS", "artifacts"))
LOCATION = "autoflex_pipeline.definitions"

NOTHING_MOVES = """
addEventListener("DOMContentLoaded", () => {
  const style = document.createElement("style");
  style.textContent = "*, *::before, *::after { animation: none !important; transition: none !important }";
  document.head.append(style);
});
"""
"""Spinners are drawn sixty times a second, by the processors that the pipeline and the other tests need."""


@dataclass(frozen=True)
class Demo:
    """A running demo: its folder, its process and the addresses that it printed."""

    folder: Path
    process: subprocess.Popen[str]
    autoflex: str
    claire: str
    dagster: str

    def job(self, name: str) -> str:
        return f"{self.dagster}/locations/{LOCATION}/jobs/{name}"


def start_demo(folder: Path) -> Demo:
    """Start it as a command and read the addresses; fails when it ends before it has printed them."""
    process = subprocess.Popen(
        [sys.executable, "-m", "autoflex_pipeline", "demo", "--data", str(folder), "--quiet-dealers"],
        stdout=subprocess.PIPE,
        text=True,
        env={key: value for key, value in os.environ.items() if key not in ("DAGSTER_HOME", "AUTOFLEX_CONFIG")},
    )
    assert process.stdout is not None
    found: dict[str, str] = {}
    for text in process.stdout:
        if match := re.match(r"(Autoflex|Claire|Dagster)\s+(http://\S+)", text):
            found[match[1].lower()] = match[2]
        if len(found) == 3:
            return Demo(folder, process, **found)
    raise AssertionError(f"the demo ended with {process.wait()} before it printed its addresses; see {folder}/*.log")


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = start_demo(tmp_path_factory.mktemp("demo"))
    yield running
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(timeout=90) == 0
    if running.process.stdout is not None:
        running.process.stdout.close()
    for address in (running.autoflex, running.claire, running.dagster):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(address.rsplit(":", 1)[1]))) != 0, f"{address} still listens"
    left = subprocess.run(["pgrep", "-f", str(running.folder)], capture_output=True, text=True, check=False).stdout
    assert left == "", f"processes were left: {left}"


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """One Chromium for all tests: it keeps the Dagster UI's megabytes of script, as a person's does."""
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=find_chromium(),
            args=[flag for flag in FLAGS if flag != "--headless"],
            viewport={"width": 1500, "height": 1000},
        )
        context.set_default_timeout(120_000)
        context.add_init_script(NOTHING_MOVES)
        yield context
        context.close()


@pytest.fixture
def page(chromium: BrowserContext, demo: Demo, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page that remembers nothing of other tests; a screenshot of where it ended is kept under the test's name."""
    ARTIFACTS.mkdir(exist_ok=True)
    opened = chromium.new_page()
    remembered = {"origin": demo.dagster, "storageTypes": "local_storage,indexeddb"}
    chromium.new_cdp_session(opened).send("Storage.clearDataForOrigin", remembered)
    try:
        yield opened
    finally:
        opened.screenshot(path=ARTIFACTS / f"{request.node.name}.png")
        opened.close()
