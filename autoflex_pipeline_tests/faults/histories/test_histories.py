"""Whatever happens to two dealers, their vendors and the program: the invariants of design/semantics.md hold.

One thing is left out, because what it should do is not decided: an order whose type changes.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from autoflex_pipeline_tests.faults.histories.machine import Histories
from autoflex_pipeline_tests.faults.histories.site import history_ground, prepare

COUNT = int(os.environ.get("HISTORIES", "60"))
SEED = int(os.environ.get("HISTORIES_SEED", "0"))
SHRINK = os.environ.get("HISTORIES_SHRINK", "1") == "1"
STEPS = int(os.environ.get("HISTORIES_STEPS", "10"))


@pytest.mark.timeout(0 if COUNT > 1000 else 3600)
def test_the_invariants_hold_in_every_history(tmp_path: Path) -> None:
    """``HISTORIES`` of them, with ``HISTORIES_SEED``; a failing one is printed as steps that can be run again."""
    template = prepare(tmp_path / "template")
    chosen = settings(
        max_examples=COUNT,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize=not SEED,
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink) if SHRINK else (Phase.generate,),
        verbosity=Verbosity.normal,
    )
    with history_ground() as ground:
        Histories.template, Histories.folder, Histories.ground = template, tmp_path / "history", ground
        machine = seed(SEED)(Histories) if SEED else Histories
        run_state_machine_as_test(machine, settings=chosen)
