"""The steps after reading: stage, compare, deliver, publish. Each is one call for all dealers of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autoflex_pipeline.claire.delivery import DealerDelivery, DeliveryOptions, deliver_dealer
from autoflex_pipeline.claire.documents import refresh_documents
from autoflex_pipeline.quality.schema_drift import note_fields
from autoflex_pipeline.runs.accounts import check_accounts, note_lost, unaccounted
from autoflex_pipeline.runs.closing import close_run
from autoflex_pipeline.runs.context import RunContext
from autoflex_pipeline.runs.holding import hold_or_lift, hold_unaccounted
from autoflex_pipeline.runs.spans import step
from autoflex_pipeline.settings import DealerSettings
from autoflex_pipeline.staging import StageCounts, StagingContext, lost_in_staging, quarantine, stage_entities
from autoflex_pipeline.staging.accounting import stage_lost_again
from autoflex_pipeline.staging.again import stage_orders_again
from autoflex_pipeline.state.dealers import dealer_row
from autoflex_pipeline.state.marks import PUBLISH_WANTED, ZONES_STAGED, mark, set_mark


@dataclass(frozen=True, slots=True)
class Staged:
    """What a staging did: counts by entity and dealer, and the number of documents that changed."""

    counts: dict[str, dict[str, StageCounts]]
    documents: int


@dataclass(frozen=True, slots=True)
class Accounted:
    """The dealers whose records do not add up, and whether the run ends with that: they are all that it has."""

    unbalanced: list[str]
    ends_run: bool


@step
def stage(context: RunContext) -> Staged:
    """Type, repair, validate and accept or quarantine whatever raw is new, for whichever dealer; compare its documents.

    On a full pass everything in quarantine is taken again first, with today's rules. One transaction: nobody sees an
    order without its new lines, or a staged change whose document was not compared.
    """
    staging = _staging_context(context)
    corrected, zones = _corrected_zones(context, staging.zones)
    lost = unaccounted(context)
    with context.warehouse.open() as connection:
        for dealer_id in lost:
            stage_lost_again(connection, dealer_id)
        for dealer_id in corrected:
            stage_orders_again(connection, dealer_id)
        if context.options.full:
            for dealer in context.dealers:
                quarantine.retry(connection, dealer_id=dealer.id)
        note_fields(connection, staging.now)
        counts = stage_entities(connection, staging)
        note_lost(context, lost_in_staging(connection))
        documents = refresh_documents(connection, staging.zones, staging.now)
        if any(counts.values()):
            # Before the commit: a run that dies after it has nothing left to tell the next one that something changed.
            _want_publication(context)
    if zones is not None:
        # Only now: a run that dies before this stages them once more.
        with context.state.begin() as state:
            set_mark(state, ZONES_STAGED, zones)
    return Staged(counts, documents)


def _corrected_zones(context: RunContext, zones: Mapping[str, str]) -> tuple[list[str], dict[str, str] | None]:
    """The dealers whose time zone is not the one that their orders were staged with: their times meant something else.

    Second the zones to remember, None when they are remembered already.
    """
    with context.state.begin() as state:
        known: dict[str, str] = mark(state, ZONES_STAGED) or {}
    now = known | dict(zones)
    corrected = [dealer_id for dealer_id, zone in zones.items() if known.get(dealer_id, zone) != zone]
    return corrected, None if now == known else now


def _staging_context(context: RunContext) -> StagingContext:
    return StagingContext(
        zones={dealer.id: dealer.timezone for dealer in context.settings.dealers},
        waiting_hours={dealer.id: dealer.waiting_hours for dealer in context.settings.dealers},
        now=context.clock(),
        run_id=context.run_id,
    )


def _want_publication(context: RunContext) -> None:
    with context.state.begin() as state:
        set_mark(state, PUBLISH_WANTED, True)


@step
def account(context: RunContext) -> Accounted:
    """Check that nothing vanished between what was read and what is staged.

    A run that could send nothing for any of its dealers is closed here. One with others beside them goes on for those:
    what happens to one dealer changes nothing for another.
    """
    unbalanced = check_accounts(context)
    ends_run = all(dealer.id in unbalanced for dealer in context.dealers)
    if ends_run:
        _keep_back(context, unbalanced)
        close_run(context, {})
    return Accounted(list(unbalanced), ends_run)


def _keep_back(context: RunContext, reasons: Mapping[str, str]) -> None:
    """Note of the dealers of the run that nothing is sent for them, and hold them back from the schedule."""
    for dealer in context.dealers:
        if dealer.id in reasons:
            context.note(dealer.id, "accounts", reasons[dealer.id])
            if not context.options.dry_run:
                hold_unaccounted(context, dealer, reasons[dealer.id])


@step
def deliver(context: RunContext) -> dict[str, DealerDelivery]:
    """Deliver what differs to Claire, all dealers at once; what goes wrong is noted for the dealer it happened to.

    Nothing is sent for a dealer whose records do not add up, whichever run found that.
    """
    emptied = _emptied_lists(context)
    stopped = unaccounted(context)
    _keep_back(context, stopped)
    day = context.options.day

    def deliver_one(dealer: DealerSettings) -> DealerDelivery:
        options = DeliveryOptions(
            dry_run=context.options.dry_run,
            allow_mass_change=context.options.allow_mass_change,
            deliver_history=context.options.deliver_history,
            window=context.options.window if day is None else (day, day),
            numbers=context.options.numbers,
            force=context.options.force,
            open_list_emptied=emptied[dealer.id],
            ask_held_again=context.options.full,
            patient=context.options.patient,
        )
        return deliver_dealer(
            dealer,
            context.settings,
            context.warehouse,
            context.state,
            context.claire,
            options,
            run_id=context.run_id,
            clock=context.clock,
        )

    asked = [dealer for dealer in context.dealers if dealer.id not in stopped]
    deliveries = {dealer.id: delivery for dealer, delivery in context.for_each(asked, deliver_one, counts=_counts)}
    for dealer_id, delivery in deliveries.items():
        if delivery.error and delivery.error_kind:
            context.note(dealer_id, delivery.error_kind, delivery.error)
        if not context.options.dry_run:
            hold_or_lift(context, context.settings.dealer(dealer_id), delivery)
    return deliveries


def _counts(delivery: DealerDelivery) -> dict[str, int]:
    return {**delivery.counts, "retries": delivery.retries}


def _emptied_lists(context: RunContext) -> Mapping[str, bool]:
    """Whether the open list of a dealer was empty when it was last read whole, in this run or an earlier one.

    A run that could not read it must not send what the guard stopped in the run before.
    """
    with context.state.begin() as connection:
        rows = {dealer.id: dealer_row(connection, dealer.id) for dealer in context.dealers}
    return {dealer_id: row["read_count"] == 0 for dealer_id, row in rows.items()}
