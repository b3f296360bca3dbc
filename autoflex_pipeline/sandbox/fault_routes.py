"""The control routes of the fault board: the same for both stand-ins, each with the faults of its own."""

from typing import Any

from fastapi import APIRouter

from autoflex_pipeline.sandbox.faults import F, FaultBoard


def add_fault_routes(router: APIRouter, board: FaultBoard[F], kind: type[F]) -> None:
    """The routes of /faults on ``board``; ``kind`` is what a fault of this stand-in looks like."""

    # Without "from __future__ import annotations": FastAPI reads the body's type from the annotation, as an object.
    @router.get("/faults", response_model=list[kind])  # type: ignore[valid-type]
    async def list_faults() -> Any:
        """The faults set, with how many calls each has hit."""
        return board.all()

    @router.post("/faults", response_model=kind)
    async def add_fault(fault: kind) -> Any:  # type: ignore[valid-type]
        """Set one more fault."""
        return board.add(fault)

    @router.put("/faults", response_model=list[kind])  # type: ignore[valid-type]
    async def set_faults(faults: list[kind]) -> Any:  # type: ignore[valid-type]
        """Set these faults and no others."""
        board.clear()
        return [board.add(fault) for fault in faults]

    @router.delete("/faults")
    async def clear_faults() -> dict[str, bool]:
        """Behave again."""
        board.clear()
        return {"ok": True}
