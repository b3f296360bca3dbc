"""What holds a dealer back from the schedule, and what lifts it again."""

from __future__ import annotations

import hashlib

from autoflex_pipeline.claire.delivery import DealerDelivery
from autoflex_pipeline.errors import CredentialsMissingError
from autoflex_pipeline.runs.context import RunContext
from autoflex_pipeline.settings import DealerSettings, Settings, secret
from autoflex_pipeline.sources.connections import DMS_CAUSE
from autoflex_pipeline.state.holds import current_hold, lift_hold, place_hold

GUARD_CAUSE = "guard"
ACCOUNTS_CAUSE = "accounts"
CLAIRE_CAUSE = "claire:"
"""How the cause of a hold begins that concerns the connection to Claire."""


def hold_or_lift(context: RunContext, dealer: DealerSettings, delivery: DealerDelivery) -> None:
    """Hold the dealer after a tripped guard or a fault of Claire's configuration; lift it when all went well.

    A hold on its login stays in place of the guard's: what is tried again first, and ever more rarely, is the login.
    """
    with context.state.begin() as connection:
        held = current_hold(connection, dealer.id)
        is_dms_held = held is not None and held["cause"].startswith(DMS_CAUSE)
        if delivery.error_kind == "guard":
            if not is_dms_held:
                place_hold(connection, dealer.id, "guard", GUARD_CAUSE, str(delivery.error), context.clock())
        elif delivery.error_kind == "configuration":
            cause = claire_fingerprint(context.settings, dealer)
            place_hold(connection, dealer.id, "configuration", cause, str(delivery.error), context.clock())
        elif delivery.error_kind is None:
            # Only a tick looks at the whole dealer: nothing less shows that the guard has no more reason.
            stays = not context.options.delivers_all and held is not None and held["kind"] == "guard"
            if held is not None and not is_dms_held and not stays:
                lift_hold(connection, dealer.id)


def hold_unaccounted(context: RunContext, dealer: DealerSettings, message: str) -> None:
    """Hold a dealer whose records do not add up: no run mends that before the program is mended."""
    with context.state.begin() as connection:
        place_hold(connection, dealer.id, "accounts", ACCOUNTS_CAUSE, message, context.clock())


def claire_fingerprint(settings: Settings, dealer: DealerSettings) -> str:
    """A short mark that changes when the dealer's connection to Claire changes; it tells nothing of the key."""
    try:
        key = secret(settings.claire_key_variable(dealer), needed_for="Claire").get_secret_value()
    except CredentialsMissingError:
        key = ""
    text = "\0".join((settings.claire.base_url, dealer.claire_location_id, key))
    return CLAIRE_CAUSE + hashlib.blake2b(text.encode(), digest_size=2).hexdigest()
