"""A small world to run the pipeline in: an Autoflex and a Claire on loopback, a configuration, a clock."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from autoflex_pipeline.cli.sync import run_and_summarise
from autoflex_pipeline.orchestration.resources import Installation
from autoflex_pipeline.runs.context import RunOptions
from autoflex_pipeline.runs.outlook import Outlook, outlooks
from autoflex_pipeline.runs.summary import summary_of
from autoflex_pipeline.sandbox.autoflex.dealers import SandboxDealer, Switches
from autoflex_pipeline.sandbox.autoflex.store import AutoflexStore
from autoflex_pipeline.sandbox.claire.service import ClaireKey, Location
from autoflex_pipeline.sandbox.control import AutoflexControl, ClaireControl
from autoflex_pipeline.sandbox.server import running_autoflex, running_claire
from autoflex_pipeline.state import StateStore
from autoflex_pipeline.warehouse import Warehouse
from autoflex_pipeline_tests.domain import Months, new_run_id, options_of_months, run_domain

JANSEN, DEVRIES = "garage-jansen", "autobedrijf-devries"
LOCATIONS = {JANSEN: "101", DEVRIES: "202"}
CLAIRE_KEY = "clairekey-5up3r-s3cr3t"
PSEUDONYM_KEY = "pseudonym-key-of-the-tests"
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def variable(dealer_id: str, name: str) -> str:
    return f"{dealer_id}_{name}".upper().replace("-", "_")


def sandbox_dealer(dealer_id: str, **switches: Any) -> SandboxDealer:
    return SandboxDealer(
        dealer_id,
        dealer_id.replace("-", " ").title(),
        api_key=f"apikey-{dealer_id}",
        username=f"user-{dealer_id}",
        password=f"wachtwoord-{dealer_id}",
        switches=Switches(**switches),
    )


class World:
    """Two dealers. ``clock`` stands still until ``pass_time`` moves it; nothing depends on today's date."""

    def __init__(
        self, folder: Path, autoflex_url: str, claire_url: str, controls: tuple[AutoflexControl, ClaireControl]
    ):
        self.folder = folder
        self.login_url = f"{autoflex_url}/v2"
        self.claire_url = f"{claire_url}/api"
        self.autoflex, self.claire = controls
        self.dms: AutoflexStore | None = None
        self.now = NOW
        self.dms_behind = timedelta(0)
        """How far the clock that the DMS tells is behind."""
        self.forgotten: set[str] = set()
        """Idempotency keys of intents that are in no store any more, because a backup of before was put back."""
        self.config = folder / "autoflex.toml"
        self.configure()
        self.installation = Installation(self.config, clock=lambda: self.now)

    def configure(
        self,
        *,
        dealers: Mapping[str, Mapping[str, Any]] | None = None,
        claire: Mapping[str, Any] | None = None,
        warehouse: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the configuration; ``dealers``, ``claire`` and ``warehouse`` add keys."""
        lines = [
            "[warehouse]", 'path = "data/warehouse.duckdb"', 'analytics_path = "data/analytics.duckdb"',
            *(f"{key} = {_toml(value)}" for key, value in (warehouse or {}).items()),
            "[claire]", f'base_url = "{self.claire_url}"', "max_requests_per_second = 0",
            *(f"{key} = {_toml(value)}" for key, value in {"deadline_seconds": 5, **(claire or {})}.items()),
        ]  # fmt: skip
        for dealer_id, location in LOCATIONS.items():
            more = dict((dealers or {}).get(dealer_id, {}))
            api = {"login_url": self.login_url, "max_requests_per_second": 0, **more.pop("api", {})}
            lines += [
                "[[dealers]]", f'id = "{dealer_id}"', f'name = "{dealer_id}"', f'claire_location_id = "{location}"',
                *(f"{key} = {_toml(value)}" for key, value in more.items()),
                "[dealers.api]",
                f'api_key_env = "{variable(dealer_id, "API_KEY")}"',
                f'username_env = "{variable(dealer_id, "USERNAME")}"',
                f'password_env = "{variable(dealer_id, "PASSWORD")}"',
                *(f"{key} = {_toml(value)}" for key, value in api.items()),
            ]  # fmt: skip
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def restart(self) -> None:
        """A new process would read configuration and variables anew."""
        self.installation.close()
        self.installation = Installation(self.config, clock=lambda: self.now)

    def pass_time(self, **span: float) -> None:
        self.now += timedelta(**span)

    def sync(self, *dealers: str, months: tuple[str, str] | None = None, **options: Any) -> dict[str, Any]:
        """Run the job as the command does; gives the summary."""
        summary, self.changes = run_and_summarise(
            self.installation,
            {"dealers": list(dealers), "reread": months is None, **options},
            months=months,
            quiet=True,
        )
        return summary

    def run(self, *dealers: str, publish: bool = False, **options: Any) -> dict[str, Any]:
        """The same run and summary without Dagster, many times as fast; `test_domain.py` proves that both are alike.

        The analysts' copy is made only where a test looks at it.
        """
        run_id, settings = new_run_id(), self.installation.settings
        chosen = RunOptions(**{"dealers": dealers, "reread": True, **options})
        run_domain(self.installation.run_context(run_id, chosen), publish=publish)
        dealer_ids = [dealer.id for dealer in settings.select(dealers)]
        summary, self.changes = summary_of(self.installation.state, [run_id], dealer_ids, [])
        return summary

    def tick(self, *, months: Months | None = None, publish: bool = False, **options: Any) -> dict[str, dict[str, Any]]:
        """The same run without Dagster, many times as fast; gives the summary of each dealer."""
        chosen = RunOptions(**options) if months is None else options_of_months(months, **options)
        try:
            return run_domain(self.installation.run_context(new_run_id(), chosen), months=months, publish=publish)
        finally:
            self.installation.end_run()

    def look(self) -> dict[str, Outlook]:
        """What the schedule's tick would decide."""
        found = outlooks(self.installation.settings, self.installation.state, self.installation.apis, now=self.now)
        return {outlook.dealer_id: outlook for outlook in found}

    def held(self, number: str, dealer_id: str = JANSEN) -> dict[str, Any] | None:
        """The appointment as Claire holds it; None when it has none."""
        return self.claire.appointment(LOCATIONS[dealer_id], number)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the warehouse."""
        with self.installation.warehouse.open() as connection:
            return connection.execute(sql).fetchall()

    def imports(self) -> int:
        """How many imports Claire received."""
        return self.claire.counts()["imports"]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


@cache
def _empty_stores() -> TemporaryDirectory[str]:
    """The stores as the program makes them, without anything in them: made once, and copied for each world."""
    folder = TemporaryDirectory()
    with Warehouse(Path(folder.name) / "warehouse.duckdb").open():
        pass
    StateStore(Path(folder.name) / "warehouse.state.sqlite").close()
    return folder


@contextmanager
def running_world(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, switches: Mapping[str, Any] | None = None
) -> Iterator[World]:
    """The two servers and an installation, for the time of the block."""
    dealers = [sandbox_dealer(dealer_id, **(switches or {})) for dealer_id in LOCATIONS]
    for dealer in dealers:
        monkeypatch.setenv(variable(dealer.dealer_id, "API_KEY"), dealer.api_key)
        monkeypatch.setenv(variable(dealer.dealer_id, "USERNAME"), dealer.username)
        monkeypatch.setenv(variable(dealer.dealer_id, "PASSWORD"), dealer.password)
    monkeypatch.setenv("CLAIRE_API_KEY", CLAIRE_KEY)
    monkeypatch.setenv("AUTOFLEX_PSEUDONYM_KEY", PSEUDONYM_KEY)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    keys = [ClaireKey("tests", CLAIRE_KEY, tuple(LOCATIONS.values()))]
    places = [Location(location, dealer_id) for dealer_id, location in LOCATIONS.items()]
    made: list[World] = []

    def dms_time() -> datetime:
        return made[0].now - made[0].dms_behind if made else NOW

    with (
        running_autoflex(folder / "autoflex", dealers, told_time=dms_time) as autoflex,
        running_claire(folder / "claire", keys, locations=places) as claire,
        AutoflexControl(autoflex.control_url) as autoflex_control,
        ClaireControl(claire.control_url) as claire_control,
    ):
        shutil.copytree(_empty_stores().name, folder / "data")
        world = World(folder, autoflex.url, claire.url, (autoflex_control, claire_control))
        world.dms = autoflex.service.store
        made.append(world)
        try:
            yield world
        finally:
            world.installation.close()


Make = Callable[..., dict[str, Any]]


def order(number: int, **values: Any) -> dict[str, Any]:
    """An order of the DMS: open, planned for tomorrow, with car 7001 and contractor 3001."""
    return {
        "order_id": number, "order_number": f"2026-{number:05d}", "order_type": 1, "order_date": "20261118T140500",
        "plan_date_from": "20261125T083000", "plan_date_to": "20261125T170000", "is_invoiced": 0,
        "notes": "Klant wacht", "is_present": 1, "is_internal": 0, "milometer": 123456, "is_canceled": 0,
        "vehicle_id": 7001, "relation_id": 3001, **values,
    }  # fmt: skip


def line(number: int, order_id: int, **values: Any) -> dict[str, Any]:
    return {
        "order_line_id": number, "order_id": order_id, "line_number": number % 100, "description": f"Regel {number}",
        "price_incl_vat": "49.50", **values,
    }  # fmt: skip


def vehicle(number: int = 7001, **values: Any) -> dict[str, Any]:
    return {
        "vehicle_id": number, "brand": "Volkswagen", "model": "Golf", "license_plate": "GH123J",
        "vin": "WVWZZZ1KZAW000001", "engine_number": "CAX123456", "notes": None,
        "driver_relation_id": 3001, "owner_relation_id": 3001, **values,
    }  # fmt: skip


def relation(number: int = 3001, **values: Any) -> dict[str, Any]:
    return {
        "relation_id": number, "company_name": None, "title": "Mevr.", "last_name_prefix": "van den",
        "last_name": "Berg", "street": "Dorpsstraat", "house_number": "12", "house_number_addition": "bis",
        "postcode": "1234ab", "city": "Utrecht", **values,
    }  # fmt: skip


def load(world: World, dealer_id: str = JANSEN, *, orders: int = 3, lines: int = 2) -> None:
    """A dealer with orders 50001 …, each with lines, one car and one party."""
    numbers = range(50001, 50001 + orders)
    world.autoflex.load(
        dealer_id,
        {
            "order": [order(number) for number in numbers],
            "order_line": [
                line(number * 100 + place, number, line_number=place)
                for number in numbers
                for place in range(1, lines + 1)
            ],
            "vehicle": [vehicle()],
            "relation": [relation()],
        },
    )
