"""Small clients for the control routes of both stand-ins, for tests and demos."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from functools import cache
from types import TracebackType
from typing import Any, Self

import httpx

Row = dict[str, Any]

_KEYS = {"order": "order_id", "order_line": "order_line_id", "vehicle": "vehicle_id", "relation": "relation_id"}


@cache
def _tls_context() -> ssl.SSLContext:
    """One for the process: making it reads all authorities that are trusted."""
    return httpx.create_ssl_context()


class _Control:
    """What both have: faults, and a connection that is closed in the end."""

    def __init__(self, control_url: str) -> None:
        # Loopback: never through a proxy.
        self._http = httpx.Client(base_url=control_url, timeout=60, trust_env=False, verify=_tls_context())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def set_fault(self, kind: str, **details: Any) -> int:
        """Set one more fault (see the server's fault table for the details); its id."""
        return int(self.call("POST", "/faults", {"kind": kind, **details})["id"])

    def faults(self) -> list[Row]:
        """The faults set; ``hits`` tells how many calls each has hit."""
        found: list[Row] = self.call("GET", "/faults")
        return found

    def clear_faults(self) -> None:
        """Behave again."""
        self.call("DELETE", "/faults")

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call a control route; its JSON. RuntimeError with the server's words when it refuses."""
        response = self._http.request(method, path, json=body) if body is not None else self._http.request(method, path)
        if response.is_error:
            raise RuntimeError(f"control {method} {path}: {response.status_code} {response.text}")
        return response.json()


class AutoflexControl(_Control):
    """The control routes of the sandbox's Autoflex; rows are dicts with the API's field names."""

    def set_switches(self, dealer: str | None = None, **switches: Any) -> None:
        """Set switches of a dealer (of all): list_shape, range_filters, last_modified, error_status, …"""
        self.call("PATCH", "/switches" + (f"?dealer={dealer}" if dealer else ""), switches)

    def revoke_tokens(self, dealer: str | None = None) -> None:
        """Make the tokens of a dealer (of all) void."""
        self.call("DELETE", "/tokens" + (f"?dealer={dealer}" if dealer else ""))

    def load(self, dealer: str, rows: Mapping[str, Sequence[Row]], *, replace: bool = False) -> None:
        """Create or replace many rows, ``{"order": [...], "order_line": [...], …}``; ``replace``: delete all others."""
        self.call("POST", f"/state/{dealer}?replace={str(replace).lower()}", rows)

    def put(self, dealer: str, endpoint: str, row: Row) -> Row:
        """Create or replace one row under the key in it; fields left out become null."""
        stored: Row = self.call("PUT", f"/state/{dealer}/{endpoint}/{row[_KEYS[endpoint]]}", row)
        return stored

    def change(self, dealer: str, endpoint: str, row_id: str | int, **fields: Any) -> Row:
        """Change some fields of a row."""
        changed: Row = self.call("PATCH", f"/state/{dealer}/{endpoint}/{row_id}", fields)
        return changed

    def delete(self, dealer: str, endpoint: str, row_id: str | int) -> bool:
        """Delete a row (the lines of an order are rows of their own and stay); whether it was there."""
        return bool(self.call("DELETE", f"/state/{dealer}/{endpoint}/{row_id}")["deleted"])

    def row(self, dealer: str, endpoint: str, row_id: str | int) -> Row:
        """One row."""
        found: Row = self.call("GET", f"/state/{dealer}/{endpoint}/{row_id}")
        return found

    def rows(self, dealer: str, endpoint: str) -> list[Row]:
        """All rows of an endpoint."""
        found: list[Row] = self.call("GET", f"/state/{dealer}/{endpoint}")
        return found

    def requests(self, dealer: str | None = None, endpoint: str | None = None) -> int:
        """How many calls there were; of one dealer, of one endpoint (order, …, util/list, authenticate)."""
        counts: dict[str, dict[str, int]] = self.call("GET", "/requests")["counts"]
        return sum(
            number
            for dealer_id, by_endpoint in counts.items()
            for name, number in by_endpoint.items()
            if dealer in (None, dealer_id) and endpoint in (None, name)
        )

    def calls(self) -> list[Row]:
        """The newest calls: at, dealer, endpoint, query, outcome."""
        found: list[Row] = self.call("GET", "/requests?calls=true")["calls"]
        return found

    def peak_concurrency(self, dealer: str) -> int:
        """The most calls of a dealer at once."""
        return int(self.call("GET", "/requests")["peak"].get(dealer, 0))

    def clear_requests(self) -> None:
        """Count anew."""
        self.call("DELETE", "/requests")


class ClaireControl(_Control):
    """The control routes of the sandbox's Claire."""

    def set_latency(self, milliseconds: float) -> None:
        """Make every answer that late."""
        self.call("PUT", "/latency", {"latency_ms": milliseconds})

    def counts(self) -> dict[str, int]:
        """How many appointments, requests, imports (import requests) and effects (of imports) there are."""
        found: dict[str, int] = self.call("GET", "/counts")
        return found

    def log(self) -> list[Row]:
        """Every request received, oldest first."""
        found: list[Row] = self.call("GET", "/log")
        return found

    def effects(self, location: str | None = None, dms_nr: str | None = None) -> list[Row]:
        """The effects of imports, oldest first; of one location, of one appointment."""
        found: list[Row] = self.call("GET", "/effects")
        return [
            effect
            for effect in found
            if location in (None, effect["location_id"]) and dms_nr in (None, effect["dms_nr"])
        ]

    def appointments(self, location: str) -> list[Row]:
        """All appointments of a location."""
        found: list[Row] = self.call("GET", f"/appointments/{location}")
        return found

    def appointment(self, location: str, dms_nr: str) -> Row | None:
        """One appointment by its DMS number; None when there is none."""
        response = self._http.get(f"/appointments/{location}/{dms_nr}")
        found: Row | None = None if response.status_code == 404 else response.json()
        return found

    def set_status(self, location: str, dms_nr: str, status: str) -> Row:
        """Move an appointment to a status."""
        moved: Row = self.call("PUT", f"/appointments/{location}/{dms_nr}/status", {"status": status})
        return moved

    def add_staff_line(self, location: str, dms_nr: str, title: str, price: str | None = None) -> Row:
        """Type a line as staff does."""
        changed: Row = self.call("POST", f"/appointments/{location}/{dms_nr}/lines", {"title": title, "price": price})
        return changed

    def reset(self) -> None:
        """Forget all appointments, answers and logs."""
        self.call("POST", "/reset")
