"""What ``doctor`` checks: the installation, both vendors' connections, every assumed name, the clock."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from autoflex_pipeline.claire.api import BY_NUMBER
from autoflex_pipeline.claire.client import ClaireConnections, ClaireUnreachableError, DealerStop
from autoflex_pipeline.errors import ConfigurationError, PipelineError
from autoflex_pipeline.settings import DealerSettings, Settings, missing_common_variables
from autoflex_pipeline.sources.autoflex_api.checks import doctor_checks
from autoflex_pipeline.sources.autoflex_api.openapi import openapi_checks
from autoflex_pipeline.sources.connections import ApiConnections
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.vendor_http import certificate_problem, date_of, tls_context
from autoflex_pipeline.warehouse import Warehouse

MAX_CLOCK_SECONDS = 60
MAX_OPENAPI_BYTES = 50_000_000
PROBE_NUMBER = "doctor-probe"
"""No appointment has this number: asking for it shows whether key and location are right, and the number is heeded."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of ``doctor``: ``ok`` is None when there was nothing to judge by; ``detail`` says what to do."""

    subject: str
    name: str
    ok: bool | None
    detail: str


def examine(settings: Settings, dealers: Sequence[DealerSettings], *, openapi: Path | None = None) -> Iterator[Check]:
    """All checks, one after the other, as they are made."""
    yield Check("configuration", "file", True, f"{len(settings.dealers)} dealers, every key known")
    yield from _variables(settings)
    yield from _stores(settings)
    if openapi is not None:
        yield from _openapi(openapi)
    yield _clock("claire", settings.claire.base_url)
    apis = ApiConnections()
    with ClaireConnections(settings) as claire:
        try:
            for dealer in dealers:
                yield _claire(claire, dealer)
                yield from _autoflex(apis, dealer)
        finally:
            apis.close()


def _variables(settings: Settings) -> Iterator[Check]:
    try:
        missing_common_variables(settings)
    except ConfigurationError as error:
        yield Check("configuration", "variables", False, str(error))
    else:
        yield Check("configuration", "variables", True, "those that all dealers need are set")


def _stores(settings: Settings) -> Iterator[Check]:
    """The warehouse and the state store open, and their folders can be written."""
    for name, folder in (
        ("warehouse folder", settings.warehouse.path.parent),
        ("analytics folder", settings.warehouse.analytics_path.parent),
    ):
        existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
        writable = os.access(existing, os.W_OK | os.X_OK)
        yield Check(
            "storage", name, writable, str(folder) if writable else f"{existing} cannot be written: mend its mode"
        )
    yield _stores_open(Warehouse(settings.warehouse.path), settings.warehouse.state_path)


def _stores_open(warehouse: Warehouse, state_path: Path) -> Check:
    """Whether those that are there can be opened; none is made."""
    name = "warehouse and state store"
    is_there = {"the warehouse": warehouse.is_there, "the state store": state_path.exists()}
    try:
        if is_there["the warehouse"]:
            with warehouse.open():
                pass
        if is_there["the state store"]:
            StateStore(state_path).close()
    except (PipelineError, OSError) as error:
        return Check("storage", name, False, str(error))
    finally:
        warehouse.close()
    told = ["open, with this version's schema"] if any(is_there.values()) else []
    told += [f"{store} is not there yet: the first run makes it" for store, found in is_there.items() if not found]
    return Check("storage", name, True, "; ".join(told))


def _clock(subject: str, url: str) -> Check:
    """Compare the clock of this machine with the Date of the other's answer; no credentials are sent, no body read."""
    try:
        with httpx.stream("GET", url, timeout=15, verify=tls_context()) as answer:
            there = date_of(answer)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        untrusted = certificate_problem(error)
        if untrusted is not None:
            return Check(subject, "reached", False, f"{url}: {untrusted}")
        return Check(subject, "reached", False, f"{url} does not answer ({type(error).__name__}): check the address")
    if there is None:
        return Check(subject, "clock", None, f"{url} answers without a Date")
    apart = abs((datetime.now(UTC) - there).total_seconds())
    ok = apart <= MAX_CLOCK_SECONDS
    return Check(subject, "clock", ok, f"{apart:.0f} s apart" + ("" if ok else ": set this machine's clock (NTP)"))


def _claire(claire: ClaireConnections, dealer: DealerSettings) -> Check:
    name = f"Claire, location {dealer.claire_location_id}"
    stop = DealerStop()
    try:
        given = claire.get(dealer).count_by_number(dealer.claire_location_id, PROBE_NUMBER, stop)
    except (ClaireUnreachableError, PipelineError) as error:
        return Check(dealer.id, name, False, str(error))
    if given:
        unheeded = f"its list does not heed {BY_NUMBER!r}: it gave {given} appointments for a number that none has"
        return Check(dealer.id, name, False, f"{unheeded}; correct the parameter's name in claire/api.py")
    return Check(dealer.id, name, True, "the key is known and the location is within its scope")


def _autoflex(apis: ApiConnections, dealer: DealerSettings) -> Iterator[Check]:
    if dealer.api is None:
        yield Check(dealer.id, "Autoflex", None, "has no [dealers.api] section")
        return
    yield _clock(dealer.id, dealer.api.login_url)
    try:
        checks = doctor_checks(apis.get(dealer))
    except PipelineError as error:
        yield Check(dealer.id, "Autoflex login", False, str(error))
        return
    for check in checks:
        yield Check(dealer.id, f"{check.name} ({check.evidence})", check.ok, check.detail)


def _openapi(path: Path) -> Iterator[Check]:
    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_OPENAPI_BYTES + 1)
        if len(text) > MAX_OPENAPI_BYTES:
            raise ConfigurationError(f"--openapi {path}: is larger than {MAX_OPENAPI_BYTES} bytes")
        document = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"--openapi {path}: is no JSON file that can be read ({type(error).__name__})"
        ) from None
    for check in openapi_checks(document):
        yield Check("vendor's OpenAPI", f"{check.name} ({check.evidence})", check.ok, check.detail)
