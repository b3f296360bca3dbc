"""Runs that meet a toxic on the way to a vendor: nothing half-read is believed, the next runs make all exact.

Each scenario: both dealers' DMSs are edited, a run meets the toxic, the toxic goes, runs follow until all is well. The
usual test run takes some of the combinations; ``make toxics`` (TOXICS=full) takes all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest

from autoflex_pipeline.sandbox.autoflex import api
from autoflex_pipeline_tests.projection import deviations, effects_out_of_order, expected, held
from autoflex_pipeline_tests.toxic_world import CLAIRE, Patience, running_toxic_world
from autoflex_pipeline_tests.toxics import Proxy, Toxic, toxic
from autoflex_pipeline_tests.world import DEVRIES, JANSEN, LOCATIONS, World, line, load, order

Row = dict[str, Any]
T = TypeVar("T")

IS_FULL = os.environ.get("TOXICS") == "full"
LOGIN, LIST, BY_ID, IMPORT = "/authenticate", "is_invoiced[eq]", "order_id[eq]", "/appointments/import"
PLACES = {"login": LOGIN, "lists": LIST, "questions by id": BY_ID}
PATIENCE = Patience()

CALLS_IN_A_ROW = 4
"""Calls to a DMS that can fail one after the other before its dealer does: login, list, questions by id, pages."""
LONGEST_CALL_SECONDS = 2 * PATIENCE.autoflex_deadline
"""The last try begins before the deadline, and may take as long again."""
LONGEST_DELIVERY_SECONDS = 6 * PATIENCE.claire_deadline
"""A document's deadline and half of one more for its last try, for each dealer; the breaker's pauses before its probes
(1, 2, 4 and 8 twentieths of a deadline), and the four probes."""
OWN_SECONDS = 20
"""What a run spends on itself, some two seconds, on a machine that is very busy."""
LONGEST_RUN_SECONDS = max(CALLS_IN_A_ROW * LONGEST_CALL_SECONDS, LONGEST_DELIVERY_SECONDS) + OWN_SECONDS
"""A toxic that costs more than milliseconds is on the way to one vendor only."""

RUNS_TO_CONVERGE = 3
MUCH_TOO_LATE_MS = 600_000

HARSH = {
    "timeout upstream": toxic("timeout", "upstream", timeout=0),
    "timeout downstream": toxic("timeout", "downstream", timeout=300),
    "reset upstream": toxic("reset_peer", "upstream"),
    "reset downstream": toxic("reset_peer", "downstream", timeout=50),
    "limit upstream": toxic("limit_data", "upstream", bytes=60),
    "limit downstream": toxic("limit_data", "downstream", bytes=150),
    "latency": toxic("latency", "downstream", latency=4_000, jitter=500),
    "drip": toxic("slicer", "downstream", average_size=1, delay=400_000),
}
"""Toxics that no request gets through."""

MILD = {
    "latency": toxic("latency", latency=30),
    "jitter": toxic("latency", "upstream", latency=20, jitter=20),
    "bandwidth": toxic("bandwidth", rate=200),
    "bandwidth upstream": toxic("bandwidth", "upstream", rate=50),
    "slicer": toxic("slicer", average_size=200, size_variation=100, delay=500),
    "slicer upstream": toxic("slicer", "upstream", average_size=20, size_variation=10, delay=200),
}


@dataclass
class Running:
    """The world behind its proxies; ``is_exact`` once a scenario has left it as it should be."""

    world: World
    proxies: dict[str, Proxy]
    edits: int = 0
    is_exact: bool = True

    def edit(self) -> None:
        """A round of edits at both dealers: a new order, notes, one billed, one canceled, lines moved and repriced."""
        new = 50_100 + self.edits
        for dealer_id in LOCATIONS:
            dms = self.world.autoflex
            dms.load(dealer_id, {"order": [order(new)], "order_line": [line(new * 100 + at, new) for at in (1, 2)]})
            dms.change(dealer_id, "order", 50001, notes=f"ronde {self.edits}")
            dms.change(dealer_id, "order", 50002, is_canceled=self.edits % 2)
            dms.change(dealer_id, "order", 50003 if self.edits == 0 else new - 1, is_invoiced=1)
            dms.change(dealer_id, "order_line", 5000401, line_number=self.edits % 2 + 2)
            dms.change(dealer_id, "order_line", 5000402, price_incl_vat=f"{self.edits}.25", line_number=2)
        self.edits += 1
        self.world.pass_time(minutes=2)

    def run_through(self, *toxics: tuple[str, Toxic]) -> dict[str, Row]:
        """A run that meets the toxics (proxy and toxic) within its deadlines; gives the summaries."""
        for name, bad in toxics:
            self.proxies[name].met.clear()
            self.proxies[name].add(bad)
        started = time.monotonic()
        summaries = self.world.tick(publish=False)
        seconds = time.monotonic() - started
        for name, bad in toxics:
            self.proxies[name].remove(bad)
            assert self.proxies[name].met[bad.type] > 0, f"{bad}: was not met"
        met = {f"{bad.type} {bad.stream} {bad.only}" for _, bad in toxics}
        print(f"{seconds:.1f} of at most {LONGEST_RUN_SECONDS:.0f} s: {', '.join(sorted(met))}", flush=True)
        assert seconds < LONGEST_RUN_SECONDS, f"the run took {seconds:.0f} s"
        return summaries

    def check_converges(self) -> None:
        """Without the toxic a few runs make Claire exact for both dealers."""
        for _ in range(RUNS_TO_CONVERGE):
            self.world.pass_time(minutes=2)
            if all(summary["ok"] for summary in self.world.tick(publish=False).values()):
                break
        assert [*deviations(self.world, JANSEN), *deviations(self.world, DEVRIES)] == []
        assert effects_out_of_order(self.world) == []
        if IS_FULL:
            self.check_is_idle()
        self.is_exact = True

    def check_is_idle(self) -> None:
        """One more run finds nothing to do."""
        imports = self.world.imports()
        self.world.pass_time(minutes=1)
        self.world.tick(publish=False)
        assert self.world.imports() == imports, "an idle run sent something"


class Shared:
    """One world for all scenarios of this file; a new one after a scenario that failed."""

    def __init__(self, folders: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> None:
        self._folders = folders
        self._patch = patch
        self._open = ExitStack()
        self._running: Running | None = None

    def take(self) -> Running:
        if self._running is None or not self._running.is_exact:
            self.close()
            folder = self._folders.mktemp("toxics")
            running = running_toxic_world(folder, self._patch, patience=PATIENCE)
            self._running = Running(*self._open.enter_context(running))
            for dealer_id in LOCATIONS:
                load(self._running.world, dealer_id, orders=6)
            assert all(summary["ok"] for summary in self._running.world.tick(publish=False).values())
        self._running.is_exact = False
        return self._running

    def close(self) -> None:
        self._open.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    with pytest.MonkeyPatch.context() as patch:
        one = Shared(tmp_path_factory, patch)
        yield one
        one.close()


@pytest.fixture
def running(shared: Shared) -> Iterator[Running]:
    taken = shared.take()
    yield taken
    for proxy in taken.proxies.values():
        proxy.reset()


def chosen(table: Mapping[str, T], *names: str) -> Any:
    """The parameters of a test: all of the table in the full form, else those named."""
    unknown = set(names) - set(table)
    assert not unknown, unknown
    return [pytest.param(value, id=name) for name, value in table.items() if IS_FULL or name in names]


def check_nothing_half_read(world: World, dealer_id: str, before: dict[str, Row]) -> None:
    """Each appointment has the lines from before or those of now, and is canceled only where the DMS says so."""
    now = expected(world, dealer_id)
    assert world.query("SELECT dms_number FROM absence") == []
    for number, appointment in held(world, dealer_id).items():
        states = [source[number] for source in (before, now) if number in source]
        ids = [each["dms_nr"] for each in appointment["interventions"]]
        possible = [[each["dms_nr"] for each in source["interventions"]] for source in states]
        assert ids in [*possible, *([[]] if number not in before else [])], f"{number} has the lines {ids}"
        if appointment["canceled"]:
            assert any(source["canceled"] for source in states), f"{number} is canceled"


TO_THE_DMS = {
    f"{kind}, {place}": replace(bad, only=only) for kind, bad in HARSH.items() for place, only in PLACES.items()
}


@pytest.mark.parametrize(
    "bad",
    chosen(TO_THE_DMS, "limit downstream, lists", "reset downstream, questions by id"),
)
def test_a_dms_behind_a_harsh_toxic_costs_its_dealer_a_run_and_the_other_dealer_nothing(
    running: Running, bad: Toxic
) -> None:
    world = running.world
    before = held(world, JANSEN)
    running.edit()
    if bad.only == LOGIN:
        world.restart()
    summaries = running.run_through((JANSEN, bad))
    assert not summaries[JANSEN]["ok"]
    assert summaries[DEVRIES]["ok"], summaries[DEVRIES]["error"]
    assert deviations(world, DEVRIES) == []
    check_nothing_half_read(world, JANSEN, before)
    running.check_converges()


@pytest.mark.parametrize("bad", chosen(HARSH, "timeout downstream", "reset downstream"))
def test_a_claire_behind_a_harsh_toxic_costs_a_run_and_no_second_effect(running: Running, bad: Toxic) -> None:
    running.edit()
    summaries = running.run_through((CLAIRE, replace(bad, only=IMPORT)))
    for dealer_id, summary in summaries.items():
        assert summary["extracted"]["order"] > 0
        assert summary["delivery"]["failed"] + summary["delivery"]["pending"] > 0, dealer_id
    assert effects_out_of_order(running.world) == []
    running.check_converges()


SECOND_PAGE = {
    "limit": toxic("limit_data", only="page=2", bytes=150),
    "reset": toxic("reset_peer", only="page=2"),
    "timeout": toxic("timeout", "upstream", only="page=2"),
}


@pytest.mark.parametrize("bad", chosen(SECOND_PAGE, "limit"))
def test_of_a_list_whose_second_page_breaks_off_nothing_is_concluded(
    running: Running, monkeypatch: pytest.MonkeyPatch, bad: Toxic
) -> None:
    """Orders of the page that did not come are open as before, whatever the pages that came say."""
    monkeypatch.setattr(api, "ROWS_PER_PAGE", 4)
    before = held(running.world, JANSEN)
    running.edit()
    assert not running.run_through((JANSEN, bad))[JANSEN]["ok"]
    check_nothing_half_read(running.world, JANSEN, before)
    running.check_converges()


TOGETHER = {"all at once": list(MILD.values())} | {name: [bad] for name, bad in MILD.items()}


@pytest.mark.parametrize("toxics", chosen(TOGETHER, "all at once"))
def test_a_mild_toxic_on_both_vendors_costs_no_run(running: Running, toxics: list[Toxic]) -> None:
    """Slow and in pieces, from the login to the import: it is exact after the run itself."""
    running.edit()
    running.world.restart()
    summaries = running.run_through(*((name, bad) for name in running.proxies for bad in toxics))
    assert all(summary["ok"] for summary in summaries.values()), summaries
    assert [*deviations(running.world, JANSEN), *deviations(running.world, DEVRIES)] == []
    running.check_is_idle()
    running.check_converges()


BREAKS_OFF = {"lists": (JANSEN, LIST), "questions by id": (JANSEN, BY_ID), "imports": (CLAIRE, IMPORT)}


@pytest.mark.parametrize("place", chosen(BREAKS_OFF, "questions by id"))
def test_an_answer_that_breaks_off_on_a_connection_that_stays_open_is_not_waited_for(
    running: Running, place: tuple[str, str]
) -> None:
    """Half an answer, and the end of the connection comes much later than anybody's patience."""
    name, only = place
    before = held(running.world, JANSEN)
    running.edit()
    summaries = running.run_through(
        (name, toxic("limit_data", only=only, bytes=150)),
        (name, toxic("slow_close", only=only, delay=MUCH_TOO_LATE_MS)),
    )
    assert not summaries[JANSEN]["ok"]
    assert summaries[DEVRIES]["ok"] == (name == JANSEN)
    check_nothing_half_read(running.world, JANSEN, before)
    running.check_converges()


HALF = {
    "reset": toxic("reset_peer", "downstream", toxicity=0.5),
    "limit": toxic("limit_data", "downstream", toxicity=0.5, bytes=900),
    "timeout": toxic("timeout", "upstream", toxicity=0.5, timeout=100),
}


@pytest.mark.parametrize("bad", chosen(HALF, "reset"))
def test_toxics_that_spoil_half_of_the_connections_leave_everything_exact(running: Running, bad: Toxic) -> None:
    running.edit()
    for proxy in running.proxies.values():
        proxy.add(bad)
    running.world.tick(publish=False)
    for proxy in running.proxies.values():
        proxy.reset()
    running.check_converges()


def test_the_address_that_the_login_answers_leads_through_the_proxy_too(running: Running) -> None:
    installation = running.world.installation
    for dealer_id in LOCATIONS:
        login = installation.apis.get(installation.settings.dealer(dealer_id)).connection
        assert running.proxies[dealer_id].url in repr(login._session._login)
    running.is_exact = True
