"""A run that dies or whose disk fails at any durable step: the next one leaves Claire exact, with one effect a change.

How many steps are tried is said by CRASH: ``few`` (the usual run: each way in one scenario), ``scenarios`` (each way in
each of them), ``names`` (each named step once in each way that it has), ``all`` (each step of each scenario). A kill is
tried at any step, a failing disk at those ``BEFORE_A_WRITE``.
"""

from __future__ import annotations

import itertools
import os
import random
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

from autoflex_pipeline_tests.faults import full_disk
from autoflex_pipeline_tests.faults.crashing import BEFORE_A_WRITE, Crash, Ended, Kind, Run, random_crash, run_to_crash
from autoflex_pipeline_tests.faults.durable_steps import STEPS, is_elsewhere, places_in_code
from autoflex_pipeline_tests.faults.scenarios import SCENARIOS, Scenario, begin, effects_of, no_trouble, wrongs
from autoflex_pipeline_tests.faults.system_calls import can_watch
from autoflex_pipeline_tests.world import World

HOW_MANY = os.environ.get("CRASH", "few")
KINDS: tuple[Kind, ...] = ("kill", "full disk", "I/O error")
RANDOM_KILLS = {"few": 2, "scenarios": 10, "names": 20, "all": 100}[HOW_MANY]
WHOLE_COMMANDS = {"few": 1, "scenarios": 2, "names": 4, "all": 12}[HOW_MANY]
DRAWS = 4
"""So many moments are drawn at most for one crash: not every round of a scenario comes by every step."""
MOST = 0.9
"""The share of the steps of a scenario's first round that a later one must at least come by."""
ROUNDS_OF_A_WORLD = 50
"""Then all begins anew: the more there is, the longer a round takes."""
DELIVERED_AND_PUBLISHED = {"claire.sending.Sender._write: committed", "warehouse.publishing._seal: written through"}
NEVER, NEVER_BUT_WATCHED = Crash(), Crash(at_call=0)
Pair = tuple[str, Kind]
"""A step, and the way to crash there."""

SEED = int(os.environ.get("CRASH_SEED", "20261127"))


@pytest.fixture
def crashing(world: World) -> Iterator[World]:
    """A world whose data lie on a small disk of their own, where this user may mount one."""
    with full_disk.small_disk(world.folder / "data"):
        begin(world)
        yield world
        world.installation.close()


def crash_and_recover(world: World, scenario: Scenario, number: int, crash: Crash) -> Ended:
    """A run that crashes, and one to the end: nothing is lost, and nothing happens twice."""
    owed = scenario.arrange(world, number)
    before = effects_of(world)
    ended = run_to_crash(world.config, world.now, scenario.run, crash)
    full_disk.make_room(world.folder / "data")
    if scenario.mend is not None:
        scenario.mend(world)
    world.restart()
    what = f"{scenario.name}, round {number}: {crash.kind} at step {crash.at} ({ended.crashed_at}); {ended.error}"
    again = scenario.run if scenario.run.months else Run({"reread": True})
    summary = again.go(world.installation)
    assert all(part["ok"] for part in summary.values()), (what, summary)
    assert wrongs(world) == [], what
    assert effects_of(world) - before == owed, what
    return ended


def crash_at_last(world: World, scenario: Scenario, rounds: Iterator[int], drawn: Iterable[Crash]) -> Ended:
    """One of the crashes drawn, the first that comes about: a round may be shorter than the one before."""
    for crash, number in zip(drawn, rounds, strict=False):
        ended = crash_and_recover(world, scenario, number, crash)
        where = f"step {len(ended.steps)}, {ended.crashed_at}" if ended.crashed_at else "no step: the run was shorter"
        print(f"{scenario.name}: {crash.kind} at {where}", flush=True)
        if ended.crashed_at:
            return ended
    raise AssertionError(f"{scenario.name}: none of the crashes came about")


def unclear(ended: Ended) -> list[str]:
    """What was said of a failing disk that is not one line meant for a person."""
    if ended.error is None:
        return []
    is_told, text = ended.error
    return [] if is_told and "\n" not in text else [f"{ended.crashed_at}: {text}"]


def whole_run(world: World, scenario: Scenario, number: int) -> list[str]:
    """The steps of a run that nothing befalls."""
    if scenario.leaves_work:
        return crash_and_recover(world, scenario, number, Crash()).steps
    return unharmed(world, scenario, number).steps


def unharmed(world: World, scenario: Scenario, number: int, crash: Crash = NEVER) -> Ended:
    """A run that nothing befalls; with a ``crash`` that never comes, its calls to the disk are counted too."""
    scenario.arrange(world, number)
    ended = run_to_crash(world.config, world.now, scenario.run, crash)
    assert (ended.code, ended.error, ended.is_done) == (0, None, True)
    return ended


def crashes_in(steps: list[str]) -> list[tuple[str, Crash]]:
    """The crashes that a run can meet which goes by these steps, each with its step."""
    found = []
    for kind in KINDS:
        counted = steps if kind == "kill" else [step for step in steps if step.rpartition(": ")[2] in BEFORE_A_WRITE]
        found += [(step, Crash(at, kind)) for at, step in enumerate(counted, start=1)]
    return [(step, crash) for step, crash in found if not (crash.needs_judge and can_watch())]


def try_each_name(
    world: World, scenario: Scenario, steps: list[str], tried: set[Pair], rounds: Iterator[int]
) -> list[str]:
    """A crash in each way at each of the steps with which that was not tried yet; adds those tried to ``tried``.

    Gives what was not told clearly. Not every round of a scenario comes by every step: what heals in one goes bad in
    the next.
    """
    found: list[str] = []
    pairs = dict.fromkeys((step, crash.kind) for step, crash in crashes_in(steps))
    for place, (step, kind) in enumerate([pair for pair in pairs if pair not in tried]):
        if place % ROUNDS_OF_A_WORLD == 0:
            begin(world)
            whole_run(world, scenario, next(rounds))
        for number in itertools.islice(rounds, 2):
            ended = crash_and_recover(world, scenario, number, Crash(kind=kind, at_step=step))
            found += unclear(ended)
            if ended.crashed_at == step:
                tried.add((step, kind))
                print(f"{scenario.name}: {kind} at {step}", flush=True)
                break
    return found


@pytest.mark.timeout(24 * 3600)
@pytest.mark.skipif(HOW_MANY != "all", reason="make crash tries all")
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_crash_at_any_durable_step_loses_nothing_and_does_nothing_twice(crashing: World, name: str) -> None:
    scenario = SCENARIOS[name]
    steps = whole_run(crashing, scenario, 1)
    tried: Counter[Kind] = Counter()
    wanted = Counter(crash.kind for _, crash in crashes_in(steps))
    for at, (_, crash) in enumerate(crashes_in(steps)):
        number = at % ROUNDS_OF_A_WORLD + 2
        if at and number == 2:
            begin(crashing)
            whole_run(crashing, scenario, 1)
        ended = crash_and_recover(crashing, scenario, number, crash)
        assert unclear(ended) == []
        assert ended.crashed_at or len(ended.steps) < crash.at, f"{crash} did not come about"
        tried[crash.kind] += bool(ended.crashed_at)
        print(f"{name}: {crash.kind} at {ended.crashed_at or 'no step: the run was shorter'}", flush=True)
    print(f"TRIED {name}: {len(steps)} steps, {len(set(steps))} names: {dict(tried)} of {dict(wanted)}", flush=True)
    assert all(tried[kind] >= MOST * wanted[kind] for kind in wanted), "too many rounds were shorter than the first"


@pytest.mark.timeout(6 * 3600)
def test_the_scenarios_come_by_every_named_step_and_bear_a_crash(crashing: World) -> None:
    met: set[str] = set()
    wanted: set[Pair] = set()
    tried: set[Pair] = set()
    not_told: list[str] = []
    chance, rounds = random.Random(SEED), itertools.count(1)
    names = sorted(SCENARIOS, key=lambda name: name == "the first run")  # it ends what the others build on
    ways: dict[str, tuple[Kind, ...]] = dict.fromkeys(names, KINDS)
    if HOW_MANY == "few":
        ways = {name: (kind,) for name, kind in zip(chance.sample(names, len(KINDS)), KINDS, strict=True)}
    for name in names:
        scenario = SCENARIOS[name]
        steps = whole_run(crashing, scenario, next(rounds))
        met |= {step.partition(": ")[0] for step in steps}
        crashes = crashes_in(steps)
        if HOW_MANY in ("few", "scenarios"):
            for kind in ways.get(name, ()):
                of_kind = sorted({step for step, crash in crashes if crash.kind == kind})
                if of_kind:
                    # Of the names, not of the steps: most of a run's steps are locks that are made.
                    drawn = (Crash(kind=kind, at_step=chance.choice(of_kind)) for _ in range(DRAWS))
                    ended = crash_at_last(crashing, scenario, rounds, drawn)
                    not_told += unclear(ended)
                else:
                    print(f"{name}: NOT TRIED: it has no step for a {kind}", flush=True)
        else:
            wanted |= {(step, crash.kind) for step, crash in crashes}
            not_told += try_each_name(crashing, scenario, steps, tried, rounds)
    if wanted:
        print(f"TRIED {len(tried)} of {len(wanted)} pairs of a step and a way: {Counter(kind for _, kind in tried)}")
    assert STEPS.keys() - met == set()
    assert met - STEPS.keys() == set()
    assert wanted - tried == set()
    assert not_told == []


@pytest.mark.timeout(6 * 3600)
@pytest.mark.skipif(can_watch() is not None, reason=f"NOT RUN: {can_watch()}")
def test_a_kill_at_a_random_moment_loses_nothing_and_does_nothing_twice(crashing: World) -> None:
    scenario, chance = SCENARIOS["a busy tick"], random.Random(SEED)
    seconds, calls, drawn = 0.0, 0, 0
    killed: Counter[str] = Counter()
    while killed.total() < RANDOM_KILLS:
        if drawn % ROUNDS_OF_A_WORLD == 0:
            begin(crashing)
            unharmed(crashing, scenario, 1)  # the first process of all takes long to begin
            seconds = unharmed(crashing, scenario, 2).seconds
            calls = len(unharmed(crashing, scenario, 3, NEVER_BUT_WATCHED).calls)
        crash = random_crash(chance, seconds, calls)
        ended = crash_and_recover(crashing, scenario, drawn % ROUNDS_OF_A_WORLD + 4, crash)
        drawn += 1
        assert unclear(ended) == []
        way = "a time" if crash.at_call is None else "a call"
        killed[way] += ended.was_killed_at_work
        met = f"killed after {len(ended.steps)} steps" if ended.was_killed_at_work else "NOT KILLED at work"
        print(f"{met}: {crash.after_seconds or crash.at_call} of {seconds:.2f} s, {calls} calls", flush=True)
        assert drawn <= DRAWS * RANDOM_KILLS, f"{drawn} moments drawn, {killed} kills"
    print(f"TRIED {drawn} random moments, {killed.total()} really killed a run: {dict(killed)}", flush=True)


@pytest.mark.timeout(6 * 3600)
def test_the_whole_command_killed_anywhere_loses_nothing_and_does_nothing_twice(crashing: World) -> None:
    """Its steps are divided into as many parts as there are kills: one in each, from its beginning to publishing."""
    scenario = Scenario("the command", SCENARIOS["a busy tick"].arrange, Run(command=("sync", "--json")))
    chance, rounds = random.Random(SEED), itertools.count(1)
    steps = unharmed(crashing, scenario, next(rounds)).steps
    assert set(steps) >= DELIVERED_AND_PUBLISHED, "the command did not do all that is to be broken off"
    bounds = [len(steps) * part // WHOLE_COMMANDS for part in range(WHOLE_COMMANDS + 1)]
    for before, last in itertools.pairwise(bounds):
        drawn = (Crash(chance.randint(before + 1, last)) for _ in range(DRAWS))
        assert unclear(crash_at_last(crashing, scenario, rounds, drawn)) == []


def test_what_was_staged_before_a_kill_is_published_by_the_next_run(crashing: World) -> None:
    """The mark that the analysts' copy is behind came after the commit: a run killed in between left it behind."""
    SCENARIOS["a backfill"].arrange(crashing, 1)
    months = Run(months=SCENARIOS["a backfill"].run.months)
    ended = run_to_crash(crashing.config, crashing.now, months, Crash(at_step="runs.steps.stage: committed"))
    assert ended.crashed_at
    crashing.restart()
    assert all(part["ok"] for part in crashing.tick(publish=True).values())
    assert wrongs(crashing) == []


def test_what_was_delivered_before_a_kill_is_published_by_the_next_run(crashing: World) -> None:
    """Only the run that sent it knew that the analysts' copy was behind: killed before its end, it took that along."""
    SCENARIOS["trouble"].arrange(crashing, 1)
    crashing.tick(reread=True)
    no_trouble(crashing)
    crashing.restart()
    tick = Run({"reread": True})
    ended = run_to_crash(crashing.config, crashing.now, tick, Crash(at_step="claire.sending.Sender._write: committed"))
    assert ended.crashed_at
    assert all(part["ok"] for part in crashing.tick(publish=True).values())
    assert wrongs(crashing) == []


def test_every_durable_step_in_the_code_has_a_name() -> None:
    found = places_in_code()
    assert {place for place in found - STEPS.keys() if not is_elsewhere(place)} == set(), (
        "these places leave something behind: name each in STEPS of faults/durable_steps.py, and let a scenario come "
        "by it, or say in ELSEWHERE why none does"
    )
    assert STEPS.keys() - found == set(), "these are no longer in the code"
