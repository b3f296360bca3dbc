"""As a user: change an order on Autoflex's page and see it change on Claire's; work in the Dagster UI."""

from __future__ import annotations

import socket
import time

import pytest
from playwright.sync_api import Page, expect

from autoflex_pipeline_tests.browser.conftest import Demo
from autoflex_pipeline_tests.browser.using import (
    DEALER,
    LOCATION_ID,
    choose,
    first_open_order,
    launch,
    runs_of,
    shot,
    until,
)

TRAVEL_SECONDS = 90
"""From saving an order on Autoflex's page to Claire's page showing it, the schedule's minute included."""


def test_an_order_edited_in_autoflex_stands_changed_in_claires_page(demo: Demo, page: Page) -> None:
    every = f"{demo.claire}/control/appointments/{LOCATION_ID}"
    until(page, "Claire had appointments", lambda: bool(page.request.get(every).json()))
    number, wo_number = first_open_order(demo, page)
    noted = "Graag de ruitenwissers nakijken"
    page.goto(f"{demo.autoflex}/dealers/{DEALER}/orders/{number}")
    page.locator(f"[name='order.{number}.notes']").fill(noted)
    page.locator("button[value='save']").first.click()
    expect(page.locator("#saved")).to_be_visible()
    saved_at = time.monotonic()
    held = f"{demo.claire}/control/appointments/{LOCATION_ID}/{number}"
    until(page, "Claire had the note", lambda: page.request.get(held).json()["dms_notes"] == noted, TRAVEL_SECONDS)
    page.goto(f"{demo.claire}/?location={LOCATION_ID}&q={wo_number}")
    page.locator("a[href*='/appointments/']").first.click()
    expect(page.get_by_text(noted).first).to_be_visible()
    assert time.monotonic() - saved_at <= TRAVEL_SECONDS
    expect(page.locator("#interventions")).to_be_visible()


@pytest.mark.parametrize("part", ["autoflex", "claire", "dagster"])
def test_only_this_machine_can_connect(demo: Demo, part: str) -> None:
    """None of them has a login."""
    port = int(getattr(demo, part).rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=60):
        pass
    with socket.socket() as probe:
        probe.bind(("127.0.0.2", port))  # were it bound to every address, this one would be taken
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=60)


def test_the_sync_is_started_from_the_dagster_ui_without_a_partition_and_succeeds(demo: Demo, page: Page) -> None:
    page.goto(f"{demo.job('sync')}/playground")
    expect(page.get_by_text("allow_mass_change")).to_be_visible()
    launch(demo, page)


def test_three_months_of_one_dealer_are_backfilled_in_one_run_from_the_jobs_page(demo: Demo, page: Page) -> None:
    # Before the first tick Dagster asks whether one is sure, because open_orders was never materialized.
    until(page, "a sync succeeded", lambda: "SUCCESS" in runs_of(demo, page, "sync"))
    page.goto(demo.job("backfill"))
    expect(page.get_by_text("Stages every work order of the chosen dealers")).to_be_visible()
    page.get_by_role("button", name="Materialize all").click()
    choose(page, "Select a partition or create one", DEALER)
    page.keyboard.press("Escape")
    months = page.get_by_placeholder("ex: ")
    months.fill("[2026-09...2026-11]")
    months.press("Enter")
    shot(page, "backfill-grid")
    page.get_by_role("button", name="Launch backfill").click()
    expect(page.get_by_text("Launch runs to materialize")).to_be_hidden()
    page.goto("about:blank")
    until(page, "a backfill succeeded", lambda: "SUCCESS" in runs_of(demo, page, "backfill"))
    page.goto(f"{demo.dagster}/runs")
    expect(page.get_by_text("3 partitions").first).to_be_visible()
    assert runs_of(demo, page, "backfill") == ["SUCCESS"]
    page.goto(f"{demo.dagster}/assets/orders_by_month?view=checks")
    for month in ("2026-09", "2026-10", "2026-11"):
        expect(page.get_by_text(month, exact=True).first).to_be_visible()
    page.goto(f"{demo.dagster}/assets/appointment?view=events")
    expect(page.get_by_text("accepted").first).to_be_visible()


def test_an_asset_shows_its_columns_and_checks(demo: Demo, page: Page) -> None:
    until(page, "a sync succeeded", lambda: "SUCCESS" in runs_of(demo, page, "sync"))
    page.goto(f"{demo.dagster}/assets/appointment")
    expect(page.get_by_text("The work order number that people use").first).to_be_visible()
    page.goto(f"{demo.dagster}/assets/claire_deliveries?view=checks")
    expect(page.get_by_text("dealer_garage_jansen").first).to_be_visible()
    shot(page, "checks")
