"""Two runs of one dealer, a backfill, publications, backups, looks and open sessions, all at once, in real processes.

Judged by what is in Claire and in DuckDB afterwards.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import duckdb
import pytest

from autoflex_pipeline.runs import steps
from autoflex_pipeline.runs.backup import backups, verify
from autoflex_pipeline.state.ledger import attempts_after
from autoflex_pipeline.state.locks import dealer_lock
from autoflex_pipeline_tests.faults.side_by_side import Job, side_by_side
from autoflex_pipeline_tests.unit.warehouse.sessions import session
from autoflex_pipeline_tests.world import DEVRIES, JANSEN, LOCATIONS, World, line, load, order, relation, vehicle

SEPTEMBER = {JANSEN: [(date(2026, 9, 1), date(2026, 9, 30))]}
PAST = range(40001, 40011)
LATENCY = timedelta(milliseconds=200)
"""With two requests under way at a time, 20 documents take two seconds: two runs that did not wait would meet."""


def effects(world: World) -> Counter[tuple[str, str]]:
    """How many effects each appointment of Jansen had, by result."""
    return Counter((effect["dms_nr"], effect["result"]) for effect in world.claire.effects(LOCATIONS[JANSEN]))


def outcomes(world: World) -> set[str]:
    return {entry["outcome"] for entry in world.claire.log() if entry["endpoint"] == "import"}


def sent_by_run(world: World) -> list[list[datetime]]:
    """By run when its requests to deliver for Jansen were sent, runs and requests in the order of time."""
    sent = defaultdict(list)
    with world.installation.state.begin() as store:
        for rows in attempts_after(store, 0, ["run_id", "attempted_at"]):
            for run_id, attempted_at in rows:
                sent[run_id].append(attempted_at)
    return sorted(sorted(moments) for moments in sent.values())


def slow_claire(world: World) -> None:
    """Every delivery takes long enough for two at once to meet."""
    world.configure(claire={"max_concurrency": 2, "deadline_seconds": 60})
    world.restart()
    world.claire.set_latency(LATENCY / timedelta(milliseconds=1))


def load_past(world: World) -> None:
    """Billed orders of September."""
    world.autoflex.load(
        JANSEN,
        {
            "order": [
                order(number, plan_date_from="20260903T083000", plan_date_to=None, order_date="20260901", is_invoiced=1)
                for number in PAST
            ],
            "order_line": [line(number * 100 + 1, number) for number in PAST],
            "vehicle": [vehicle()],
            "relation": [relation()],
        },
    )


def test_two_runs_of_one_dealer_at_once_deliver_each_document_once(world: World) -> None:
    slow_claire(world)
    load(world, orders=20)
    run = Job("run", options={"dealers": (JANSEN,)})
    for summaries in (given[0] for given in side_by_side(world.config, world.now, [run, run])):
        assert summaries[JANSEN]["ok"], summaries
    numbers = [str(number) for number in range(50001, 50021)]
    assert effects(world) == Counter(dict.fromkeys([(number, "created") for number in numbers], 1))
    assert world.imports() == 20, "the second run found all delivered, and sent nothing"
    for number in (50001, 50002, 50003):
        world.autoflex.change(JANSEN, "order", number, notes="gewijzigd")
    for summaries in (given[0] for given in side_by_side(world.config, world.now, [run, run])):
        assert summaries[JANSEN]["ok"], summaries
    updated = {number: count for (number, result), count in effects(world).items() if result == "updated"}
    assert updated == {"50001": 1, "50002": 1, "50003": 1}
    assert world.imports() == 23
    assert outcomes(world) <= {"created", "updated", "unchanged"}
    assert world.query("SELECT count(*), count(DISTINCT dms_number) FROM appointment") == [(20, 20)]


def test_two_runs_of_one_dealer_at_once_deliver_one_after_the_other(world: World) -> None:
    load(world, orders=20)
    world.tick()
    slow_claire(world)
    numbers = frozenset(str(number) for number in range(50001, 50021))
    again = Job("run", options={"dealers": (JANSEN,), "numbers": numbers, "force": True})
    for summaries in (given[0] for given in side_by_side(world.config, world.now, [again, again])):
        assert summaries[JANSEN]["ok"], summaries
    _, earlier, later = sent_by_run(world)
    assert (len(earlier), len(later)) == (20, 20)
    assert later[0] >= earlier[-1] + LATENCY, "the second began when the first had its last answer"


def test_a_run_that_waits_in_vain_for_another_says_busy_sends_nothing_and_fails(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(world, orders=3)
    load(world, DEVRIES, orders=2)
    monkeypatch.setattr(steps, "deliver_dealer", partial(steps.deliver_dealer, wait_seconds=0.1))
    with dealer_lock(world.installation.settings.warehouse.state_path, JANSEN):
        summaries = world.tick()
    assert not summaries[JANSEN]["ok"]
    assert f"dealer '{JANSEN}': another run has been delivering for more than 0.1 s" in summaries[JANSEN]["error"]
    assert summaries[DEVRIES]["ok"]
    assert world.claire.appointments(LOCATIONS[JANSEN]) == []
    assert {entry["location_id"] for entry in world.claire.log()} == {LOCATIONS[DEVRIES]}
    assert world.tick()[JANSEN]["ok"]
    assert len(world.claire.appointments(LOCATIONS[JANSEN])) == 3


def test_a_run_beside_a_backfill_publications_backups_looks_and_open_sessions(world: World) -> None:
    load(world, orders=10)
    load(world, DEVRIES, orders=2)
    world.tick(publish=True)
    link = world.folder / "data" / "analytics.duckdb"
    load_past(world)
    for number in range(50001, 50011):
        world.autoflex.change(JANSEN, "order", number, notes="gewijzigd")
    world.autoflex.put(JANSEN, "order", order(50011))
    with session(link, read_only=True) as analyst:
        before = analyst.query("SELECT count(*) FROM appointment")
        given = side_by_side(
            world.config,
            world.now,
            [
                Job("run", options={"reread": True}),
                Job("run", times=2),
                Job("run", months=SEPTEMBER, options={"dealers": (JANSEN,), "deliver_history": True}),
                Job("publish", times=4),
                Job("back up", times=2),
                Job("look", times=8),
            ],
        )
        # Publications have followed, as in hours of a day: the session still sees the moment at which it opened.
        assert analyst.query("SELECT count(*) FROM appointment") == before == [[12]]
    one, other, backfill, published, made, looks = given
    assert all(summary["ok"] for summaries in (*one, *other, *backfill) for summary in summaries.values()), given
    assert [copy["twice"] for copy in published] == [0] * 4
    assert [copy["appointments"] for copy in published] == sorted(copy["appointments"] for copy in published)
    assert [len(reasons) for reasons in looks] == [len(LOCATIONS)] * 8, "each look has an answer for each dealer"
    assert all(reason for reasons in looks for reason in reasons)
    for backup in backups(world.installation.settings):
        verify(backup)
    assert sorted(made) == sorted(backup.name for backup in backups(world.installation.settings))
    judge(world, [str(number) for number in (*PAST, *range(50001, 50012))])


def judge(world: World, numbers: list[str]) -> None:
    """Every appointment is in Claire once, in its newest version; another run has nothing to send."""
    assert {number for number, result in effects(world) if result == "created"} == set(numbers)
    assert max(effects(world).values()) == 1
    assert outcomes(world) <= {"created", "updated", "unchanged"}
    held: dict[str, Any] = {number: world.held(number) for number in numbers}
    assert {held[str(number)]["dms_notes"] for number in range(50001, 50011)} == {"gewijzigd"}
    assert all(held[str(number)]["billed"] for number in PAST)
    sent = world.imports()
    assert all(summary["ok"] for summary in world.tick(publish=True).values())
    assert world.imports() == sent
    link = world.folder / "data" / "analytics.duckdb"
    with duckdb.connect(str(link), read_only=True) as analysts:
        assert analysts.execute(
            "SELECT count(*) FROM appointment WHERE dealer_id = ?", [JANSEN]
        ).fetchall() == world.query(f"SELECT count(*) FROM appointment WHERE dealer_id = '{JANSEN}'")
