"""Where the status that Claire has for an appointment decides whether its document goes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autoflex_pipeline.claire.policies import depends_on_status, hindrance
from autoflex_pipeline.settings import DealerSettings
from autoflex_pipeline_tests.unit.claire.test_intents import candidate

STARTED, NOT_STARTED, NONE = "Control started", "New entry", None
NEW: dict[str, bool] = {}
TAKEN = {"is_acknowledged": True}
MAYBE = {"is_unanswered": True}
GONE = {"is_gone": True}


@pytest.mark.parametrize(
    ("known", "keeps_importing", "by_status"),
    [
        (NEW, True, None),
        (NEW, False, None),
        (TAKEN, True, None),
        (TAKEN, False, {STARTED: "held", NOT_STARTED: None, NONE: None}),
        (MAYBE, True, None),
        (MAYBE, False, {STARTED: "held", NOT_STARTED: None, NONE: None}),
        (TAKEN | GONE, True, None),
        (TAKEN | MAYBE | GONE, True, None),
        (TAKEN | GONE, False, {STARTED: "held", NOT_STARTED: None, NONE: None}),
        (MAYBE | GONE, True, {STARTED: None, NOT_STARTED: None, NONE: "absent"}),
        (MAYBE | GONE, False, {STARTED: "held", NOT_STARTED: None, NONE: "absent"}),
    ],
)
def test_claire_is_asked_first_where_its_status_decides(
    known: dict[str, Any], keeps_importing: bool, by_status: dict[str | None, str | None] | None
) -> None:
    """Held where work has started and importing ends then; not sent where there is nothing to cancel."""
    one = replace(candidate("h"), **known)
    dealer = DealerSettings(id="jansen", name="Jansen", claire_location_id="101", keep_importing=keeps_importing)
    assert depends_on_status(one, dealer) is (by_status is not None)
    for status, why_not in (by_status or {}).items():
        assert hindrance(one, dealer, status) == why_not, status
