"""What a backfill would cost, before it starts: requests and time, from a handful of looks at each dealer's lists.

Nothing is stored and nothing is sent. Parts are counted at most: what earlier runs have read of an order, and what
one request brings of several, makes the backfill cheaper than its estimate.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date

from autoflex_pipeline.errors import PipelineError
from autoflex_pipeline.model import dms_name
from autoflex_pipeline.settings import ClaireSettings, DealerSettings, Settings
from autoflex_pipeline.sources.autoflex_api import AutoflexApi
from autoflex_pipeline.sources.autoflex_api.sizing import ListSize
from autoflex_pipeline.sources.connections import ApiConnections
from autoflex_pipeline.sources.window import day_in

DEALERS_AT_ONCE = 16
CLAIRE_SECONDS_PER_DOCUMENT = 0.05
"""Where Claire's rate is not limited."""


@dataclass(frozen=True, slots=True)
class DealerEstimate:
    """Of one dealer: work orders in all and in the months (about), requests by kind of record, seconds of reading.

    ``documents`` are the most that would be sent to Claire because history was asked for. ``looks`` are the requests
    that the estimate itself took; ``error``: why there is none.
    """

    orders: int = 0
    orders_in_months: int = 0
    requests: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    documents: int = 0
    looks: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of all dealers: ``seconds`` is the slowest dealer's reading (they are read at once), and then the sending."""

    dealers: dict[str, DealerEstimate]
    requests: int
    seconds: float
    documents: int

    @property
    def is_whole(self) -> bool:
        """Whether every dealer could be looked at."""
        return all(estimate.error is None for estimate in self.dealers.values())


def estimate_backfill(
    settings: Settings,
    apis: ApiConnections,
    dealers: Sequence[DealerSettings],
    first: date,
    last: date,
    *,
    deliver_history: bool,
) -> Estimate:
    """Estimate a backfill from ``first`` to ``last``; a dealer that cannot be looked at has an error, others go on."""

    def of(dealer: DealerSettings) -> DealerEstimate:
        try:
            if dealer.api is None:
                return DealerEstimate(error="the dealer has no API to read months from")
            return _of_dealer(apis.get(dealer), first, last, deliver_history=deliver_history)
        except PipelineError as error:
            return DealerEstimate(error=str(error))

    with ThreadPoolExecutor(max_workers=min(DEALERS_AT_ONCE, max(1, len(dealers))), thread_name_prefix="size") as pool:
        found = dict(zip((dealer.id for dealer in dealers), pool.map(of, dealers), strict=True))
    documents = sum(estimate.documents for estimate in found.values())
    reading = max((estimate.seconds for estimate in found.values()), default=0.0)
    return Estimate(
        dealers=found,
        requests=sum(sum(estimate.requests.values()) for estimate in found.values()),
        seconds=reading + _sending_seconds(settings.claire, documents),
        documents=documents,
    )


def _of_dealer(api: AutoflexApi, first: date, last: date, *, deliver_history: bool) -> DealerEstimate:
    started = time.monotonic()
    lists, looks = api.size_of_work_orders((first, last), day_in)
    # With range filters the list by planned date is the one that months are about.
    orders = lists[0]

    def is_meant(text: str) -> bool:
        day = day_in(text)
        return day is not None and first <= day <= last

    count = orders.count(is_meant)
    meant = [text for texts in orders.sample for text in texts if is_meant(text)]
    cars = _scaled(_distinct(meant, dms_name("appointment", "car_dms_number")), len(meant), count)
    contractors = _scaled(_distinct(meant, dms_name("appointment", "contractor_dms_number")), len(meant), count)
    requests = {"order": sum(size.pages for size in lists)}
    # A car names a driver and an owner, mostly one person.
    for entity, wanted in (("order_line", count), ("vehicle", cars), ("relation", contractors + cars)):
        pages = 0
        if wanted:
            size, needed = api.size_of(entity)
            looks += needed
            pages = _cheaper(wanted, size)
        requests[entity] = pages
    seconds_per_request = (time.monotonic() - started) / max(1, looks)
    return DealerEstimate(
        orders=orders.rows,
        orders_in_months=count,
        requests=requests,
        seconds=_reading_seconds(api, sum(requests.values()), seconds_per_request),
        documents=count if deliver_history else 0,
        looks=looks,
    )


def _cheaper(wanted: int, size: ListSize) -> int:
    """Few by number, or many by whole pages: whichever is fewer requests."""
    return min(wanted, size.pages)


def _distinct(texts: Collection[str], name: str) -> int:
    return len({str(value) for text in texts if (value := json.loads(text).get(name))})


def _scaled(of_sample: int, sample: int, whole: int) -> int:
    return round(of_sample * whole / sample) if sample else 0


def _reading_seconds(api: AutoflexApi, requests: int, seconds_per_request: float) -> float:
    """As fast as the DMS answered the looks, several at once, but no faster than the rate allowed."""
    settings = api.connection.api
    at_once = requests * seconds_per_request / settings.max_concurrency
    rate = settings.max_requests_per_second
    return max(at_once, requests / rate if rate else 0.0)


def _sending_seconds(claire: ClaireSettings, documents: int) -> float:
    rate = claire.max_requests_per_second
    return documents / rate if rate else documents * CLAIRE_SECONDS_PER_DOCUMENT
