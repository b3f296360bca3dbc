"""What a backfill would cost, before it starts: requests and time, from a handful of looks at each dealer's lists.

Nothing is stored and nothing is sent. What earlier runs have read of an order (lines, car, contractor) is not counted.
The rest is counted at most: one request may bring several of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import duckdb

from autoflex_pipeline.errors import PipelineError
from autoflex_pipeline.model import dms_name
from autoflex_pipeline.settings import ClaireSettings, DealerSettings, Settings
from autoflex_pipeline.sources.autoflex_api import AutoflexApi
from autoflex_pipeline.sources.autoflex_api.sizing import Days, ListSize
from autoflex_pipeline.sources.connections import ApiConnections
from autoflex_pipeline.sources.needs import followed_orders
from autoflex_pipeline.sources.window import day_in
from autoflex_pipeline.warehouse import Warehouse

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
    warehouse: Warehouse,
    spans: Mapping[str, Days],
    *,
    deliver_history: bool,
) -> Estimate:
    """Estimate a backfill of these dealers, each from its first day to its last; what was read already costs nothing.

    A dealer that cannot be looked at has an error, others go on.
    """
    dealers = [settings.dealer(dealer_id) for dealer_id in spans]
    with warehouse.open() as connection:
        known = {dealer_id: _known(connection, dealer_id) for dealer_id in spans}

    def of(dealer: DealerSettings) -> DealerEstimate:
        try:
            if dealer.api is None:
                return DealerEstimate(error="the dealer has no API to read months from")
            return _of_dealer(apis.get(dealer), spans[dealer.id], known[dealer.id], deliver_history=deliver_history)
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


@dataclass(frozen=True, slots=True)
class _Known:
    """Of one dealer: the orders whose lines, car and contractor were read, and those that Claire has."""

    lines: Collection[str]
    cars: Collection[str]
    contractors: Collection[str]
    in_claire: Collection[str]


def _known(connection: duckdb.DuckDBPyConnection, dealer_id: str) -> _Known:
    query = "SELECT dms_number FROM acknowledged WHERE dealer_id = ?"
    return _Known(
        lines=followed_orders(connection, dealer_id, "order_line"),
        cars=followed_orders(connection, dealer_id, "vehicle"),
        contractors=followed_orders(connection, dealer_id, "relation"),
        in_claire={row[0] for row in connection.execute(query, [dealer_id]).fetchall()},
    )


def _of_dealer(api: AutoflexApi, days: Days, known: _Known, *, deliver_history: bool) -> DealerEstimate:
    started = time.monotonic()
    lists, looks = api.size_of_work_orders(days, day_in)
    # With range filters the list by planned date is the one that months are about.
    orders = lists[0]

    def is_meant(text: str) -> bool:
        day = day_in(text)
        return day is not None and days[0] <= day <= days[1]

    def count_but(read: Collection[str]) -> int:
        return orders.count(lambda text: is_meant(text) and _number(text) not in read)

    def distinct_but(read: Collection[str], field: str) -> int:
        """About how many cars or contractors the orders in the months refer to, without those that were read."""
        meant = [text for texts in orders.sample for text in texts if is_meant(text) and _number(text) not in read]
        return _scaled(_distinct(meant, dms_name("appointment", field)), len(meant), count_but(read))

    cars = distinct_but(known.cars, "car_dms_number")
    contractors = distinct_but(known.contractors, "contractor_dms_number")
    requests = {"order": sum(size.pages for size in lists)}
    # A car names a driver and an owner, mostly one person.
    for entity, wanted in (("order_line", count_but(known.lines)), ("vehicle", cars), ("relation", contractors + cars)):
        pages = 0
        if wanted:
            size, needed = api.size_of(entity)
            looks += needed
            pages = _cheaper(wanted, size)
        requests[entity] = pages
    seconds_per_request = (time.monotonic() - started) / max(1, looks)
    return DealerEstimate(
        orders=orders.rows,
        orders_in_months=count_but(()),
        requests=requests,
        seconds=_reading_seconds(api, sum(requests.values()), seconds_per_request),
        documents=count_but(known.in_claire) if deliver_history else 0,
        looks=looks,
    )


def _number(text: str) -> str:
    return str(json.loads(text).get(dms_name("appointment", "dms_number")))


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
