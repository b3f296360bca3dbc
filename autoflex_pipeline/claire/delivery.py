"""Delivering for one dealer: plan, intents, sending, what is left; one run at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import duckdb

from autoflex_pipeline.claire import comparing, mirror
from autoflex_pipeline.claire.client import ClaireConnections, ClaireUnreachableError
from autoflex_pipeline.claire.documents import Projections, projections
from autoflex_pipeline.claire.intents import Intent, Prepared, prepare
from autoflex_pipeline.claire.options import DealerDelivery, DeliveryOptions
from autoflex_pipeline.claire.plan import Plan, make_plan
from autoflex_pipeline.claire.policies import Candidate, Hindrance, depends_on_status
from autoflex_pipeline.claire.sending import Sender
from autoflex_pipeline.collecting import collecting_rarely
from autoflex_pipeline.errors import ConfigurationError, StoreBusyError
from autoflex_pipeline.settings import DealerSettings, Settings
from autoflex_pipeline.state import StateStore, outbox
from autoflex_pipeline.state.locks import dealer_lock
from autoflex_pipeline.state.outages import current_outage, end_outage, note_outage
from autoflex_pipeline.warehouse import Warehouse

BUILT_TOGETHER = 2_000
"""Documents that are built in one query: bounds the memory."""

SENT_TOGETHER = 250
"""Documents whose intents are made durable in one commit, and then sent side by side."""

STILL_ON_THEIR_WAY = 128

FAILED_BY_ITSELF = 1
"""So many documents without an answer say nothing of the others: a fresh one finds out at once whose fault it is."""

__all__ = ["DealerDelivery", "DeliveryOptions", "deliver_dealer"]


def deliver_dealer(
    dealer: DealerSettings,
    settings: Settings,
    warehouse: Warehouse,
    state: StateStore,
    connections: ClaireConnections,
    options: DeliveryOptions | None = None,
    *,
    run_id: str,
    clock: Callable[[], datetime],
    wait_seconds: float = 60,
) -> DealerDelivery:
    """Bring Claire in step for ``dealer``; what goes wrong for it is in the result, not raised.

    Waits up to ``wait_seconds`` for another run that delivers for the same dealer. ``document`` must be refreshed.
    """
    delivery = _Delivery(dealer, settings, warehouse, state, connections, options or DeliveryOptions(), run_id, clock)
    try:
        with dealer_lock(state.path, dealer.id, wait_seconds=wait_seconds), collecting_rarely():
            return delivery.run()
    except StoreBusyError as error:
        return DealerDelivery(error=str(error), error_kind="busy")


class _Delivery:
    """One run for one dealer, under its lock."""

    def __init__(
        self,
        dealer: DealerSettings,
        settings: Settings,
        warehouse: Warehouse,
        state: StateStore,
        connections: ClaireConnections,
        options: DeliveryOptions,
        run_id: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._dealer = dealer
        self._settings = settings
        self._warehouse = warehouse
        self._state = state
        self._connections = connections
        self._options = options
        self._run_id = run_id
        self._clock = clock
        self._result = DealerDelivery()
        self._began = clock()

    def run(self) -> DealerDelivery:
        if not self._compared():
            return self._result
        plan = self._plan()
        if self._options.dry_run:
            self._preview(plan)
            return self._result
        self._write_plan(plan)
        if plan.guard is not None:
            self._result.error, self._result.error_kind = plan.guard, "guard"
        results: dict[str, str] = {}
        if plan.to_send:
            results = self._deliver(plan)
            with self._warehouse.open() as connection, self._state.begin() as state:
                mirror.bring_up(connection, state)
        self._sum_up(plan, results)
        return self._result

    def _compared(self) -> bool:
        """Whether what Claire holds is known; False, and the dealer fails, when it must be read and cannot be."""
        with self._state.begin() as state:
            if not comparing.is_due(state, self._dealer.id):
                return True
        try:
            comparing.compare(self._dealer, self._connections.get(self._dealer), self._state, now=self._clock())
        except ConfigurationError as error:
            self._result.error, self._result.error_kind = str(error), "configuration"
        except ClaireUnreachableError as error:
            self._result.error_kind = "transport"
            self._result.error = (
                f"dealer {self._dealer.id!r}: after the restore, what Claire holds could not be read ({error}): "
                "nothing was sent; the next run tries again"
            )
        return self._result.error is None

    def _plan(self) -> Plan:
        with self._warehouse.open() as connection, self._state.begin() as state:
            mirror.bring_up(connection, state)
            if self._options.deliver_history and self._options.window and not self._options.dry_run:
                self._owe_history(connection)
            return make_plan(self._dealer, self._options, connection, state, run_id=self._run_id, now=self._clock())

    def _owe_history(self, connection: duckdb.DuckDBPyConnection) -> None:
        first, last = self._options.window or (None, None)
        connection.execute(
            "UPDATE document SET is_owed = true "
            "WHERE dealer_id = ? AND NOT is_owed AND appointment_date BETWEEN ? AND ?",
            [self._dealer.id, first, last],
        )

    def _write_plan(self, plan: Plan) -> None:
        if plan.obsolete or plan.set_aside:
            with self._state.begin() as state:
                outbox.clear_dispositions(state, self._dealer.id, plan.obsolete)
                outbox.set_dispositions(state, self._dealer.id, plan.set_aside)

    def _deliver(self, plan: Plan) -> dict[str, str]:
        """Send what the plan says; by appointment what came of it."""
        try:
            connection = self._connections.get(self._dealer)
        except ConfigurationError as error:
            self._leave(plan, plan.to_send, "configuration", str(error))
            return {}
        with self._state.begin() as state:
            outage = current_outage(state, self._dealer.id)
        failed_before = plan.failed_since()
        fresh = [candidate for candidate in plan.to_send if candidate.dms_number not in failed_before]
        if outage is not None and self._options.patient and self._clock() < outage["next_try_at"]:
            # What had no answer before the outage began, while others had one, fails by itself.
            failed_with_it = [number for number, since in failed_before.items() if since >= outage["since"]]
            if not fresh or len(failed_with_it) > FAILED_BY_ITSELF:
                self._wait_for_claire(plan, fresh, outage)
                return {}
        if outage is None:
            # What failed before goes last, so that it cannot keep the others from being tried.
            first, left = [], fresh + [one for one in plan.to_send if one.dms_number in failed_before]
        else:
            # A fresh one finds out whether Claire is back; when it is, the most urgent go first, tried before or not.
            first = (fresh or plan.to_send)[:1]
            left = [candidate for candidate in plan.to_send if candidate not in first]
        with ThreadPoolExecutor(self._settings.claire.max_concurrency, "claire") as pool:
            sender = Sender(
                self._dealer,
                connection,
                self._state,
                pool,
                run_id=self._run_id,
                clock=self._clock,
                failed_before=failed_before,
            )
            try:
                equal = self._probe(sender, first)
                for batch, built in self._built(left):
                    if sender.is_stopped:
                        break
                    prepared = self._prepare(batch, built)
                    left = left[len(batch) :]
                    equal += prepared.equal
                    sender.start(prepared.intents)
                    # The next batch is made while the last ones of this are on their way.
                    sender.drain(down_to=STILL_ON_THEIR_WAY)
                sender.drain()
            except BaseException:
                sender.abandon()
                raise
        results = dict.fromkeys(equal, "unchanged") | sender.tally.results
        self._result.changes = sender.tally.changes
        self._result.retries = sender.tally.retries
        if sender.is_stopped:
            kind = "configuration" if sender.fault else "transport"
            self._leave(plan, left, kind, sender.fault or "Claire could not be reached")
        self._note_outage(is_out=sender.is_without_answer, was_out=outage is not None)
        return results

    def _probe(self, sender: Sender, candidates: Sequence[Candidate]) -> list[str]:
        """Send the first of all to a Claire that did not answer lately; gives it when it turned out equal."""
        equal: list[str] = []
        for batch, built in self._built(candidates):
            prepared = self._prepare(batch, built)
            equal += prepared.equal
            sender.probe(prepared.intents)
        return equal

    def _note_outage(self, *, is_out: bool, was_out: bool) -> None:
        """Remember a Claire that does not answer, so that the next runs ask for one document before all others."""
        if not is_out and not was_out:
            return
        with self._state.begin() as state:
            if is_out:
                self._result.retry_at = note_outage(state, self._dealer.id, self._began, now=self._clock())
            else:
                end_outage(state, self._dealer.id)

    def _wait_for_claire(self, plan: Plan, fresh: Sequence[Candidate], outage: dict[str, Any]) -> None:
        """Send nothing: the schedule's runs leave a Claire alone that did not answer lately."""
        since, next_try = (outage[name].astimezone(self._dealer.zone) for name in ("since", "next_try_at"))
        reason = f"Claire has not answered since {since:%H:%M}; the next try is due at {next_try:%H:%M}"
        self._leave(plan, fresh, "transport", reason)
        self._result.retry_at = outage["next_try_at"]

    def _built(self, candidates: Sequence[Candidate]) -> Iterator[tuple[Sequence[Candidate], Projections]]:
        """The candidates in batches that are sent together, each with the projections of its appointments.

        The first is built by itself: while it is on its way, there is time for the others.
        """
        groups = [candidates[:SENT_TOGETHER], *_chunks(candidates[SENT_TOGETHER:], BUILT_TOGETHER)]
        for group in filter(None, groups):
            keys = [(self._dealer.id, candidate.dms_number) for candidate in group]
            with self._warehouse.open() as connection:
                built = projections(connection, keys, {self._dealer.id: self._dealer.timezone})
            for batch in _chunks(group, SENT_TOGETHER):
                yield batch, built

    def _prepare(self, batch: Sequence[Candidate], built: Projections, *, dry_run: bool = False) -> Prepared:
        """Make the intents of a batch durable (not in a dry run)."""
        with self._state.begin() as state:
            prepared = prepare(
                state,
                self._dealer,
                batch,
                built,
                run_id=self._run_id,
                now=self._clock(),
                force=self._options.force,
                dry_run=dry_run,
            )
            if not dry_run:
                outbox.clear_dispositions(state, self._dealer.id, prepared.equal)
        return prepared

    def _leave(self, plan: Plan, candidates: Sequence[Candidate], kind: str, reason: str) -> None:
        """The rest stays pending, and the dealer fails."""
        plan.set_aside.clear()
        for candidate in candidates:
            plan.set_aside_row(candidate, "pending", kind, reason, self._clock(), None)
        with self._state.begin() as state:
            outbox.set_dispositions(state, self._dealer.id, plan.set_aside)
        if kind == "configuration":
            step = "correct the configuration, then run sync"
            self._result.error_kind = "configuration"
        else:
            step = "what is left is sent by the next run"
            self._result.error_kind = "transport"
        self._result.error = f"dealer {self._dealer.id!r}: delivery stopped: {reason}; {step}"

    def _preview(self, plan: Plan) -> None:
        """Say, print and keep what would be sent; nothing else is written, nothing is sent."""
        now = self._clock()
        results: dict[str, str] = {}
        hindered: dict[str, Hindrance] = {}
        for batch, built in self._built(plan.to_send):
            prepared = self._prepare(batch, built, dry_run=True)
            results |= dict.fromkeys(prepared.equal, "unchanged")
            hindered |= self._would_not_go(prepared.intents)
            for intent in prepared.intents:
                if intent.candidate.dms_number in hindered:
                    continue
                result = "updated" if intent.candidate.is_acknowledged else "created"
                results[intent.candidate.dms_number] = result
                self._result.changes.append(
                    {
                        "dms_number": intent.candidate.dms_number,
                        "fields_changed": outbox.from_json(intent.fields_changed),
                        "result": result,
                    }
                )
        with self._warehouse.open() as connection:
            self._keep_preview(connection, now)
        if plan.guard is not None:
            self._result.error, self._result.error_kind = plan.guard, "guard"
        would_be = {number: row["state"] for number, row in plan.stays.items()}
        would_be |= {row["dms_number"]: row["state"] for row in plan.set_aside}
        would_be |= hindered
        settled = plan.obsolete | results.keys() | {number for number, why in hindered.items() if why == "absent"}
        self._count(plan, results, {number: state for number, state in would_be.items() if number not in settled})

    def _would_not_go(self, intents: Sequence[Intent]) -> dict[str, Hindrance]:
        """By appointment why its document would not go: where that depends on its status, Claire is asked."""
        asked = [intent for intent in intents if depends_on_status(intent.candidate, self._dealer)]
        if not asked:
            return {}
        try:
            connection = self._connections.get(self._dealer)
            with ThreadPoolExecutor(self._settings.claire.max_concurrency, "claire") as pool:
                sender = Sender(self._dealer, connection, self._state, pool, run_id=self._run_id, clock=self._clock)
                return sender.would_not_go(asked)
        except (ConfigurationError, ClaireUnreachableError) as error:
            self._result.error_kind = "configuration" if isinstance(error, ConfigurationError) else "transport"
            self._result.error = (
                f"dealer {self._dealer.id!r}: Claire could not be asked for the status of the appointments where that "
                f"decides whether they are sent, so the preview shows them as if they were: {error}"
            )
            return {}

    def _keep_preview(self, connection: duckdb.DuckDBPyConnection, now: datetime) -> None:
        connection.execute("DELETE FROM preview WHERE dealer_id = ?", [self._dealer.id])
        changes = self._result.changes
        connection.execute(
            "INSERT INTO preview BY NAME SELECT $dealer AS dealer_id, unnest($numbers::VARCHAR[]) AS dms_number, "
            "unnest($results::VARCHAR[]) AS result, unnest($fields::VARCHAR[]) AS fields_changed, "
            "$now AS previewed_at, $run AS run_id",
            {
                "dealer": self._dealer.id,
                "numbers": [change["dms_number"] for change in changes],
                "results": [change["result"] for change in changes],
                "fields": [outbox.as_json(change["fields_changed"]) for change in changes],
                "now": now,
                "run": self._run_id,
            },
        )

    def _sum_up(self, plan: Plan, results: Mapping[str, str]) -> None:
        with self._state.begin() as state:
            rows = outbox.dispositions(state, self._dealer.id)
        self._count(plan, results, {number: row["state"] for number, row in rows.items()})
        due = [row["due_at"] for row in rows.values() if row["due_at"] is not None]
        self._result.next_due_at = min(due, default=None)

    def _count(self, plan: Plan, results: Mapping[str, str], states: Mapping[str, str]) -> None:
        counts = self._result.counts
        if plan.scope is not None:
            states = {number: state for number, state in states.items() if number in plan.scope}
        for result in results.values():
            if result in ("created", "updated"):
                counts[result] += 1
        for name in states.values():
            counts[name] += 1
        settled = {number for number, result in results.items() if result == "unchanged"}
        moved = {number for number, result in results.items() if result in ("created", "updated")}
        counts["unchanged"] = len((plan.seen | settled) - moved - states.keys())


def _chunks(candidates: Sequence[Candidate], size: int) -> Iterator[Sequence[Candidate]]:
    for start in range(0, len(candidates), size):
        yield candidates[start : start + size]
