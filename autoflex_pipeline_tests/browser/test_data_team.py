"""As the data team: from the Dagster UI alone, why a work order is not in Claire, and what to do about it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from autoflex_pipeline_tests.browser.conftest import Demo
from autoflex_pipeline_tests.browser.using import (
    DEALER,
    LOCATION_ID,
    fill_in,
    first_open_order,
    launch,
    runs_of,
    shot,
    until,
)

TWO_MINUTES = 120
OTHER_DEALER = "autobedrijf-de-vries"


def told(demo: Demo, *arguments: str) -> Any:
    """What a command says on the terminal, as JSON."""
    command = [sys.executable, "-m", "autoflex_pipeline", *arguments, "--json", "--config"]
    done = subprocess.run([*command, str(demo.folder / "autoflex.toml")], capture_output=True, check=True)
    return json.loads(done.stdout)


def status(demo: Demo) -> dict[str, Any]:
    """How it stands for each dealer."""
    found: dict[str, Any] = told(demo, "status")["dealers"]
    return found


@pytest.fixture(autouse=True)
def _after_the_first_tick(demo: Demo, page: Page) -> None:
    until(page, lambda: "SUCCESS" in runs_of(demo, page, "sync"))


def test_why_a_work_order_is_not_in_claire_is_found_from_the_ui_in_under_two_minutes(demo: Demo, page: Page) -> None:
    """The path is written in docs/data-team.md."""
    row = next(row for row in told(demo, "quarantine", "list") if row["entity"] == "appointment" and row["dms_number"])
    number = row["dms_number"]
    began = time.monotonic()
    page.goto(demo.dagster)
    page.get_by_role("link", name="Jobs").first.click()
    page.get_by_text("trace", exact=True).first.click()
    page.get_by_text("Launchpad", exact=True).first.click()
    config = f"ops:\n  find_work_order:\n    config:\n      dealer: {row['dealer_id']}\n      query: '{number}'\n"
    fill_in(page, config)
    shot(page, "trace-launchpad")
    launch(page)
    page.get_by_text("Show Markdown").first.click()
    expect(page.get_by_text("quarantined").first).to_be_visible()
    expect(page.get_by_text(row["rule"]).first).to_be_visible()
    expect(page.get_by_text(row["hint"]).first).to_be_visible()
    shot(page, "trace-report")
    assert time.monotonic() - began < TWO_MINUTES


def test_a_rejected_appointment_is_sent_again_from_the_launchpad(demo: Demo, page: Page) -> None:
    """Claire refuses one document; when it no longer would, the job resend sends it."""
    number, _ = first_open_order(demo, page)
    refuse = {"kind": "status_before", "status": 422, "endpoint": "import", "dms_nr": number}
    page.request.post(f"{demo.claire}/control/faults", data=refuse)
    page.request.patch(f"{demo.autoflex}/control/state/{DEALER}/order/{number}", data={"notes": "eerst geweigerd"})
    until(page, lambda: status(demo)[DEALER]["rejected"] == 1)
    page.request.delete(f"{demo.claire}/control/faults")
    page.goto(f"{demo.job('resend')}/playground")
    options = f"{{dealers: [{DEALER}], numbers: ['{number}'], force: true}}"
    fill_in(page, f"resources:\n  options:\n    config: {options}\n")
    shot(page, "resend-launchpad")
    launch(page)
    held = page.request.get(f"{demo.claire}/control/appointments/{LOCATION_ID}/{number}").json()
    assert held["dms_notes"] == "eerst geweigerd"
    assert status(demo)[DEALER]["rejected"] == 0
