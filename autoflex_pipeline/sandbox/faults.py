"""The board on which faults wait to be taken: each hits some calls, so many times, and is then over."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class Fault(BaseModel):
    """What all faults share: how often they hit, what most kinds take. Kinds and places are those of each server."""

    model_config = ConfigDict(extra="forbid")

    id: int = Field(0, description="Given by the server.")
    kind: str
    times: int | None = Field(None, ge=0, description="How many calls it hits; null: all, until it is cleared.")
    after: int = Field(0, ge=0, description="How many fitting calls it lets pass first.")
    hits: int = Field(0, ge=0, description="How many calls it has hit; counted by the server.")
    status: int | None = None
    retry_after: float | None = None
    retry_after_as_date: bool = False
    seconds: float | None = None
    latency_ms: float = 1000


F = TypeVar("F", bound=Fault)


class FaultBoard(Generic[F]):
    """The faults of one server; safe to use from several threads."""

    def __init__(self, faults: Collection[F] = ()) -> None:
        self._lock = threading.Lock()
        self._faults: list[F] = []
        self._next_id = 1
        for fault in faults:
            self.add(fault)

    def add(self, fault: F) -> F:
        """Put a fault on the board; the copy returned bears its id."""
        with self._lock:
            added = fault.model_copy(update={"id": self._next_id, "hits": 0})
            self._next_id += 1
            self._faults.append(added)
            return added

    def clear(self) -> None:
        """Take all faults off."""
        with self._lock:
            self._faults.clear()

    def remove(self, fault_id: int) -> bool:
        """Take one fault off; whether it was there."""
        with self._lock:
            before = len(self._faults)
            self._faults = [fault for fault in self._faults if fault.id != fault_id]
            return len(self._faults) < before

    def all(self) -> list[F]:
        """Every fault set since the last clearing, those that are over included (their ``hits`` tell)."""
        with self._lock:
            return [fault.model_copy() for fault in self._faults]

    def take(self, kinds: Collection[str], **place: object) -> F | None:
        """The first live fault of one of ``kinds`` that fits ``place``, counted as hit; None when there is none.

        A fault fits when each attribute named in ``place`` is None on it (anywhere) or equal.
        """
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults:
                if fault.kind not in kinds or (fault.times is not None and fault.hits >= fault.times):
                    continue
                if any(getattr(fault, name) not in (None, value) for name, value in place.items()):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.hits += 1
                return fault.model_copy()
        return None
