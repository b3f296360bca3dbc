"""Schemathesis against the OpenAPI of both stand-ins: whatever is sent, no failure, and answers as the page says.

EXAMPLES_PER_OPERATION sets how many requests each operation gets (``make schemathesis``: 1,000).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from autoflex_pipeline.sandbox.autoflex.dealers import SandboxDealer, Switches
from autoflex_pipeline.sandbox.autoflex.schema import ENDPOINTS
from autoflex_pipeline.sandbox.claire.service import ClaireKey
from autoflex_pipeline.sandbox.server import (
    RunningAutoflex,
    RunningClaire,
    RunningServer,
    running_autoflex,
    running_claire,
)

EXAMPLES = int(os.environ.get("EXAMPLES_PER_OPERATION", "15"))
DEALER = SandboxDealer("jansen", "Garage Jansen", "key-jansen", "user-jansen", "secret-jansen")
KEYS = (ClaireKey("group", "claire-key", ("101", "102")),)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXPLORING = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES < 1000,  # in CI always the same ones: what fails there fails here
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def autoflex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAutoflex]:
    with running_autoflex(Path(tmp_path_factory.mktemp("autoflex")), [DEALER]) as server:
        yield server


@pytest.fixture(scope="module")
def claire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningClaire]:
    with running_claire(Path(tmp_path_factory.mktemp("claire")), KEYS) as server:
        yield server


def explore(server: RunningServer, prepare: Callable[[schemathesis.Case], None]) -> int:
    """Send EXAMPLES requests to each operation; gives how many operations the page has.

    AssertionError names each that answered wrongly, or was asked less.
    """
    address = f"{server.url}/openapi.json"
    wrong = []
    asked: Counter[str] = Counter()
    for found in schemathesis.openapi.from_url(address).get_all_operations():
        operation = found.ok()
        try:
            asked[operation.label] = _explore(operation, prepare)
        except BaseExceptionGroup as failures:
            said = "\n".join(map(str, failures.exceptions))
            wrong.append(f"{operation.label}:\n{said[:2000]}")
    assert not wrong, "\n\n".join(wrong)
    wanted = wanted_requests(httpx.get(address).json())
    assert {label: asked[label] for label, least in wanted.items() if asked[label] < least} == {}
    return len(wanted)


def wanted_requests(page: dict[str, Any]) -> dict[str, int]:
    """By operation of the OpenAPI page how many requests it must get: one where every request would be the same."""
    return {
        f"{method.upper()} {path}": EXAMPLES if operation.get("parameters") or "requestBody" in operation else 1
        for path, operations in page["paths"].items()
        for method, operation in operations.items()
    }


def takes_something(operation: Any) -> bool:
    """Whether there is a parameter or a body that could be invalid."""
    return bool(operation.body) or any(True for _ in operation.iter_parameters())


def _explore(operation: Any, prepare: Callable[[schemathesis.Case], None]) -> int:
    """Gives how many requests were sent, and answered as the page says."""
    valid = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    invalid = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    answered = 0

    @given(case=valid | invalid if takes_something(operation) else valid)
    @EXPLORING
    def send(case: schemathesis.Case) -> None:
        nonlocal answered
        prepare(case)
        case.call_and_validate(checks=CHECKS, timeout=20)
        answered += 1

    send()
    return answered


def test_autoflex_answers_anything_as_its_page_says(autoflex: RunningAutoflex) -> None:
    service = autoflex.service

    def prepare(case: schemathesis.Case) -> None:
        service.faults.clear()  # what an earlier request ordered: hanging and resetting is no answer to judge
        service.switches["jansen"] = Switches()
        if "environment" in case.path_parameters:
            case.path_parameters["environment"] = "jansen"
            if "endpoint" in case.path_parameters:
                case.path_parameters["endpoint"] = ENDPOINTS[len(str(case.path_parameters["endpoint"])) % 4]
            case.headers["token"], _ = service.tokens.issue("jansen", 30, None)
        elif "dealer" in case.path_parameters:
            case.path_parameters["dealer"] = "jansen"

    assert explore(autoflex, prepare) > 15


def test_claire_answers_anything_as_its_page_says(claire: RunningClaire) -> None:
    def prepare(case: schemathesis.Case) -> None:
        claire.service.faults.clear()
        claire.service.latency_ms = 0
        if "/control" not in case.path:
            case.headers["Authorization"] = "claire-key"
            if isinstance(case.body, dict):
                case.body["location_id"] = "101"

    assert explore(claire, prepare) > 12
