"""The sections of the configuration file; each key is declared once, with its description.

Names and defaults are fixed by the contract page on commands and configuration.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from autoflex_pipeline.errors import ConfigurationError
from autoflex_pipeline.settings.values import (
    Flag,
    HttpUrl,
    Number,
    Owner,
    Rate,
    Timezone,
    Variable,
    Whole,
    is_in_clear,
    refuse_in_clear,
)

ALLOW_HTTP = (
    "true: http to another machine too, secrets in clear, where the whole way is yours; loopback needs no leave."
)


class Section(BaseModel):
    """A part of the file: frozen, and without keys that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=False)


class WarehouseSettings(Section):
    """Where the pipeline's own DuckDB, the analysts' copy and the backups lie."""

    path: Path = Field(
        default=Path("data/warehouse.duckdb"),
        description="The pipeline's own DuckDB; nobody else opens it. Its state store and its locks lie beside it.",
    )
    analytics_path: Path = Field(
        default=Path("data/analytics.duckdb"),
        description="The copy published for analysts: a link to the newest version, replaced as a whole.",
    )
    min_free_mb: Number = Field(
        default=100,
        ge=0,
        le=10_000_000,
        description="Megabytes that must be free in their folders, or no run starts; more where the files are large.",
    )
    backup_path: Path | None = Field(
        default=None, description="Folder of the backups; without it, `backups` beside the warehouse."
    )
    backups_kept: Whole = Field(
        default=7, ge=0, le=1000, description="How many backups the nightly job keeps; 0: it makes none."
    )

    @property
    def state_path(self) -> Path:
        """The state store, beside the warehouse."""
        return self.path.with_name(self.path.stem + ".state.sqlite")

    @property
    def backup_folder(self) -> Path:
        """Where backups are kept."""
        return self.backup_path or self.path.with_name("backups")


class PrivacySettings(Section):
    """Pseudonyms and retention."""

    pseudonym_key_env: Variable = Field(
        default="AUTOFLEX_PSEUDONYM_KEY",
        description="The key of the pseudonyms: any long random text, kept apart from the data. Analysts' joins over "
        "time break when it changes.",
    )
    retention_months: Whole = Field(
        default=84,
        ge=1,
        le=1200,
        description="How long personal data is to stay after the last appointment of a party or car. Nothing acts on "
        "it yet: it is not removed by itself.",
    )


class ClaireSettings(Section):
    """The connection to Claire."""

    base_url: HttpUrl = Field(description="The part of the address before `/v1`.")
    allow_http: Flag = Field(default=False, description=ALLOW_HTTP)
    api_key_env: Variable = Field(
        default="CLAIRE_API_KEY", description="The API key, as a Dealer Admin makes it in Claire."
    )
    max_concurrency: Whole = Field(default=8, ge=1, le=64, description="Requests at once.")
    max_requests_per_second: Rate = Field(default=20, description="Requests a second; 0: no limit.")
    deadline_seconds: Number = Field(
        default=120, gt=0, le=3600, description="How long one appointment is tried in a run, retries included."
    )

    @model_validator(mode="after")
    def _not_in_clear(self) -> ClaireSettings:
        refuse_in_clear("base_url", self.base_url, self.allow_http)
        return self


class ApiSettings(Section):
    """A dealer's Autoflex API; it stands below its dealer."""

    login_url: HttpUrl = Field(
        description="Where the login is; every later address is told by the DMS when it lets one in."
    )
    allow_http: Flag = Field(default=False, description=ALLOW_HTTP)
    api_key_env: Variable = Field(description="The API key of the account that the vendor's service desk made.")
    username_env: Variable = Field(description="The user name of that account.")
    password_env: Variable = Field(description="Its password.")
    organization_name: str = Field(default="", description="The organisation, where the account has several.")
    range_filters: Flag = Field(
        default=False,
        description="true where the DMS honours `[gte]` in filters (`doctor` tells): a backfill asks less.",
    )
    reread_budget: Whole = Field(
        default=60,
        ge=0,
        le=10_000,
        description="Requests a tick for lines of unchanged orders, where the DMS does not announce their changes.",
    )
    max_concurrency: Whole = Field(default=4, ge=1, le=64, description="Requests at once.")
    max_requests_per_second: Rate = Field(default=10, description="Requests a second; 0: no limit.")

    @model_validator(mode="after")
    def _not_in_clear(self) -> ApiSettings:
        refuse_in_clear("login_url", self.login_url, self.allow_http)
        return self


AlertKind = Literal[
    "login", "configuration", "guard", "source", "transport", "busy", "accounts", "undelivered", "rejected", "late",
    "silent_feed", "run_refused", "run_failed", "check_failed",
]  # fmt: skip
"""What can be told by an alert; what each means stands in ``alerts/kinds.py``."""

Severity = Literal["warning", "error", "critical"]
Quiet = Annotated[Number, Field(ge=0, le=60 * 24 * 7)]
RouteName = Annotated[str, Field(pattern=r"^[a-z0-9-]+$", max_length=100)]
MailAddress = Annotated[str, Field(pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$", max_length=254)]


class WebhookSettings(Section):
    """Where a route with ``to = "webhook"`` posts to: JSON with ``text``, as chat programs take it, and its parts."""

    url_env: Variable = Field(
        description="The address, kept out of the file because often it is itself the secret; https, or loopback."
    )
    token_env: Variable | None = Field(default=None, description="A token, sent as `Authorization: Bearer …`.")
    allow_http: Flag = Field(default=False, description=ALLOW_HTTP)


class EmailSettings(Section):
    """The mail server of a route with ``to = "email"``. Certificates are verified."""

    host: str = Field(min_length=1, pattern=r"^[A-Za-z0-9.:-]+$", description="The mail server.")
    port: Whole = Field(default=587, ge=1, le=65535, description="Its port; 465 is usual with `tls`.")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the way there is protected; `none` only for a server on this machine."
    )
    username_env: Variable | None = Field(default=None, description="The user name, where the server wants a login.")
    password_env: Variable | None = Field(default=None, description="The password; goes with `username_env`.")
    sender: MailAddress = Field(description="The address that the messages come from.")
    recipients: tuple[MailAddress, ...] = Field(min_length=1, description="The addresses that they go to.")

    @model_validator(mode="after")
    def _fits(self) -> EmailSettings:
        if (self.username_env is None) != (self.password_env is None):
            raise ValueError("username_env and password_env go together: give both or none")
        if self.security == "none" and is_in_clear(f"http://{self.host}"):
            raise ValueError("security 'none' is for a mail server on this machine; use 'starttls' or 'tls'")
        return self


class AlertSettings(Section):
    """A route on which alerts go: one message when trouble opens, gets worse, and is over. Any number of tables."""

    name: RouteName = Field(description="A name of your own, a–z, 0–9 and hyphens; dealers can name it.")
    to: Literal["webhook", "email", "log"] = Field(
        description="Where to: `[alerts.webhook]` or `[alerts.email]` below it says more; `log` is that of the process."
    )
    dealers: tuple[str, ...] = Field(
        default=(), description="Only alerts of these dealers; empty: all, and those of the installation."
    )
    kinds: tuple[AlertKind, ...] = Field(default=(), description="Only these kinds of alerts; empty: all.")
    min_severity: Severity = Field(default="warning", description="Only alerts that are at least so bad.")
    quiet_minutes: Quiet = Field(
        default=60,
        description="Trouble that opens again so soon after the last message about it is not told before that time is "
        "over, and not at all when it is over before. Worse and recovered are always told at once.",
    )
    webhook: WebhookSettings | None = Field(default=None, description="Where `to` is webhook.")
    email: EmailSettings | None = Field(default=None, description="Where `to` is email.")

    @model_validator(mode="after")
    def _has_its_section(self) -> AlertSettings:
        for name, section in (("webhook", self.webhook), ("email", self.email)):
            if self.to == name and section is None:
                raise ValueError(f"to = {name!r} needs a section [alerts.{name}] below it; add one")
            if self.to != name and section is not None:
                raise ValueError(f"to = {self.to!r} does not go with a section [alerts.{name}]; remove one of them")
        return self


class DealerAlertSettings(Section):
    """What is different for one dealer's alerts."""

    routes: tuple[RouteName, ...] | None = Field(
        default=None, description="The names of the `[[alerts]]` that it is told on; `[]`: none; without it: all."
    )
    min_severity: Severity | None = Field(default=None, description="Takes the place of that of each route.")
    quiet_minutes: Quiet | None = Field(default=None, description="Takes the place of that of each route.")
    silent_feed: Flag = Field(
        default=True, description="Whether it is trouble when its DMS shows no changes at a time when it usually does."
    )
    silent_feed_changes: Whole = Field(
        default=10, ge=3, le=10_000, description="How many runs with changes must be usual in a span to call it silent."
    )


class DealerSettings(Section):
    """One dealer; as many of these tables as there are dealers, at least one."""

    id: str = Field(
        pattern=r"^[a-z0-9-]+$",
        max_length=100,
        description="a–z, 0–9 and hyphens; the Dagster partition and part of every key, so never change or reuse it.",
    )
    name: str = Field(min_length=1, description="The dealer's name, for people.")
    claire_location_id: str = Field(
        min_length=1, description="The location in Claire that the appointments belong to; one per dealer."
    )
    timezone: Timezone = Field(
        default="Europe/Amsterdam", description="The zone of the DMS's times, which come without one."
    )
    keep_importing: Flag = Field(
        default=True, description="false: an appointment is not updated in Claire once work on it has started there."
    )
    privacy: Literal["pseudonymised", "full"] = Field(
        default="pseudonymised", description="What analysts (and the trace in Dagster) see of personal data."
    )
    guard_max_change: Number = Field(
        default=0.30,
        ge=0,
        le=1,
        description="The share of the open appointments that may be canceled or get another date in one run; from five "
        "on, more of them stops the run.",
    )
    waiting_hours: Number = Field(
        default=24,
        ge=0,
        le=24 * 365,
        description="How long a new appointment waits for its lines, car and contractor; then it goes without.",
    )
    absence_confirm_minutes: Number = Field(
        default=60,
        ge=0,
        le=60 * 24 * 365,
        description="How long an order must be gone from the DMS before it counts as canceled.",
    )
    mileage_writeback: Flag = Field(
        default=False, description="Reserved for writing Claire's mileage back to the DMS; has no effect yet."
    )
    claire_api_key_env: Variable | None = Field(
        default=None, description="The dealer's own Claire key, where it does not share that of `[claire]`."
    )
    api: ApiSettings | None = Field(default=None, description="Its Autoflex API.")
    alerts: DealerAlertSettings = DealerAlertSettings()

    @property
    def zone(self) -> ZoneInfo:
        """The dealer's time zone."""
        return ZoneInfo(self.timezone)


class OrchestrationSettings(Section):
    """Dagster: its schedules and sensors are stopped until somebody switches them on in its UI, or here."""

    schedules_running: Flag = Field(
        default=False, description="true: Dagster's schedules and sensors run from the start."
    )
    owners: tuple[Owner, ...] = Field(
        default=("team:data",), min_length=1, description="Who owns the assets: team:NAME, or an e-mail address."
    )
    docs_url: HttpUrl | None = Field(
        default=None, description="Where the built documentation is served; without it, links name its files."
    )
    source_url: HttpUrl | None = Field(
        default=None, description="Where the source code can be read, up to the version; without it, files are named."
    )

    def doc_address(self, page: str) -> str:
        """Where a page of the documentation is found, such as ``runbook.md#holds``: on the site, else in the folder."""
        if self.docs_url is None:
            return f"docs/{page}"
        return f"{self.docs_url}/{page.replace('.md', '.html')}"


class LineageSettings(Section):
    """Where OpenLineage events of each run go, if anywhere: names of columns and counts, never a value."""

    openlineage_file: Path | None = Field(default=None, description="A file that gets one event a line.")
    openlineage_url: HttpUrl | None = Field(default=None, description="An OpenLineage backend that gets them.")
    openlineage_api_key_env: Variable | None = Field(default=None, description="The backend's API key, if it has one.")
    openlineage_namespace: str = Field(
        default="autoflex_pipeline", min_length=1, description="The namespace of jobs and data sets in the events."
    )
    allow_http: Flag = Field(default=False, description=ALLOW_HTTP)

    @property
    def is_on(self) -> bool:
        """Whether events are wanted."""
        return self.openlineage_file is not None or self.openlineage_url is not None

    @model_validator(mode="after")
    def _no_key_in_clear(self) -> LineageSettings:
        if self.openlineage_url is not None and self.openlineage_api_key_env is not None:
            refuse_in_clear("openlineage_url", self.openlineage_url, self.allow_http)
        return self


class TelemetrySettings(Section):
    """Where the spans of each run go, if anywhere: how long run, steps and dealers took, with counts, never a value."""

    otlp_endpoint: HttpUrl | None = Field(
        default=None, description="An OpenTelemetry collector (OTLP/HTTP), up to `/v1/traces`; without it: off."
    )
    otlp_token_env: Variable | None = Field(
        default=None, description="A token of the collector, sent as `Authorization: Bearer …`."
    )
    service_name: str = Field(default="autoflex_pipeline", min_length=1, description="How the spans are named there.")
    allow_http: Flag = Field(default=False, description=ALLOW_HTTP)

    @model_validator(mode="after")
    def _no_token_in_clear(self) -> TelemetrySettings:
        if self.otlp_endpoint is not None and self.otlp_token_env is not None:
            refuse_in_clear("otlp_endpoint", self.otlp_endpoint, self.allow_http)
        return self


class Settings(Section):
    """The whole configuration file."""

    warehouse: WarehouseSettings = WarehouseSettings()
    privacy: PrivacySettings = PrivacySettings()
    claire: ClaireSettings
    orchestration: OrchestrationSettings = OrchestrationSettings()
    lineage: LineageSettings = LineageSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    alerts: tuple[AlertSettings, ...] = ()
    dealers: tuple[DealerSettings, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _no_two_alike(self) -> Settings:
        for what, values in (
            ("id", [dealer.id for dealer in self.dealers]),
            ("claire_location_id", [dealer.claire_location_id for dealer in self.dealers]),
        ):
            twice = [value for value, count in Counter(values).items() if count > 1]
            if twice:
                raise ValueError(f"dealers: {what} {twice[0]!r} stands at two dealers; give each its own")
        return self

    @model_validator(mode="after")
    def _alerts_fit(self) -> Settings:
        names = [route.name for route in self.alerts]
        if len(set(names)) < len(names):
            raise ValueError("alerts: two sections have the same name; give each its own")
        for route in self.alerts:
            for dealer_id in route.dealers:
                if dealer_id not in self.dealer_ids:
                    raise ValueError(
                        f"alerts.dealers: {dealer_id!r} (of {route.name!r}) is not the id of a dealer in this file"
                    )
        for dealer in self.dealers:
            for name in dealer.alerts.routes or ():
                if name not in names:
                    raise ValueError(
                        f"dealers.alerts.routes: {name!r} (of {dealer.id!r}) is not the name of an [[alerts]] section"
                    )
        return self

    @cached_property
    def dealer_ids(self) -> tuple[str, ...]:
        """The ids of all dealers, in the order of the file."""
        return tuple(dealer.id for dealer in self.dealers)

    def dealer(self, dealer_id: str) -> DealerSettings:
        """One dealer; ConfigurationError when the file has no such id."""
        for dealer in self.dealers:
            if dealer.id == dealer_id:
                return dealer
        known = ", ".join(self.dealer_ids)
        raise ConfigurationError(f"dealer {dealer_id!r} is not in the configuration; known are: {known}")

    def select(self, dealer_ids: tuple[str, ...] | list[str]) -> tuple[DealerSettings, ...]:
        """The named dealers, or all when none is named."""
        return tuple(self.dealer(dealer_id) for dealer_id in dict.fromkeys(dealer_ids)) or self.dealers

    def claire_key_variable(self, dealer: DealerSettings) -> str:
        """The variable that holds the Claire key used for ``dealer``."""
        return dealer.claire_api_key_env or self.claire.api_key_env
