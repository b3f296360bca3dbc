"""What people do in the Dagster UI, and how long tests wait for it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from playwright.sync_api import Page, expect

from autoflex_pipeline_tests.browser.conftest import ARTIFACTS, Demo
from autoflex_pipeline_tests.browser.screenshots import SCREENSHOTS

PATIENCE_SECONDS = 120
RUN_MS = 180_000
DEALER, LOCATION_ID = "garage-jansen", "101"


def first_open_order(demo: Demo, page: Page) -> tuple[str, str]:
    """Number and WO number of a clean open order that Claire has."""
    for row in page.request.get(f"{demo.claire}/control/appointments/{LOCATION_ID}").json():
        if not row["canceled"] and not row["billed"]:
            return row["dms_nr"], row["wo_nr"]
    raise AssertionError("Claire has no open appointment")


def runs_of(demo: Demo, page: Page, job: str) -> list[str]:
    """The states of the job's runs, as Dagster's own API tells them."""
    query = "query($job: String!) { runsOrError(filter: {pipelineName: $job}) { ... on Runs { results { status } } } }"
    answer = page.request.post(f"{demo.dagster}/graphql", data={"query": query, "variables": {"job": job}}).json()
    return [run["status"] for run in answer["data"]["runsOrError"]["results"]]


def fill_in(page: Page, config: str) -> None:
    """Put the configuration into the Launchpad's editor."""
    page.wait_for_selector(".CodeMirror")
    page.evaluate("text => document.querySelector('.CodeMirror').CodeMirror.setValue(text)", config)
    expect(page.get_by_text("No errors")).to_be_visible()


def launch(page: Page) -> None:
    """Launch what is in the Launchpad, and wait until it has succeeded."""
    page.get_by_role("button", name="Launch Run").click()
    page.wait_for_url(re.compile("/runs/"))
    expect(page.get_by_text("Success", exact=True).first).to_be_visible(timeout=RUN_MS)


def shot(page: Page, name: str) -> None:
    """Keep what the page shows, for the documentation."""
    file = f"{name}.png"
    assert file in SCREENSHOTS, f"say in browser/screenshots.py what {file} shows"
    page.screenshot(path=ARTIFACTS / file)


def until(page: Page, holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Ask again each second until it holds, at most so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return
        page.wait_for_timeout(1000)
    raise AssertionError(f"it did not happen within {seconds:g} s")
