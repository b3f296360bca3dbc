"""The figures for Prometheus are those of the stores, and nothing else is in them."""

from __future__ import annotations

import socket
import stat
import urllib.request
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from autoflex_pipeline.alerts.watching import watch
from autoflex_pipeline.cli import metrics
from autoflex_pipeline.telemetry.metrics import registry_of
from autoflex_pipeline.warehouse import Warehouse
from autoflex_pipeline_tests.commands import command
from autoflex_pipeline_tests.world import DEVRIES, JANSEN, World, load, relation


def figures(text: str) -> dict[tuple[str, ...], float]:
    """By name and the values of the labels."""
    return {
        (sample.name, *(value for value in sample.labels.values() if value)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_figures_are_those_of_the_dealers_and_hold_nothing_personal(world: World) -> None:
    load(world, orders=3, lines=2)
    world.autoflex.put(JANSEN, "relation", relation(3001, last_name=None))
    world.claire.set_fault("status_before", status=422, dms_nr="50002")
    world.tick()
    opened = world.installation
    watch(opened.settings, opened.state, clock=opened.clock)
    world.pass_time(seconds=90)
    done = command(world, "metrics")
    assert done.code == 0
    found = figures(done.out)
    expected = {
        ("autoflex_dealer_ok", JANSEN): 1,
        ("autoflex_lag_seconds", JANSEN): 90,
        ("autoflex_last_success_timestamp_seconds", JANSEN): world.now.timestamp() - 90,
        ("autoflex_appointments", JANSEN, "rejected"): 1,
        ("autoflex_appointments", JANSEN, "pending"): 0,
        ("autoflex_appointments", DEVRIES, "rejected"): 0,
        ("autoflex_quarantined_records", JANSEN): 1,
        ("autoflex_records", JANSEN, "appointment"): 3,
        ("autoflex_records", JANSEN, "intervention"): 6,
        ("autoflex_deliveries_total", JANSEN, "created"): 2,
        ("autoflex_deliveries_total", JANSEN, "rejected"): 1,
        ("autoflex_runs_total", JANSEN, "ok"): 1,
        ("autoflex_runs_total", JANSEN, "failed"): 0,
        ("autoflex_alert_open", JANSEN, "rejected", "warning"): 1,
        ("autoflex_alert_messages_unsent",): 0,
        ("autoflex_read_timestamp_seconds",): world.now.timestamp(),
    }
    assert {key: found.get(key) for key in expected} == expected
    assert found["autoflex_requests_total", JANSEN] == world.autoflex.requests(JANSEN)
    for value in ("Berg", "GH123J", "GH-123-J", "Klant wacht", "2026-50001", "50002"):
        assert value not in done.out


def test_a_run_that_fails_is_counted_as_such_with_the_time_it_took(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(world)
    world.autoflex.set_fault("status", dealer=JANSEN, endpoint="order_line", status=403)
    world.tick(dealers=(JANSEN,))
    found = figures(generate_latest(registry(world)).decode())
    assert found["autoflex_runs_total", JANSEN, "failed"] == 1
    assert found["autoflex_dealer_ok", JANSEN] == 0
    assert ("autoflex_runs_total", DEVRIES, "ok") not in found
    assert ("autoflex_lag_seconds", JANSEN) not in found, "it never succeeded"


def registry(world: World) -> Any:
    return registry_of(world.installation.settings, world.installation.state, lambda: world.now)


def test_while_the_warehouse_is_held_the_last_figures_are_told_with_their_age(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autoflex_pipeline.telemetry.metrics.WAIT_SECONDS", 0.05)
    monkeypatch.setattr("autoflex_pipeline.telemetry.metrics.READ_EVERY", 0)
    collected = registry(world)
    first = figures(generate_latest(collected).decode())
    read_at = world.now.timestamp()
    world.pass_time(minutes=5)
    with Warehouse(world.installation.settings.warehouse.path).alone():
        again = figures(generate_latest(collected).decode())
    assert again == first
    assert again["autoflex_read_timestamp_seconds",] == read_at
    assert figures(generate_latest(collected).decode())["autoflex_read_timestamp_seconds",] == read_at + 300


def test_the_text_file_is_replaced_as_a_whole_and_others_may_read_it(world: World) -> None:
    file = world.folder / "autoflex.prom"
    file.write_text("old")
    assert command(world, "metrics", "--textfile", str(file)).code == 0
    assert ("autoflex_dealer_ok", JANSEN) in figures(file.read_text("utf-8"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [other.name for other in world.folder.glob("*autoflex.prom*")] == ["autoflex.prom"], "nothing is left beside"
    done = command(world, "metrics", "--textfile", str(world.folder / "nowhere" / "autoflex.prom"))
    assert (done.code, done.out) == (2, "")
    assert "cannot be written (FileNotFoundError)" in done.err


def test_they_are_served_on_loopback_until_it_is_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[str] = []

    def ask() -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            served.append(answer.read().decode())

    port = free_port()
    monkeypatch.setattr(metrics, "wait_for_ctrl_c", ask)
    done = command(world, "metrics", "--listen", str(port))
    assert done.code == 0
    assert f"http://127.0.0.1:{port}/metrics" in done.err
    assert ("autoflex_dealer_ok", JANSEN) in figures(served[0])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("listen", ["nowhere", "127.0.0.1:", "127.0.0.1:99999", ":0", "http://127.0.0.1:9464"])
def test_an_address_that_is_none_is_one_clear_line(world: World, listen: str) -> None:
    done = command(world, "metrics", "--listen", listen)
    assert (done.code, done.out) == (2, "")
    assert "must be HOST:PORT or PORT" in done.err
