"""What a document must look like, field by field, checked strictly. Written by hand from the contract page."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

CUSTOMER_KINDS = ("driver", "owner", "contractor")
MAX_TEXT = 20_000

PRICE = r"^-?[0-9]{1,9}\.[0-9]{2}$"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})")


def _iso_date(text: str) -> str:
    if not _DATE.fullmatch(text):
        raise ValueError("must be a date as YYYY-MM-DD")
    date.fromisoformat(text)
    return text


def _iso_moment(text: str) -> str:
    if not _MOMENT.fullmatch(text):
        raise ValueError("must be an ISO 8601 timestamp with offset, such as 2026-11-24T08:30:00+01:00")
    datetime.fromisoformat(text)
    return text


def is_iso_date(text: str) -> bool:
    """Whether the text is a date as YYYY-MM-DD."""
    try:
        _iso_date(text)
    except ValueError:
        return False
    return True


def is_price(text: str) -> bool:
    """Whether the text is an amount with two decimals, such as 389.00."""
    return re.fullmatch(PRICE, text) is not None


Text = Annotated[str, Field(max_length=MAX_TEXT)]
Key = Annotated[str, Field(min_length=1, max_length=200)]
IsoDate = Annotated[str, AfterValidator(_iso_date)]
IsoMoment = Annotated[str, AfterValidator(_iso_moment)]
Price = Annotated[str, Field(pattern=PRICE)]
Mileage = Annotated[int, Field(ge=0, le=2_000_000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Intervention(_Strict):
    """One line of the DMS; the price is EUR incl. VAT, as text."""

    dms_nr: Key
    position: int
    title: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
    price: Price | None = None
    description: Text | None = None
    elements: Text | list[Any] | None = None


class Car(_Strict):
    """The car of an appointment."""

    dms_nr: Key | None = None
    make: Text | None = None
    model: Text | None = None
    registration_number: Text | None = None
    vin: Text | None = None
    engine_number: Text | None = None
    notes: Text | None = None
    driver_id: Text | None = None
    fuel: Text | None = None
    first_registration_date: IsoDate | None = None
    apk_date: IsoDate | None = None
    warranty_start: IsoDate | None = None
    warranty_end: IsoDate | None = None


class Customer(_Strict):
    """A driver, owner or contractor."""

    customer_kind: Literal["driver", "owner", "contractor"]
    dms_nr: Key | None = None
    company: Text | None = None
    title: Text | None = None
    last_name: Text | None = None
    street: Text | None = None
    house_number: Text | None = None
    postcode: Text | None = None
    place: Text | None = None
    first_name: Text | None = None
    email_private: Text | None = None
    email_business: Text | None = None
    phone_private: Text | None = None
    phone_business: Text | None = None
    mobile_private: Text | None = None
    mobile_business: Text | None = None
    is_lease_company: bool | None = None


class Appointment(_Strict):
    """The body of an import. Left out: keeps; null: clears, where the type allows it."""

    location_id: Key
    dms_nr: Key
    wo_nr: Key = ""
    appointment_date: IsoDate = ""
    creation_date: IsoMoment | None = None
    scheduled_in: IsoMoment | None = None
    scheduled_out: IsoMoment | None = None
    billed: bool = False
    dms_notes: Text | None = None
    car_in_shop: bool | None = None
    internal: bool = False
    dms_mileage: Mileage | None = None
    canceled: bool = False
    customer_waiting: bool | None = None
    interventions: list[Intervention] | None = None
    car: Car | None = None
    customers: list[Customer] | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> Appointment:
        lines = [line.dms_nr for line in self.interventions or ()]
        if len(set(lines)) < len(lines):
            raise ValueError("interventions: a dms_nr occurs twice")
        kinds = [customer.customer_kind for customer in self.customers or ()]
        if len(set(kinds)) < len(kinds):
            raise ValueError("customers: a customer_kind occurs twice")
        return self


def field_errors(failure: ValidationError) -> list[dict[str, str]]:
    """The findings as the contract's ``errors``: ``[{"field": "interventions[0].price", "message": …}]``."""
    return [{"field": _path(error["loc"]), "message": error["msg"]} for error in failure.errors(include_input=False)]


def _path(parts: tuple[int | str, ...]) -> str:
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path or "(document)"
