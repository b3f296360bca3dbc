"""The state machine: what happens in a history, and what must hold after each run and in the end."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from autoflex_pipeline.sandbox.autoflex.faulty import AutoflexFault
from autoflex_pipeline.sandbox.claire.faulty import ClaireFault
from autoflex_pipeline_tests.faults.histories.compare import differences
from autoflex_pipeline_tests.faults.histories.edits import (
    CARS,
    DEALERS,
    LOCATIONS,
    ORDERS,
    PEOPLE,
    SEVERAL,
    Edit,
    Put,
    edits,
)
from autoflex_pipeline_tests.faults.histories.events import events_of
from autoflex_pipeline_tests.faults.histories.in_process import Wire
from autoflex_pipeline_tests.faults.histories.judge import Judge, Reach
from autoflex_pipeline_tests.faults.histories.model import DealerModel, Sight, copy_of
from autoflex_pipeline_tests.faults.histories.site import STARTS, Site, Stopwatch, open_site
from autoflex_pipeline_tests.faults.histories.troubles import (
    Fault,
    autoflex_faults,
    claire_faults,
    stops_the_connection,
)
from autoflex_pipeline_tests.pipeline.oracle import ZONE

GUARDED = ("guard_max_change", "no open work order at all", "came back without any")
"""What a run says that the mass-change guard, or its sister for lines, stopped."""

SPANS = ({"minutes": 1}, {"minutes": 11}, {"minutes": 61}, {"hours": 15}, {"hours": 25}, {"days": 5})
JUMPS = (timedelta(minutes=3), timedelta(minutes=70), timedelta(hours=26))
STARTED = ("Control started", "Calculating", "Car ready")
MONTHS = ((date(2026, 10, 1), date(2026, 10, 31)), (date(2026, 11, 1), date(2026, 12, 31)))
LATEST_CONVERGENCE = 4
"""So many full passes at most after all faults stop; two take what is asked for an absence to be believed."""

HEALED = {
    "order": {
        "order_number": "2026-00500", "order_date": "20261001T091500", "plan_date_from": "20261105T090000",
        "plan_date_to": "20261105T170000",
    },
    "order_line": {"description": "Beurt", "price_incl_vat": "12.50"},
    "vehicle": {"brand": "Opel"},
    "relation": {"last_name": "Jansen"},
}  # fmt: skip


class Histories(RuleBasedStateMachine):
    """Two dealers with the same numbers. ``template``, ``folder`` and ``ground`` are set by the test that runs it.

    ``histories``, ``runs`` and ``kills`` count them, ``events`` what else happened. ``untold`` are the dealers whose
    DMS does not say when lines change.
    """

    template: ClassVar[Path]
    folder: ClassVar[Path]
    ground: ClassVar[tuple[Wire, Stopwatch]]
    histories: ClassVar[int] = 0
    runs: ClassVar[int] = 0
    kills: ClassVar[int] = 0
    events: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.site: Site = self.stack.enter_context(open_site(self.template, self.folder, self.ground))
        self.dealers = {dealer_id: DealerModel(dealer_id) for dealer_id in DEALERS}
        self.judge = Judge(self.site, self.dealers)
        self.serial = 0
        self.untold: set[str] = set()
        type(self).histories += 1

    @initialize(
        start=st.sampled_from(STARTS),
        orders=st.integers(2, 6),
        last_modified=st.tuples(*[st.sampled_from(("present", "present", "null", "absent", "unknown"))] * len(DEALERS)),
        list_shape=st.sampled_from(("envelope", "bare")),
        error_status=st.sampled_from(("200", "real")),
    )
    def begin(
        self, start: datetime, orders: int, last_modified: tuple[str, ...], list_shape: str, error_status: str
    ) -> None:
        """All dealers have the same orders, each with two lines, and the same cars and parties."""
        self.site.now = start
        for dealer, told in zip(DEALERS, last_modified, strict=True):
            if told != "present":
                self.untold.add(dealer)
            given = {"last_modified": told, "list_shape": list_shape, "error_status": error_status}
            switches = self.site.autoflex.switches
            switches[dealer] = switches[dealer].model_copy(update=given)
            self._do(Put(dealer, "vehicle", number) for number in CARS)
            self._do(Put(dealer, "relation", number) for number in PEOPLE)
            for number in ORDERS[:orders]:
                self._do([Put(dealer, "order_line", number * 100 + place) for place in (1, 2)])
                self._do([Put(dealer, "order", number)])

    @rule(edits=st.lists(edits, min_size=1, max_size=SEVERAL))
    def dms(self, edits: list[Edit]) -> None:
        """People at the dealers work."""
        self._do(edits)

    @rule(span=st.sampled_from(SPANS))
    def clock(self, span: dict[str, float]) -> None:
        """Time passes."""
        before = self.site.now.astimezone(ZONE).utcoffset()
        self.site.pass_time(**span)
        if self.site.now.astimezone(ZONE).utcoffset() != before:
            self.events["time passed over a night of a clock change"] += 1

    @rule(span=st.sampled_from(JUMPS))
    def clock_jumps(self, span: timedelta) -> None:
        """The machine's clock is set ahead: no absence has lasted any longer."""
        self.site.jump(span)
        self.events["clock jumped ahead"] += 1
        for dealer in self.dealers.values():
            for order in dealer.orders.values():
                order.missing_since = None

    @rule(edits=st.lists(edits, min_size=1, max_size=SEVERAL), full=st.booleans(), allow_mass_change=st.booleans())
    def run(self, edits: list[Edit], full: bool, allow_mass_change: bool) -> None:
        """A run in which nothing goes wrong, after some edits."""
        self._do(edits)
        self._run(full=full, allow_mass_change=allow_mass_change)

    @rule(twice=st.sampled_from(("tick", "full")))
    def run_twice(self, twice: str) -> None:
        """The second run finds nothing that the first one left."""
        for _ in range(2):
            self._run(full=twice == "full", allow_mass_change=True)

    @rule(dealer=st.sampled_from(DEALERS), edits=st.lists(edits, max_size=2))
    def run_of_one(self, dealer: str, edits: list[Edit]) -> None:
        """A run that takes one dealer only."""
        self._do(edits)
        self._run(dealers=(dealer,), allow_mass_change=True)

    @rule(
        edits=st.lists(edits, min_size=1, max_size=SEVERAL),
        faults=autoflex_faults,
        full=st.booleans(),
        allow=st.booleans(),
    )
    def run_with_faults_of_autoflex(self, edits: list[Edit], faults: list[Fault], full: bool, allow: bool) -> None:
        """A run while a DMS misbehaves."""
        self._do(edits)
        self._run(autoflex=faults, full=full, allow_mass_change=allow)

    @rule(edits=st.lists(edits, min_size=1, max_size=SEVERAL), faults=claire_faults)
    def run_with_faults_of_claire(self, edits: list[Edit], faults: list[Fault]) -> None:
        """A run while Claire misbehaves."""
        self._do(edits)
        self._run(claire=faults, allow_mass_change=True)

    @rule(edits=st.lists(edits, min_size=1, max_size=SEVERAL), at=st.integers(1, 60), full=st.booleans())
    def run_with_edits_meanwhile(self, edits: list[Edit], at: int, full: bool) -> None:
        """People at the dealers work while a run reads: after its request number ``at``."""
        self._run(meanwhile=(at, edits), full=full, allow_mass_change=True)

    @rule(edits=st.lists(edits, max_size=SEVERAL), at=st.integers(1, 400), full=st.booleans())
    def run_killed(self, edits: list[Edit], at: int, full: bool) -> None:
        """A run that dies at the moment ``at``: before or after a request, before, in or after a transaction."""
        self._do(edits)
        self._run(kill_at=at, full=full, allow_mass_change=True)

    @rule(edits=st.lists(edits, max_size=2))
    def dry_run(self, edits: list[Edit]) -> None:
        """A run that sends nothing."""
        self._do(edits)
        self._run(dry_run=True)

    @rule(
        months=st.sampled_from(MONTHS),
        dealers=st.sampled_from((DEALERS, DEALERS[:1], DEALERS[1:])),
        deliver_history=st.booleans(),
        kill_at=st.sampled_from((None, None, 60, 150)),
    )
    def backfill(
        self, months: tuple[date, date], dealers: tuple[str, ...], deliver_history: bool, kill_at: int | None
    ) -> None:
        """Months are read, billed orders too."""
        spans = {dealer: [months] for dealer in dealers}
        self._run(months=spans, dealers=dealers, deliver_history=deliver_history, kill_at=kill_at)

    def configure(self, dealer: str, keep_importing: bool) -> None:
        """Somebody changes the configuration file."""
        self.site.configure(dealer, keep_importing=keep_importing)
        self.dealers[dealer].is_touched = True

    @rule(
        dealer=st.sampled_from(DEALERS),
        number=st.sampled_from(ORDERS[:4]),
        status=st.sampled_from(STARTED),
        keep_importing=st.booleans(),
    )
    def work_starts(self, dealer: str, number: int, status: str, keep_importing: bool) -> None:
        """In Claire an appointment's status is moved on, and a line is typed."""
        self.configure(dealer, keep_importing)
        found = self.site.claire.store.find(LOCATIONS[dealer], str(number))
        if found is not None:
            self.site.claire.move(found, status, force=True)
            moved = self.site.claire.store.find(LOCATIONS[dealer], str(number))
            if moved is not None:
                self.site.claire.add_staff_line(moved, "Ruitenwissers", "9.95")
            self.dealers[dealer].is_touched = True

    def teardown(self) -> None:
        """Faults stop: Claire comes to equal the projection of the DMS."""
        try:
            if sys.exc_info()[0] is None:
                self._converge()
        finally:
            self.stack.close()

    def _converge(self) -> None:
        self._wait_until_equal("after all faults stopped")
        if self._heal():
            self._wait_until_equal("after bad rows were healed")
        exempt = {dealer: self.judge.exempt(dealer) for dealer in DEALERS}
        if any(exempt.values()):
            self._send_again(exempt)
            self._wait_until_equal("after refusals were asked for again")
            for dealer in DEALERS:
                left = {number for number in self.judge.exempt(dealer) if not self._never_came(dealer, number)}
                assert not left, f"{dealer}: {left} are still held or refused"
        self._run(allow_mass_change=True)  # finds nothing more to do

    def _never_came(self, dealer: str, number: str) -> bool:
        """Whether the order left the DMS before Claire ever had it: then it is not sent, refused or not."""
        order = self.dealers[dealer].orders.get(int(number))
        is_gone = order is None or order.row is None
        return is_gone and self.site.claire.store.find(LOCATIONS[dealer], number) is None

    def _wait_until_equal(self, when: str) -> None:
        for _ in range(LATEST_CONVERGENCE):
            self._run(full=True, allow_mass_change=True, compare=False)
            self.site.pass_time(minutes=61)
            left = self._differences(DEALERS, full=True)
            if not left and not any(self._waits(dealer) for dealer in self.dealers.values()):
                return
        raise AssertionError("\n".join([f"no convergence {when}:", *left]))

    def _waits(self, dealer: DealerModel) -> bool:
        """Whether an order left the DMS and only one full pass has missed it."""
        return any(order.row is None and order.missing_since is None and order.ever
                   for order in dealer.orders.values()) or any(
            order.missing_since is not None and (self.site.now - order.missing_since).total_seconds() <= 3660
            for order in dealer.orders.values()
        )  # fmt: skip

    def _heal(self) -> bool:
        """Make every bad row good, and undo what made Claire refuse or hold."""
        mended: list[Edit] = []
        for model in self.dealers.values():
            for number, order in model.orders.items():
                if order.row is not None and model.good("order", order.row, self._today()) is None:
                    mended.append(Put(model.dealer_id, "order", number, HEALED["order"]))
            for entity, rows in model.parts.items():
                for number, tracked in rows.items():
                    if tracked.row is not None and model.good(entity, tracked.row, self._today()) is None:
                        mended.append(Put(model.dealer_id, entity, number, HEALED[entity]))
        self._do(mended)
        return bool(mended)

    def _send_again(self, exempt: dict[str, set[str]]) -> None:
        for dealer, numbers in exempt.items():
            for number in sorted(numbers):
                found = self.site.claire.store.find(LOCATIONS[dealer], number)
                if found is not None:
                    self.site.claire.move(found, "New entry", force=True)
            if numbers:
                self.dealers[dealer].is_touched = True
                self._run(dealers=(dealer,), numbers=frozenset(numbers), force=True, compare=False)

    def _do(self, edits: Any) -> None:
        store = self.site.autoflex.store
        for edit in edits:
            if isinstance(edit, Put) and edit.entity == "order":
                edit = self._noted(edit)
            self.events.update(events_of(edit, self.dealers[edit.dealer], self._today()))
            for dealer, entity, number, row in self.dealers[edit.dealer].apply(edit):
                given = copy_of(row)
                if given is None and entity == "order":
                    order = self.dealers[dealer].orders[number]
                    order.left_at = order.left_at or self.site.time
                if given is None:
                    store.delete(dealer, entity, str(number))
                else:
                    store.put(dealer, entity, str(number), given)

    def _noted(self, edit: Put) -> Put:
        """Each note has a number of its own, so that an older version is told from a newer one."""
        order = self.dealers[edit.dealer].tracked("order", edit.number)
        is_used_again = order.row is None and bool(order.ever)
        note = edit.fields.get("notes", "Klant wacht" if is_used_again else None)
        if note is None:
            return edit
        self.serial += 1
        return Put(edit.dealer, edit.entity, edit.number, edit.fields | {"notes": f"#{self.serial} {note}"})

    def _run(
        self,
        *,
        autoflex: Sequence[Fault] = (),
        claire: Sequence[Fault] = (),
        compare: bool = True,
        months: Any = None,
        kill_at: int | None = None,
        meanwhile: tuple[int, Sequence[Edit]] | None = None,
        **options: Any,
    ) -> None:
        chosen = options.get("dealers") or DEALERS
        faulted = self._set_faults(autoflex, claire)
        if meanwhile is not None:
            at, edits_meanwhile = meanwhile
            faulted |= {edit.dealer for edit in edits_meanwhile}
            self.site.after_requests(at, lambda: self._edit_meanwhile(edits_meanwhile))
        reach: Reach = "months" if months is not None else "full" if options.get("full") else "tick"
        before = self.judge.before(chosen, faulted, dry_run=options.get("dry_run", False), reach=reach)
        summary = self.site.run(kill_at=kill_at, months=months, **options)
        type(self).runs += 1
        type(self).kills += summary is None
        self.events["backfills" if months is not None else "dry runs" if options.get("dry_run") else "syncs"] += 1
        self._clear_faults()
        self.site.watch.advance(3600)
        self.judge.after(before)
        if any(stops_the_connection(fault) for fault in claire):
            self.site.restart()  # as each command and each run of the schedule is a process of its own
        is_whole = summary is not None and months is None and "numbers" not in options
        sights: dict[str, Sight] = {}
        for dealer in chosen:
            told = summary[dealer] if summary is not None else None
            guarded = told is not None and any(text in (told["error"] or "") for text in GUARDED)
            clean = is_whole and dealer not in faulted and not guarded
            sights[dealer] = ("full" if options.get("full") else "tick") if clean else "maybe"
            self._see(dealer, sights[dealer])
            if clean and told is not None and not options.get("dry_run"):
                assert told["error"] is None, f"{dealer}: {told['error']}"
                undone = {name: told["delivery"][name] for name in ("pending", "failed")}
                assert not any(undone.values()), f"{dealer}: nothing went wrong, and yet {undone}"
                self.judge.settle(dealer, full=bool(options.get("full")), waiting=told["delivery"]["waiting"])
            else:
                self.judge.unsettle(dealer)
            if months is not None and options.get("deliver_history"):
                self.judge.history_was_sent.add(dealer)
        sure = [dealer for dealer, sight in sights.items() if sight != "maybe"]
        if compare and not options.get("dry_run") and sure:
            left = self._differences(sure, full=bool(options.get("full")))
            assert not left, "\n".join(["after a run in which nothing went wrong:", *left])

    def _set_faults(self, autoflex: Sequence[Fault], claire: Sequence[Fault]) -> set[str]:
        """Set the faults; gives the dealers that they may touch."""
        faulted: set[str] = set()
        for fault in autoflex:
            self.site.autoflex.faults.add(AutoflexFault(**fault))
            faulted.add(fault["dealer"])
            spoils_fields = fault["kind"] in ("field_missing", "field_type")
            if spoils_fields or fault["kind"] in ("shift", "empty", "duplicate"):
                self.judge.was_misled.add(fault["dealer"])
            if spoils_fields or fault["kind"] in ("shift", "empty"):
                self.dealers[fault["dealer"]].distort(fault["endpoint"], fields=spoils_fields)
        for fault in claire:
            self.site.claire.faults.add(ClaireFault(**fault))
            if fault["location"] is None or stops_the_connection(fault):
                faulted.update(DEALERS)
            else:
                faulted.update(dealer for dealer, location in LOCATIONS.items() if location == fault["location"])
            self.judge.expect_refusals(fault)
        return faulted

    def _clear_faults(self) -> None:
        self.site.after_requests(None)
        for name, board in (("Autoflex", self.site.autoflex.faults), ("Claire", self.site.claire.faults)):
            for fault in board.all():
                self.events[f"fault of {name}: {fault.kind}"] += fault.hits
            board.clear()

    def _edit_meanwhile(self, edits: Sequence[Edit]) -> None:
        for dealer in {edit.dealer for edit in edits}:
            self._see(dealer, "maybe")
        self._do(edits)
        self.events["edits during a run"] += 1

    def _see(self, dealer: str, sight: Sight) -> None:
        self.dealers[dealer].observe(sight, self.site.now, self._today(), absent_lines=dealer in self.untold)

    def _differences(self, dealers: Sequence[str], *, full: bool) -> list[str]:
        return [
            text
            for dealer in dealers
            for text in differences(
                self.dealers[dealer],
                self.judge.held(dealer),
                parts=full,
                lines_of_billed=dealer not in self.untold,
                exempt=self.judge.exempt(dealer),
                history_was_sent=dealer in self.judge.history_was_sent,
                hidden_are_seen=full,
                now=self.site.now,
            )
        ]

    def _today(self) -> date:
        return self.site.now.astimezone(ZONE).date()
