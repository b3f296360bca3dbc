"""The dealers of the demo: three Dutch garages with credentials that everybody may know."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from autoflex_pipeline.sandbox.autoflex.dealers import SandboxDealer
from autoflex_pipeline.sandbox.autoflex.schema import KEYS
from autoflex_pipeline.sandbox.autoflex.store import AutoflexStore
from autoflex_pipeline.sandbox.claire.service import ClaireKey, Location
from autoflex_pipeline.sandbox.generator import DealerData, DirtyRow, generate_dealer

DEMO_SEED = 417
DEMO_CLAIRE_KEY = "demo-claire-key"
"""In its scope: all locations of the demo."""

_NAMES = (
    ("garage-jansen", "Garage Jansen"),
    ("autobedrijf-de-vries", "Autobedrijf De Vries"),
    ("van-dijk-mobiliteit", "Van Dijk Mobiliteit"),
)


def demo_dealer(dealer_id: str, name: str | None = None) -> SandboxDealer:
    """A dealer whose credentials follow from its id: ``demo-key-<id>``, ``demo-user-<id>``, ``demo-password-<id>``."""
    return SandboxDealer(
        dealer_id=dealer_id,
        name=name or dealer_id.replace("-", " ").title(),
        api_key=f"demo-key-{dealer_id}",
        username=f"demo-user-{dealer_id}",
        password=f"demo-password-{dealer_id}",
    )


DEMO_DEALERS = tuple(demo_dealer(dealer_id, name) for dealer_id, name in _NAMES)
DEMO_LOCATIONS = tuple(Location(str(101 + index), name) for index, (_, name) in enumerate(_NAMES))
"""The Claire locations of DEMO_DEALERS, in the same order: 101, 102, 103."""

DEMO_KEYS = (
    ClaireKey("demo", DEMO_CLAIRE_KEY, tuple(location.location_id for location in DEMO_LOCATIONS)),
    *(
        ClaireKey(dealer.dealer_id, f"demo-claire-key-{dealer.dealer_id}", (location.location_id,))
        for dealer, location in zip(DEMO_DEALERS, DEMO_LOCATIONS, strict=True)
    ),
)


def load_dealer(store: AutoflexStore, data: DealerData) -> None:
    """Put a generated dealer into an Autoflex, in place of what is there."""
    store.clear(data.dealer_id)
    for endpoint in KEYS:
        store.load(data.dealer_id, endpoint, data.keyed(endpoint))


def fill_once(
    store: AutoflexStore,
    dealers: Sequence[SandboxDealer],
    today: date,
    *,
    seed: int = DEMO_SEED,
    months: int = 3,
    orders_per_day: float = 6,
    open_orders: int | None = None,
    dirty: float = 0.02,
) -> dict[str, list[DirtyRow]]:
    """Generate each dealer that has no orders yet; the dirty rows made, by dealer (none for one that was there)."""
    made: dict[str, list[DirtyRow]] = {}
    for dealer in dealers:
        if store.count(dealer.dealer_id, "order") == 0:
            data = generate_dealer(
                seed,
                dealer.dealer_id,
                today,
                months,
                orders_per_day=orders_per_day,
                open_orders=open_orders,
                dirty=dirty,
            )
            load_dealer(store, data)
            made[dealer.dealer_id] = data.dirty
    return made
