"""The names that this Autoflex knows: endpoints, their fields and keys, order types, fuel codes.

Written down here by hand from the contract page, on purpose not derived from the pipeline's own declarations.
"""

from __future__ import annotations

from typing import Literal, get_args

Endpoint = Literal["order", "order_line", "vehicle", "relation"]
ENDPOINTS: tuple[Endpoint, ...] = get_args(Endpoint)

KEYS: dict[Endpoint, str] = {
    "order": "order_id",
    "order_line": "order_line_id",
    "vehicle": "vehicle_id",
    "relation": "relation_id",
}

FIELDS: dict[Endpoint, tuple[str, ...]] = {
    "order": (
        "order_id",
        "order_number",
        "order_type",
        "order_date",
        "plan_date_from",
        "plan_date_to",
        "is_invoiced",
        "notes",
        "is_present",
        "is_internal",
        "is_canceled",
        "milometer",
        "vehicle_id",
        "relation_id",
        "last_modified",
    ),
    "order_line": ("order_line_id", "order_id", "line_number", "description", "price_incl_vat"),
    "vehicle": (
        "vehicle_id",
        "brand",
        "model",
        "license_plate",
        "formatted_license_plate",
        "vin",
        "engine_number",
        "notes",
        "milometer",
        "driver_relation_id",
        "owner_relation_id",
    ),
    "relation": (
        "relation_id",
        "company_name",
        "title",
        "last_name_prefix",
        "last_name",
        "street",
        "house_number",
        "house_number_addition",
        "postcode",
        "city",
    ),
}

DATE_FIELDS = frozenset({"order_date", "plan_date_from", "plan_date_to", "last_modified"})

ORDER_TYPES = {"WORKSHOP": 1, "VEHICLE_SALES": 2, "VEHICLE_PURCHASE": 3, "INTERNAL_REVERSAL": 4, "BPM": 5}
FUEL_CODES = ("Benzine", "Diesel", "LPG", "Elektrisch", "Hybride", "Waterstof", "CNG")

ROWS_PER_PAGE = 100
