"""Two dealers with known personal values in every place of the warehouse that is published."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autoflex_pipeline.model import MODELS, fields
from autoflex_pipeline.settings import ClaireSettings, DealerSettings, Settings, WarehouseSettings
from autoflex_pipeline.warehouse import Warehouse

NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
KEY = "a-test-key-that-must-stay-out-of-files"
KEY_VARIABLE = "AUTOFLEX_PSEUDONYM_KEY"
MASKED, FULL = "garage-jansen", "garage-open"
POSTCODES = {(MASKED, ""): "1357 XB", (MASKED, "old "): "4321 ZY", (FULL, ""): "9876 CD", (FULL, "old "): "6789 EF"}


def settings_in(folder: Path, **warehouse: Any) -> Settings:
    """A masked and a full dealer, with the files in ``folder``."""
    paths = {"path": folder / "warehouse.duckdb", "analytics_path": folder / "analytics.duckdb"} | warehouse
    return Settings(
        warehouse=WarehouseSettings(**paths),
        claire=ClaireSettings(base_url="https://claire.example/api"),
        dealers=(
            DealerSettings(id=MASKED, name="Jansen", claire_location_id="101"),
            DealerSettings(id=FULL, name="Open", claire_location_id="102", privacy="full"),
        ),
    )


def warehouse_of(settings: Settings) -> Warehouse:
    """The warehouse of ``settings``, with a short wait."""
    return Warehouse(settings.warehouse.path, wait_seconds=5)


def personal(dealer: str, entity: str, field: str, when: str = "") -> str:
    """The value planted in a P or F field; ``when`` is "old " for the replaced version."""
    if field == "postcode":
        return POSTCODES[dealer, when]
    return f"{when}{dealer} {entity} {field} geheim é"


def personal_values(dealer: str) -> list[str]:
    """Every value that an analyst may see of a full dealer only."""
    declared = [field for entity in MODELS for field in fields(entity) if field.pii]
    planted = [personal(dealer, field.entity, field.name, when) for field in declared for when in ("", "old ")]
    return [*planted, f"{dealer} quoted plate", f"{dealer} quoted name", f"{dealer} said by Claire"]


def insert(connection: Any, table: str, **values: Any) -> None:
    """One row; what is not named stays empty."""
    marks = ", ".join("?" for _ in values)
    connection.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values()))


def entity_row(dealer: str, entity: str, number: str, when: str = "", **values: Any) -> dict[str, Any]:
    """A row of an entity with a planted value in every P and F field."""
    planted = {field.name: personal(dealer, entity, field.name, when) for field in fields(entity) if field.pii}
    return {"dealer_id": dealer, "dms_number": number, "run_id": "run-1", "raw_seq": 1} | planted | values


def plant(warehouse: Warehouse) -> None:
    """Fill the warehouse: one record of each entity in two versions, a quarantine entry per case, deliveries."""
    earlier = datetime(2026, 11, 1, tzinfo=UTC)
    with warehouse.open() as connection:
        for dealer in (MASKED, FULL):
            for entity in MODELS:
                past = entity_row(dealer, entity, "1", "old ", valid_from=earlier, valid_to=NOW)
                insert(connection, f"{entity}_past", **past)
                insert(connection, entity, **entity_row(dealer, entity, "1", raw_seq=2, observed_at=NOW))
            for entity, field, value in QUARANTINED:
                value = personal(dealer, entity, field) if value is None else value.format(dealer=dealer)
                hint = f"correct {value} in the DMS"
                row = {"entity": entity, "field": field, "value": value, "hint": hint, "rule": f"{field}_rule"}
                insert(connection, "quarantine", dealer_id=dealer, dms_number="1", state="open", **row)
            insert(
                connection,
                "delivery",
                dealer_id=dealer,
                dms_number="1",
                result="rejected",
                http_status=422,
                message=f"{dealer} said by Claire",
                fields_changed=json.dumps(changes(dealer), ensure_ascii=False),
            )
            for seq in (1, 2):
                insert(
                    connection,
                    "raw_record",
                    seq=seq if dealer == MASKED else seq + 10,
                    dealer_id=dealer,
                    entity="order",
                    record=json.dumps({"name": f"{dealer} quoted name"}),
                    raw_hash=f"hash-{seq}",
                    extract_id=f"extract-{seq}",
                    source="order?page=1",
                    run_id="run-0",
                )
            insert(connection, "extract", dealer_id=dealer, extract_id="extract-1", source="api:open_orders", rows=1)


QUARANTINED: list[tuple[str, str, str | None]] = [
    ("car", "vin", None),
    ("appointment", "dms_notes", None),
    ("party", "postcode", None),
    ("intervention", "price", "twaalf"),
    ("party", "last_name, company", "{dealer} quoted name"),
]


def changes(dealer: str) -> list[dict[str, Any]]:
    """Differences at every kind of path, as the ledger keeps them."""
    return [
        {"field": "car.vin", "old": personal(dealer, "car", "vin", "old "), "new": personal(dealer, "car", "vin")},
        {"field": "customers[driver].last_name", "old": None, "new": personal(dealer, "party", "last_name")},
        {"field": "customers[owner].postcode", "old": POSTCODES[dealer, "old "], "new": POSTCODES[dealer, ""]},
        {"field": "dms_notes", "old": None, "new": personal(dealer, "appointment", "dms_notes")},
        {"field": "interventions[900441].price", "old": "389.00", "new": "399.00"},
        {"field": "interventions[900441].position", "old": 1, "new": 2},
        {"field": "canceled", "old": False, "new": True},
        {"field": "customers[contractor]", "old": None, "new": {"last_name": f"{dealer} quoted name"}},
        {"field": "something_new", "old": None, "new": f"{dealer} quoted plate"},
    ]
