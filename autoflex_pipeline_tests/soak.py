"""A soak: toxics come and go on the way to both vendors while lively dealers work and runs follow one another.

``python -m autoflex_pipeline_tests.soak [--minutes 30] [--seed N]`` (``make soak``). In the end the toxics go, the
dealers rest, and a few runs must make Claire what the DMSs say, each document with one effect. Prints progress, and as
its last line the figures as JSON; exit code 1 when there is a defect.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from autoflex_pipeline.sandbox.demo import load_dealer
from autoflex_pipeline.sandbox.generator import generate_dealer
from autoflex_pipeline.sandbox.lively import Lively, Stage
from autoflex_pipeline.sources.window import month_bounds
from autoflex_pipeline_tests.projection import deviations, effects_out_of_order
from autoflex_pipeline_tests.toxic_world import CLAIRE, Patience, running_toxic_world
from autoflex_pipeline_tests.toxics import Proxy, Stream, Toxic
from autoflex_pipeline_tests.world import LOCATIONS, World

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
PATIENCE = Patience(autoflex_read=2.0, autoflex_deadline=6.0, claire_deadline=8.0)
LONGEST_RUN_SECONDS = 900
"""Deadlines of a run's questions and documents, and what it spends on itself on a machine that is very busy."""

SECONDS_BETWEEN_EDITS = 0.4
TOXICS_AT_ONCE = 5
RUNS_TO_CONVERGE = 8
MONTHS = ("2026-09", "2026-10", "2026-11", "2026-12")


@dataclass
class Figures:
    """What a soak did; ``defects`` are what it must not have found."""

    seed: int
    minutes: float
    runs: int = 0
    runs_failed_for_a_dealer: int = 0
    full_passes: int = 0
    backfills: int = 0
    restarts: int = 0
    mass_changes_let_through: int = 0
    simulated_days: float = 0.0
    longest_run_seconds: float = 0.0
    edits: int = 0
    orders_deleted: int = 0
    toxics_set: dict[str, int] = field(default_factory=dict)
    connections_spoilt: dict[str, int] = field(default_factory=dict)
    connections: int = 0
    autoflex_requests: int = 0
    claire_imports: int = 0
    claire_repeats: int = 0
    claire_effects: int = 0
    intents: int = 0
    appointments: int = 0
    runs_to_converge: int = 0
    rss_begin_mb: float = 0.0
    rss_end_mb: float = 0.0
    defects: list[str] = field(default_factory=list)


class Weather:
    """A thread that sets a random toxic on a random proxy every now and then, and takes it away again."""

    def __init__(self, proxies: dict[str, Proxy], seed: int) -> None:
        self.set: Counter[str] = Counter()
        self._proxies = proxies
        self._rng = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="weather", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End, with fair weather."""
        self._stop.set()
        self._thread.join()
        for proxy in self._proxies.values():
            proxy.reset()

    def _run(self) -> None:
        ends: list[tuple[float, Proxy, Toxic]] = []
        while not self._stop.wait(self._rng.uniform(0.1, 1.5)):
            now = time.monotonic()
            for end in [end for end in ends if end[0] <= now]:
                end[1].remove(end[2])
                ends.remove(end)
            if len(ends) < TOXICS_AT_ONCE:
                name = self._rng.choice(sorted(self._proxies))
                bad = random_toxic(self._rng)
                self._proxies[name].add(bad)
                self.set[bad.type] += 1
                ends.append((now + self._rng.uniform(0.5, 8.0), self._proxies[name], bad))


def random_toxic(rng: random.Random) -> Toxic:
    """A toxic of any type, for some or all connections.

    What is delayed on its way to a vendor is delayed by less than the client's patience: a request that arrives after
    its sender has given up and sent something newer cannot be told from a new one by anybody.
    """
    kind = rng.choice(["latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data"])
    stream: Stream = rng.choice(["upstream", "downstream"])
    attributes = {
        "latency": {"latency": rng.randint(5, 300 if stream == "upstream" else 2_000), "jitter": rng.randint(0, 100)},
        "bandwidth": {"rate": rng.choice([5, 20, 100])},
        "slow_close": {"delay": rng.randint(100, 3_000)},
        "timeout": {"timeout": rng.choice([0, 50, 500])},
        "reset_peer": {"timeout": rng.choice([0, 0, 20, 200])},
        "slicer": {"average_size": rng.choice([50, 200]), "size_variation": 40, "delay": rng.choice([0, 500, 5_000])},
        "limit_data": {"bytes": rng.choice([1, 50, 200, 1_000, 5_000, 20_000])},
    }[kind]
    return Toxic(kind, stream, rng.choice([0.2, 0.5, 1.0]), attributes=attributes)


class Soak:
    """One soak in a running world."""

    def __init__(self, world: World, proxies: dict[str, Proxy], seed: int, minutes: float) -> None:
        self.figures = Figures(seed, minutes)
        self._world = world
        self._proxies = proxies
        self._rng = random.Random(seed)
        assert world.dms is not None
        self._dms = world.dms
        self._lively = Lively(
            Stage(self._dms, list(LOCATIONS)),
            seed,
            SECONDS_BETWEEN_EDITS,
            lambda: world.now.astimezone(AMSTERDAM),
            self._count_edit,
        )
        self._weather = Weather(proxies, seed + 1)
        self._begun = world.now

    def run(self) -> Figures:
        """Soak for the time given, then let it converge."""
        self._prepare()
        self._lively.start()
        self._weather.start()
        try:
            self._keep_running(time.monotonic() + 60 * self.figures.minutes)
        finally:
            self._lively.stop()
            self._weather.stop()
        self._converge()
        self._sum_up()
        return self.figures

    def _count_edit(self, _done: str) -> None:
        self.figures.edits += 1

    def _prepare(self) -> None:
        for place, dealer_id in enumerate(LOCATIONS):
            data = generate_dealer(
                self.figures.seed + place, dealer_id, date(2026, 11, 24), 2, orders_per_day=3, open_orders=40, dirty=0
            )
            load_dealer(self._dms, data)
        # Some orders hide from the open list: only a full pass finds them.
        for _ in range(RUNS_TO_CONVERGE):
            if self._one_run(full=True):
                break
        self._expect_exact("before the first toxic")
        self.figures.rss_begin_mb = resident_mb()

    def _keep_running(self, until: float) -> None:
        told = time.monotonic()
        while time.monotonic() < until and not self.figures.defects:
            self._world.pass_time(minutes=self._rng.choice([1, 1, 2, 5, 11, 45]))
            self._do_something()
            if time.monotonic() - told > 30:
                told = time.monotonic()
                self._tell((until - told) / 60)

    def _do_something(self) -> None:
        drawn = self._rng.random()
        if drawn < 0.05:
            self._delete_an_order()
        if drawn > 0.97:
            self._world.restart()
            self.figures.restarts += 1
        if drawn > 0.90:
            self._world.look()
        if 0.05 < drawn < 0.10:
            self.figures.full_passes += 1
            self._one_run(full=True)
        elif 0.10 < drawn < 0.16:
            self.figures.backfills += 1
            span = month_bounds(self._rng.choice(MONTHS))
            self._one_run(months={dealer_id: [span] for dealer_id in LOCATIONS})
        else:
            self._one_run()

    def _delete_an_order(self) -> None:
        dealer_id = self._rng.choice(sorted(LOCATIONS))
        orders = [row for row in self._dms.rows(dealer_id, "order") if row["is_invoiced"] == 0]
        if len(orders) > 20:
            self._dms.delete(dealer_id, "order", str(self._rng.choice(orders)["order_id"]))
            self.figures.orders_deleted += 1

    def _one_run(self, **options: Any) -> bool:
        """One run; whether all dealers were well. What the guard stops, a person lets through."""
        started = time.monotonic()
        try:
            summaries = self._world.tick(publish=True, **options)
        except Exception as error:
            self.figures.defects.append(f"a run {options} ended with {type(error).__name__}: {error}")
            raise
        seconds = time.monotonic() - started
        self.figures.runs += 1
        self.figures.longest_run_seconds = round(max(self.figures.longest_run_seconds, seconds), 1)
        errors = [summary["error"] for summary in summaries.values() if summary["error"]]
        if seconds > LONGEST_RUN_SECONDS:
            self.figures.defects.append(f"a run {options} took {seconds:.0f} s: {errors}")
        self.figures.defects += [error for error in errors if "a defect of this program" in error]
        rejected = sum(summary["delivery"]["rejected"] for summary in summaries.values())
        if rejected:
            self.figures.defects.append(f"{rejected} documents were rejected")
        well = all(summary["ok"] for summary in summaries.values())
        self.figures.runs_failed_for_a_dealer += not well
        if any("--allow-mass-change" in error for error in errors) and not options.get("allow_mass_change"):
            self.figures.mass_changes_let_through += 1
            return self._one_run(allow_mass_change=True)
        return well

    def _converge(self) -> None:
        """An hour and more between runs, so that absences are confirmed; the second is a full pass."""
        for number in range(1, RUNS_TO_CONVERGE + 1):
            self._world.pass_time(minutes=61)
            well = self._one_run(full=number == 2)
            if number >= 3 and well and not self._deviations():
                self.figures.runs_to_converge = number
                break
        self._expect_exact(f"after {RUNS_TO_CONVERGE} runs without toxics")
        imports = self._world.imports()
        self._world.pass_time(minutes=1)
        self._one_run()
        if self._world.imports() != imports:
            self.figures.defects.append("an idle run sent something")
        self.figures.defects += effects_out_of_order(self._world)

    def _deviations(self) -> list[str]:
        return [deviation for dealer_id in LOCATIONS for deviation in deviations(self._world, dealer_id)]

    def _expect_exact(self, when: str) -> None:
        self.figures.defects += [f"{when}: {deviation}" for deviation in self._deviations()[:20]]

    def _sum_up(self) -> None:
        figures, counts = self.figures, self._world.claire.counts()
        gc.collect()
        figures.rss_end_mb = resident_mb()
        figures.simulated_days = round((self._world.now - self._begun) / timedelta(days=1), 1)
        figures.toxics_set = dict(sorted(self._weather.set.items()))
        spoilt: Counter[str] = Counter()
        for proxy in self._proxies.values():
            spoilt.update(proxy.met)
        figures.connections_spoilt = dict(sorted(spoilt.items()))
        figures.connections = sum(proxy.connections for proxy in self._proxies.values())
        figures.autoflex_requests = self._world.autoflex.requests()
        figures.claire_imports = counts["imports"]
        figures.claire_effects = counts["effects"]
        figures.appointments = counts["appointments"]
        keys = {row["idempotency_key"] for row in self._world.claire.log() if row["idempotency_key"]}
        figures.intents = len(keys)
        figures.claire_repeats = counts["imports"] - len(keys)

    def _tell(self, minutes_left: float) -> None:
        figures = self.figures
        print(
            f"{minutes_left:5.1f} min left: {figures.runs} runs, "
            f"{figures.runs_failed_for_a_dealer} failed for a dealer, "
            f"{figures.edits} edits, {self._weather.set.total()} toxics, "
            f"{self._proxies[CLAIRE].connections} connections to Claire, {resident_mb():.0f} MB",
            flush=True,
        )


def resident_mb() -> float:
    """The memory of this process, sandbox and proxies included."""
    for row in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if row.startswith("VmRSS:"):
            return round(int(row.split()[1]) / 1024, 1)
    return 0.0


def soak(folder: Path, monkeypatch: pytest.MonkeyPatch, *, seed: int, minutes: float) -> Figures:
    """Soak in ``folder``."""
    with running_toxic_world(folder, monkeypatch, seed=seed, patience=PATIENCE) as (world, proxies):
        return Soak(world, proxies, seed, minutes).run()


def main(arguments: list[str] | None = None) -> int:
    """Run a soak; 1 when it found a defect."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    given = parser.parse_args(arguments)
    print(f"soak of {given.minutes:g} minutes, --seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as monkeypatch:
        figures = soak(Path(folder), monkeypatch, seed=given.seed, minutes=given.minutes)
    print(json.dumps(asdict(figures)))
    return 1 if figures.defects else 0


if __name__ == "__main__":
    sys.exit(main())
