"""The steps after reading: stage, compare, deliver, publish. Each is one call for all dealers of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autoflex_pipeline.claire.delivery import DealerDelivery, DeliveryOptions, deliver_dealer
from autoflex_pipeline.claire.documents import refresh_documents
from autoflex_pipeline.runs.context import RunContext
from autoflex_pipeline.runs.holding import hold_or_lift
from autoflex_pipeline.settings import DealerSettings
from autoflex_pipeline.staging import StageCounts, StagingContext, quarantine, stage_entity
from autoflex_pipeline.state.dealers import dealer_row
from autoflex_pipeline.state.marks import PUBLISH_WANTED, set_mark


def retry_quarantine(context: RunContext) -> int:
    """On a full pass: take everything in quarantine again, with today's rules; gives the number of records."""
    if not context.options.full:
        return 0
    with context.warehouse.open() as connection:
        return sum(quarantine.retry(connection, dealer_id=dealer.id) for dealer in context.dealers)


def stage(context: RunContext, entity: str) -> dict[str, StageCounts]:
    """Type, repair, validate and accept or quarantine whatever raw is new, for whichever dealer."""
    staging = StagingContext(
        zones={dealer.id: dealer.timezone for dealer in context.settings.dealers},
        waiting_hours={dealer.id: dealer.waiting_hours for dealer in context.settings.dealers},
        now=context.clock(),
        run_id=context.run_id,
    )
    with context.warehouse.open() as connection:
        counts = stage_entity(connection, entity, staging)
    if counts:
        with context.state.begin() as state:
            set_mark(state, PUBLISH_WANTED, True)
    return counts


def refresh(context: RunContext) -> int:
    """Compare the documents of whatever changed in staging; gives the number of documents made."""
    zones = {dealer.id: dealer.timezone for dealer in context.settings.dealers}
    with context.warehouse.open() as connection:
        return refresh_documents(connection, zones, context.clock())


def deliver(context: RunContext) -> dict[str, DealerDelivery]:
    """Deliver what differs to Claire, all dealers at once; what goes wrong is noted for the dealer it happened to."""
    emptied = _emptied_lists(context)

    def deliver_one(dealer: DealerSettings) -> DealerDelivery:
        options = DeliveryOptions(
            dry_run=context.options.dry_run,
            allow_mass_change=context.options.allow_mass_change,
            deliver_history=context.options.deliver_history,
            window=context.options.window,
            numbers=context.options.numbers,
            force=context.options.force,
            open_list_emptied=emptied[dealer.id],
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

    deliveries = {dealer.id: delivery for dealer, delivery in context.for_each(context.dealers, deliver_one)}
    for dealer_id, delivery in deliveries.items():
        if delivery.error and delivery.error_kind:
            context.note(dealer_id, delivery.error_kind, delivery.error)
        if not context.options.dry_run:
            hold_or_lift(context, context.settings.dealer(dealer_id), delivery)
    return deliveries


def _emptied_lists(context: RunContext) -> Mapping[str, bool]:
    """Whether this run's complete open list of a dealer came back empty."""
    with context.state.begin() as connection:
        rows = {dealer.id: dealer_row(connection, dealer.id) for dealer in context.dealers}
    return {
        dealer_id: row["read_run_id"] == context.run_id and row["read_digest"] is not None and row["read_count"] == 0
        for dealer_id, row in rows.items()
    }


def retry_now(
    context: RunContext, *, dealer_id: str | None, entity: str | None, dms_numbers: Sequence[str]
) -> tuple[int, int]:
    """Validate quarantined records anew without reading the DMS; gives how many, and how many are still rejected."""
    before = _quarantined(context, dealer_id, entity, dms_numbers)
    with context.warehouse.open() as connection:
        for dealer, kind, number in before:
            quarantine.retry(connection, dealer_id=dealer, entity=kind, dms_number=number)
    for name in ("party", "car", "appointment", "intervention"):
        stage(context, name)
    refresh(context)
    return len(before), len(before & _quarantined(context, dealer_id, entity, dms_numbers))


def _quarantined(
    context: RunContext, dealer_id: str | None, entity: str | None, dms_numbers: Sequence[str]
) -> set[tuple[str, str, str | None]]:
    with context.warehouse.open() as connection:
        found = quarantine.entries(connection, dealer_id=dealer_id, entity=entity)
    wanted = set(dms_numbers)
    return {
        (entry["dealer_id"], entry["entity"], entry["dms_number"])
        for entry in found
        if not wanted or entry["dms_number"] in wanted
    }
