"""What must hold after every run, whatever went wrong in it: judged from the stand-ins' logs and the warehouse."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from autoflex_pipeline.sandbox.claire import statuses
from autoflex_pipeline_tests.faults.histories.edits import LOCATIONS
from autoflex_pipeline_tests.faults.histories.model import DealerModel
from autoflex_pipeline_tests.faults.histories.site import Site
from autoflex_pipeline_tests.faults.histories.troubles import REFUSALS, Fault

CONFIRM_AFTER = timedelta(minutes=55)
"""An hour, less what clocks may be apart."""
TAKEN = ("created", "updated", "unchanged")

Reach = Literal["none", "tick", "full", "months"]
"""What of a dealer a run reads; what earlier runs left unfinished is staged in any run, for whichever dealer."""

CONTENT = {
    **{name: "*" for entity in ("appointment", "intervention", "car", "party") for name in (entity, f"{entity}_past")},
    "raw_record": "*", "document": "*", "acknowledged": "*", "delivery": "*", "document_dirty": "*", "skipped": "*",
    "line_list": "dealer_id, order_key, line_keys", "absence": "dealer_id, dms_number, confirmed_at, returned_at",
    "quarantine": "* EXCLUDE (last_seen_at, run_id)",
}  # fmt: skip
"""Tables that a run which finds nothing new leaves as they are; what is left out tells when something was looked at."""


@dataclass
class Before:
    """What was so when a run began."""

    effects: int
    requests: int
    is_dry: bool
    chosen: frozenset[str]
    unchanged: dict[str, list[tuple[Any, ...]]]
    locked: set[tuple[str, str]]


@dataclass
class Judge:
    """``history_was_sent``: dealers of which billed orders were asked for; the rest is what was seen so far.

    ``was_misled`` are dealers whose DMS left out or distorted rows before: an absence may have begun with that.
    """

    site: Site
    dealers: dict[str, DealerModel]
    history_was_sent: set[str] = field(default_factory=set)
    was_misled: set[str] = field(default_factory=set)
    _keys: set[str] = field(default_factory=set)
    _notes: dict[tuple[str, str], int] = field(default_factory=dict)
    _last: dict[tuple[str, str], str] = field(default_factory=dict)
    _refusable: set[tuple[str, str | None]] = field(default_factory=set)
    _settled: dict[str, tuple[datetime, bool]] = field(default_factory=dict)
    _half_read: set[str] = field(default_factory=set)
    _seen: tuple[int, int] = (0, 0)

    def before(
        self, chosen: Collection[str], faulted: Collection[str], *, dry_run: bool, reach: Reach = "tick"
    ) -> Before:
        """Look before a run of ``chosen`` dealers that reaches as far as ``reach``."""
        quiet = [
            dealer
            for dealer in LOCATIONS
            if dealer not in faulted and self._is_quiet(dealer, reach if dealer in chosen else "none")
        ]
        locked = {
            (location, appointment.dms_nr)
            for dealer, location in LOCATIONS.items()
            if not self.site.settings.dealer(dealer).keep_importing
            for appointment in self.site.claire.store.list_page([location], None, None, None, -1, 0)
            if statuses.work_has_started(appointment.status)
        }
        unchanged = {dealer: self._content(dealer) for dealer in quiet}
        return Before(*self._seen, dry_run, frozenset(chosen), unchanged, locked)

    def after(self, before: Before) -> None:
        """Judge what the run did."""
        store = self.site.claire.store
        effects = store.effects(None, None, before.effects, 1_000_000)
        requests = store.request_log(before.requests, 1_000_000)
        self._seen = (
            effects[-1]["id"] if effects else before.effects,
            requests[-1]["id"] if requests else before.requests,
        )
        imports = [request for request in requests if request["endpoint"] == "import"]
        for request in imports:
            assert request["outcome"] != "key_reused", f"one key, two documents: {request}"
            self._last[request["location_id"], request["dms_nr"]] = request["outcome"]
        if before.is_dry:
            assert not imports, f"a dry run sent {imports}"
        for dealer, location in LOCATIONS.items():
            mine = [request for request in imports if request["location_id"] == location]
            if dealer not in before.chosen:
                assert not mine, f"{dealer} was not asked for, and yet sent: {mine}"
            if dealer in before.unchanged:
                assert not mine, f"{dealer} had nothing new, and yet sent: {mine}"
                now = self._content(dealer)
                changed = [(a, b) for a, b in zip(before.unchanged[dealer], now, strict=True) if a != b]
                assert not changed, f"{dealer} had nothing new, and yet its tables changed: {changed}"
        for effect in effects:
            if effect["source"] == "import":
                self._judge_effect(effect, before.locked)

    def _judge_effect(self, effect: dict[str, Any], locked: set[tuple[str, str]]) -> None:
        place = (effect["location_id"], effect["dms_nr"])
        assert effect["idempotency_key"] not in self._keys, f"sent twice in effect: {effect}"
        self._keys.add(effect["idempotency_key"])
        assert place not in locked, f"work has started and keep_importing is off, and yet: {effect}"
        for change in effect["changes"]:
            if change["field"] == "canceled" and change["new"]:
                self._judge_cancel(*place)
            if change["field"] == "dms_notes" and change["new"]:
                numbered = re.match(r"#(\d+) ", change["new"])
                serial = int(numbered[1]) if numbered else 0
                assert serial >= self._notes.get(place, 0), f"an older version after a newer one: {effect}"
                self._notes[place] = serial

    def _judge_cancel(self, location: str, number: str) -> None:
        """An order that left the DMS is canceled an hour after it left at the earliest, whatever the clock says."""
        dealer = next(dealer for dealer, place in LOCATIONS.items() if place == location)
        order = self.dealers[dealer].orders[int(number)]
        says_so = any(version["canceled"] for version in order.ever)
        if order.row is not None or order.left_at is None or says_so or dealer in self.was_misled:
            return
        waited = self.site.time - order.left_at
        assert waited >= CONFIRM_AFTER, f"{dealer}: {number} was canceled {waited} after it left the DMS"

    def settle(self, dealer: str, *, full: bool, waiting: int) -> None:
        """A run of the dealer left nothing to do, unless something waits."""
        model = self.dealers[dealer]
        model.is_touched = False
        # A run that died may have read an order that is gone since: this one stages it, and only the next misses it.
        is_staged_late = dealer in self._half_read and model.unsettled(self.site.now)
        self._half_read.discard(dealer)
        was_full = self._settled.get(dealer, (self.site.now, False))[1]
        if waiting or is_staged_late:
            self._settled.pop(dealer, None)
        else:
            self._settled[dealer] = (self.site.now, full or was_full)

    def unsettle(self, dealer: str) -> None:
        """The next run may have to do something."""
        self._settled.pop(dealer, None)
        self._half_read.add(dealer)

    def _is_quiet(self, dealer: str, reach: Reach) -> bool:
        """Whether a run must find nothing to do for the dealer."""
        model = self.dealers[dealer]
        if dealer not in self._settled or reach == "months":  # billed orders, which no other run reads
            return False
        if reach == "none":
            return True
        if model.is_touched:
            self._settled.pop(dealer)
            return False
        at, was_full = self._settled[dealer]
        if not was_full:  # a full pass reads what a tick passes over: cars, parties, lines, orders that hide
            return at == self.site.now and reach == "tick"
        return at == self.site.now or not model.unsettled(self.site.now)

    def expect_refusals(self, fault: Fault) -> None:
        """Claire may refuse documents because of this fault."""
        if fault.get("status") in REFUSALS:
            self._refusable.add((fault["dms_nr"] or "*", fault["location"]))

    def exempt(self, dealer: str) -> set[str]:
        """Appointments that stay as they are: held because work has started, or refused and not sent again since."""
        location = LOCATIONS[dealer]
        keeps_importing = self.site.settings.dealer(dealer).keep_importing
        exempt = set()
        for appointment in self.site.claire.store.list_page([location], None, None, None, -1, 0):
            has_started = statuses.work_has_started(appointment.status)
            if has_started and not keeps_importing:
                exempt.add(appointment.dms_nr)
        for (place, number), outcome in self._last.items():
            if place == location and outcome not in TAKEN and self._may_be_refused(location, number, outcome):
                exempt.add(number)
        return exempt

    def _may_be_refused(self, location: str, number: str, outcome: str) -> bool:
        if outcome == "work_has_started":
            return True
        if outcome == "repeated":
            found = self.site.claire.store.find(location, number)
            return found is not None and statuses.work_has_started(found.status)
        names = ((number, location), (number, None), ("*", location), ("*", None))
        return outcome == "status_before" and any(name in self._refusable for name in names)

    def held(self, dealer: str) -> dict[str, dict[str, Any]]:
        """What Claire holds of the dealer, by DMS number."""
        found = self.site.claire.store.list_page([LOCATIONS[dealer]], None, None, None, -1, 0)
        return {appointment.dms_nr: appointment.document for appointment in found}

    def _content(self, dealer: str) -> list[tuple[Any, ...]]:
        parts = [
            f"SELECT '{table}' AS name, count(*), bit_xor(hash(t)) FROM (SELECT {columns} FROM {table}) t "
            f"WHERE dealer_id = '{dealer}'"
            for table, columns in CONTENT.items()
        ]
        with self.site.process.warehouse.open() as connection:
            return connection.execute(" UNION ALL ".join(parts) + " ORDER BY name").fetchall()
