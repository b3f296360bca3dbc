"""How long a change took from the DMS to Claire."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from autoflex_pipeline.quality.latency import run_latency
from autoflex_pipeline_tests.unit.quality.conftest import DEALER, NOW, Past, ago


def staged(past: Past, number: str, at: datetime, **values: Any) -> None:
    past.insert("appointment", [{"dealer_id": DEALER, "dms_number": number, "observed_at": at, **values}])


def sent(past: Past, number: str, at: datetime, *fields: str, result: str = "updated") -> None:
    changed = json.dumps([{"field": field, "old": None, "new": 1} for field in fields])
    past.insert(
        "delivery",
        [{
            "dealer_id": DEALER, "dms_number": number, "attempted_at": at, "result": result, "fields_changed": changed,
            "run_id": "run",
        }],
    )  # fmt: skip


def latency(past: Past) -> dict[str, float]:
    return run_latency(past.connection, "run", NOW)


def test_it_counts_from_the_moment_that_the_dms_gives(past: Past) -> None:
    staged(past, "1", ago(seconds=20), modified_at=ago(seconds=45))
    sent(past, "1", ago(seconds=15), "dms_notes")
    assert latency(past)["latency_max_seconds"] == 30


def test_it_counts_from_the_reading_where_the_dms_gives_none_or_one_of_long_ago(past: Past) -> None:
    for number, modified_at in (("1", None), ("2", ago(days=3))):
        past.insert("raw_record", [{"seq": int(number), "entity": "order", "fetched_at": ago(seconds=25)}])
        staged(past, number, ago(seconds=20), modified_at=modified_at, raw_seq=int(number))
        sent(past, number, ago(seconds=15), "wo_nr", result="created")
    assert latency(past) == dict.fromkeys(("latency_p50_seconds", "latency_p95_seconds", "latency_max_seconds"), 10)


def test_a_delivery_that_failed_and_was_tried_again_took_as_long_as_it_took(past: Past) -> None:
    staged(past, "1", ago(minutes=30))
    sent(past, "1", ago(minutes=29), "dms_notes", result="failed")
    sent(past, "1", ago(minutes=20), "dms_notes")
    assert latency(past)["latency_max_seconds"] == 600


def test_a_document_that_is_sent_again_later_counts_once(past: Past) -> None:
    staged(past, "1", ago(minutes=30))
    sent(past, "1", ago(minutes=29), "dms_notes")
    sent(past, "1", ago(minutes=5), "dms_notes")
    assert latency(past)["latency_max_seconds"] == 60


def test_what_went_because_of_a_car_or_a_line_does_not_count(past: Past) -> None:
    staged(past, "1", ago(hours=5))
    sent(past, "1", ago(seconds=5), "car.make", "interventions[900441].price", "customers[driver].title")
    assert latency(past) == {}


def test_a_run_that_delivered_nothing_has_no_latency(past: Past) -> None:
    assert latency(past) == {}
