"""How it stands for each dealer: on the terminal, live, and in the Dagster UI."""

from __future__ import annotations

import json

import pytest

from autoflex_pipeline.cli import status as status_command
from autoflex_pipeline_tests.commands import command
from autoflex_pipeline_tests.launchpad import launch, reported
from autoflex_pipeline_tests.world import DEVRIES, JANSEN, World, load, variable


def troubled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jansen has one record in quarantine, De Vries a wrong password."""
    load(world, JANSEN, orders=2)
    world.autoflex.change(JANSEN, "order", 50002, plan_date_from="morgen")
    monkeypatch.setenv(variable(DEVRIES, "PASSWORD"), "verkeerd")
    world.tick()
    world.pass_time(minutes=3)


def cells(out: str, dealer_id: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines() if line.strip().startswith(dealer_id)]


def test_the_table_tells_state_lag_counts_next_try_and_what_is_wrong(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    troubled(world, monkeypatch)
    done = command(world, "status", "--rules")
    assert done.code == 0
    assert cells(done.out, JANSEN) == [
        [JANSEN, "ok", "3", "min", "ago", "0", "0", "0", "0", "0", "1"],
        [JANSEN, "appointment_date_unreadable", "1"],
    ]
    (held,) = cells(done.out, DEVRIES)
    assert held[:5] == [DEVRIES, "on", "hold", "never", "0"]
    assert "10:05" in held, "09:00 UTC is 10:00 at the dealer, and the first hold lasts five minutes"
    assert "on hold (login):" in " ".join(held)
    assert "verkeerd" not in done.out


def test_the_json_keeps_its_names_and_adds_to_them(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    troubled(world, monkeypatch)
    dealers = json.loads(command(world, "status", "--json").out)["dealers"]
    fixed = {"last_success_at", "pending", "waiting", "held", "rejected", "failed", "quarantined"}
    assert fixed <= dealers[JANSEN].keys()
    assert dealers[JANSEN]["quarantined_by_rule"] == {"appointment_date_unreadable": 1}
    assert (dealers[JANSEN]["state"], dealers[DEVRIES]["state"]) == ("ok", "on_hold")
    assert dealers[DEVRIES]["next_try_at"] is not None
    assert command(world, "status", "--json", "--watch").code == 2


def test_watching_shows_what_changes_and_ends_cleanly_with_ctrl_c(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(world, JANSEN, orders=2)
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            raise KeyboardInterrupt
        world.tick(dealers=(JANSEN,))

    monkeypatch.setattr(status_command, "wait", wait)
    done = command(world, "status", "--watch", "--interval", "2")
    assert (done.code, done.err) == (0, "")
    assert waited == [2.0, 2.0]
    assert [row[1] for row in cells(done.out, JANSEN)] == ["never", "ok"]


def test_the_job_and_every_sync_leave_the_status_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    troubled(world, monkeypatch)
    result = launch(world, "status", "{}")
    assert result.success
    report = reported(result, "status_report")
    assert report["status"].splitlines()[2].startswith(f"| {DEVRIES} | on hold | never |"), "trouble stands first"
    assert (report["quarantined"], report["dealers_on_hold"], report["dealers_ok"]) == (1, 1, 1)
    synced = launch(world, "sync", f"resources: {{options: {{config: {{dealers: [{JANSEN}]}}}}}}")
    assert f"| {JANSEN} | ok | 0 s ago |" in reported(synced, "status_report")["status"]
