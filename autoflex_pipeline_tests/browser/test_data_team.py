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
    PATIENCE_SECONDS,
    fill_in,
    first_open_order,
    launch,
    runs_of,
    schedule_off,
    shot,
    until,
)

TWO_MINUTES = 120
OTHER_DEALER, OTHER_LOCATION_ID = "autobedrijf-de-vries", "102"


def told(demo: Demo, *arguments: str) -> Any:
    """What a command says on the terminal, as JSON."""
    command = [sys.executable, "-m", "autoflex_pipeline", *arguments, "--json", "--config"]
    done = subprocess.run([*command, str(demo.folder / "autoflex.toml")], capture_output=True, check=True)
    return json.loads(done.stdout)


def status(demo: Demo) -> dict[str, Any]:
    """How it stands for each dealer."""
    found: dict[str, Any] = told(demo, "status")["dealers"]
    return found


def notes(demo: Demo, page: Page, location: str, number: str) -> str | None:
    """The notes of an appointment as Claire holds them."""
    held = page.request.get(f"{demo.claire}/control/appointments/{location}/{number}").json()
    found: str | None = held["dms_notes"]
    return found


def open_newest(demo: Demo, page: Page, asset: str) -> None:
    """The asset's newest materialization, with all that it tells."""
    page.goto(f"{demo.dagster}/assets/{asset}?view=events")
    expect(page.get_by_text("Metadata").first).to_be_visible()


@pytest.fixture(autouse=True)
def _after_the_first_tick(demo: Demo, page: Page) -> None:
    until(page, "a sync succeeded", lambda: "SUCCESS" in runs_of(demo, page, "sync"))


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
    launch(demo, page)
    page.get_by_text("Show Markdown").first.click()
    expect(page.get_by_text("quarantined").first).to_be_visible()
    expect(page.get_by_text(row["rule"]).first).to_be_visible()
    expect(page.get_by_text(row["hint"]).first).to_be_visible()
    shot(page, "trace-report")
    assert time.monotonic() - began < TWO_MINUTES


def test_a_rejected_appointment_is_sent_again_from_the_launchpad(demo: Demo, page: Page) -> None:
    """Claire refuses one document; when it no longer would, the job resend sends it."""
    number, _ = first_open_order(demo, page)
    faults = f"{demo.claire}/control/faults"
    refuse = {"kind": "status_before", "status": 422, "endpoint": "import", "dms_nr": number}
    page.request.post(faults, data=refuse)
    page.request.patch(f"{demo.autoflex}/control/state/{DEALER}/order/{number}", data={"notes": "eerst geweigerd"})
    until(page, "the fault was met", lambda: page.request.get(faults).json()[0]["hits"] > 0, 2 * PATIENCE_SECONDS)
    until(page, "status said one rejected", lambda: status(demo)[DEALER]["rejected"] == 1)
    page.request.delete(faults)
    page.goto(f"{demo.job('resend')}/playground")
    options = f"{{dealers: [{DEALER}], numbers: ['{number}'], force: true}}"
    fill_in(page, f"resources:\n  options:\n    config: {options}\n")
    shot(page, "resend-launchpad")
    launch(demo, page)
    assert notes(demo, page, LOCATION_ID, number) == "eerst geweigerd"
    assert status(demo)[DEALER]["rejected"] == 0


def test_a_preview_shows_each_field_and_sends_nothing_and_a_sync_of_one_dealer_then_sends_it(
    demo: Demo, page: Page
) -> None:
    """Two dealers have changed; the runs are narrowed to one of them."""
    number, _ = first_open_order(demo, page)
    elsewhere = page.request.get(f"{demo.claire}/control/appointments/{OTHER_LOCATION_ID}").json()[0]["dms_nr"]
    with schedule_off(demo, page):
        for dealer, changed in ((DEALER, number), (OTHER_DEALER, elsewhere)):
            row = f"{demo.autoflex}/control/state/{dealer}/order/{changed}"
            assert page.request.patch(row, data={"notes": "eerst bekeken", "milometer": 299_999}).ok
        imports = page.request.get(f"{demo.claire}/control/counts").json()["imports"]
        page.goto(f"{demo.job('preview')}/playground")
        fill_in(page, f"resources:\n  options:\n    config: {{dealers: [{DEALER}], dry_run: true, reread: true}}\n")
        launch(demo, page)
        open_newest(demo, page, "preview_report")
        expect(page.get_by_text("dms_notes").first).to_be_visible()
        expect(page.get_by_text("299999").first).to_be_visible()  # notes are hidden in the event log, mileages are not
        shot(page, "preview-report")
        assert page.request.get(f"{demo.claire}/control/counts").json()["imports"] == imports
        page.goto(f"{demo.job('sync')}/playground")
        fill_in(page, f"resources:\n  options:\n    config: {{dealers: [{DEALER}]}}\n")
        launch(demo, page)
        assert notes(demo, page, LOCATION_ID, number) == "eerst bekeken"
        assert notes(demo, page, OTHER_LOCATION_ID, elsewhere) != "eerst bekeken"


def test_quarantine_is_validated_again_from_the_launchpad(demo: Demo, page: Page) -> None:
    """What is still bad stays, and the report names rule and what to do."""
    row = next(row for row in told(demo, "quarantine", "list") if row["dms_number"])
    page.goto(f"{demo.job('quarantine_retry')}/playground")
    fill_in(page, f"ops:\n  validate_again:\n    config: {{dealer: {row['dealer_id']}}}\n")
    launch(demo, page)
    open_newest(demo, page, "quarantine_retry_report")
    expect(page.get_by_text("still rejected").first).to_be_visible()
    expect(page.get_by_text(row["rule"]).first).to_be_visible()
    shot(page, "quarantine-retry")
    assert row["rule"] in [each["rule"] for each in told(demo, "quarantine", "list")]


def test_the_pages_that_the_documentation_shows_are_there(demo: Demo, page: Page) -> None:
    page.goto(f"{demo.claire}/?location={LOCATION_ID}")
    expect(page.locator("a[href*='/appointments/']").first).to_be_visible()
    shot(page, "claire-day")
    open_newest(demo, page, "quarantine")
    expect(page.get_by_text("what_to_do").first).to_be_visible()
    shot(page, "quarantine")
    page.goto(f"{demo.dagster}/automation")
    expect(page.get_by_text("Every minute").first).to_be_visible()
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(5)  # the switches come after the names
    shot(page, "schedules")
    page.goto(f"{demo.dagster}/asset-groups")
    expect(page.get_by_text("analysts").last).to_be_visible()
    shot(page, "assets")
