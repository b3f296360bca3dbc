"""What people do in the Dagster UI, and how long tests wait for it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page, TimeoutError, expect

from autoflex_pipeline_tests.browser.conftest import ARTIFACTS, LOCATION, Demo
from autoflex_pipeline_tests.browser.screenshots import SCREENSHOTS

PATIENCE_SECONDS = 120
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
DEALER, LOCATION_ID = "garage-jansen", "101"


def first_open_order(demo: Demo, page: Page) -> tuple[str, str]:
    """Number and WO number of a clean open order that Claire has."""
    for row in page.request.get(f"{demo.claire}/control/appointments/{LOCATION_ID}").json():
        if not row["canceled"] and not row["billed"]:
            return row["dms_nr"], row["wo_nr"]
    raise AssertionError("Claire has no open appointment")


def ask(demo: Demo, page: Page, query: str, **variables: Any) -> dict[str, Any]:
    """Dagster's own API."""
    answer = page.request.post(f"{demo.dagster}/graphql", data={"query": query, "variables": variables}).json()
    assert "errors" not in answer, answer
    found: dict[str, Any] = answer["data"]
    return found


def runs_of(demo: Demo, page: Page, job: str) -> list[str]:
    """The states of the job's runs."""
    query = "query($job: String!) { runsOrError(filter: {pipelineName: $job}) { ... on Runs { results { status } } } }"
    return [run["status"] for run in ask(demo, page, query, job=job)["runsOrError"]["results"]]


@contextmanager
def schedule_off(demo: Demo, page: Page, name: str = "every_minute") -> Iterator[None]:
    """The schedule does not start anything for the time of the block, and nothing that it started is going on."""
    schedule = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__", "scheduleName": name}
    find = (
        "query($it: ScheduleSelector!) "
        "{ scheduleOrError(scheduleSelector: $it) { ... on Schedule { scheduleState { id } } } }"
    )
    state_id = ask(demo, page, find, it=schedule)["scheduleOrError"]["scheduleState"]["id"]
    stop = "mutation($id: String!) { stopRunningSchedule(id: $id) { __typename } }"
    start = "mutation($it: ScheduleSelector!) { startSchedule(scheduleSelector: $it) { __typename } }"
    ticks = (
        "query($it: ScheduleSelector!) { scheduleOrError(scheduleSelector: $it) "
        "{ ... on Schedule { scheduleState { ticks(limit: 1) { status } } } } }"
    )
    under_way = {"QUEUED", "NOT_STARTED", "STARTING", "STARTED"}

    def is_looking() -> bool:
        """Whether a look is going on: it may still ask for a run."""
        found = ask(demo, page, ticks, it=schedule)["scheduleOrError"]["scheduleState"]["ticks"]
        return any(tick["status"] == "STARTED" for tick in found)

    def is_quiet() -> bool:
        return not is_looking() and not under_way & set(runs_of(demo, page, "sync"))

    assert ask(demo, page, stop, id=state_id)["stopRunningSchedule"]["__typename"] == "ScheduleStateResult"
    try:
        until(page, f"nothing of {name} was going on", is_quiet)
        yield
    finally:
        assert ask(demo, page, start, it=schedule)["startSchedule"]["__typename"] == "ScheduleStateResult"


def fill_in(page: Page, config: str) -> None:
    """Put the configuration into the Launchpad's editor."""
    page.wait_for_selector(".CodeMirror")
    page.evaluate("text => document.querySelector('.CodeMirror').CodeMirror.setValue(text)", config)
    expect(page.get_by_text("No errors")).to_be_visible()


def choose(page: Page, opener: str, option: str) -> None:
    """Choose an option of a list; a page that is still being drawn closes the list, and it is opened again."""

    def is_chosen() -> bool:
        page.get_by_text(opener).last.click()
        try:
            page.get_by_text(option).first.click(timeout=2000)
        except TimeoutError:
            return False
        return True

    until(page, f"{option} could be chosen from {opener}", is_chosen)


def launch(demo: Demo, page: Page) -> None:
    """Launch what is in the Launchpad, and wait until it has succeeded."""
    page.get_by_role("button", name="Launch Run").click()
    page.wait_for_url(re.compile("/runs/"))
    run = page.url
    page.goto("about:blank")  # the page of a run that goes on is drawn all the time, which takes half a processor
    query = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
    run_id = run.rpartition("/")[2]
    until(page, f"run {run_id} ended", lambda: ask(demo, page, query, id=run_id)["runOrError"]["status"] in ENDED)
    page.goto(run)
    expect(page.get_by_text("Success", exact=True).first).to_be_visible()


def shot(page: Page, name: str) -> None:
    """Keep what the page shows, for the documentation."""
    file = f"{name}.png"
    assert file in SCREENSHOTS, f"say in browser/screenshots.py what {file} shows"
    page.screenshot(path=ARTIFACTS / file)


def until(page: Page, what: str, holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Ask again each second until it holds, at most so many seconds; ``what`` says in words what should become true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return
        page.wait_for_timeout(1000)
    raise AssertionError(f"waited {seconds:g} s in vain until {what}")
