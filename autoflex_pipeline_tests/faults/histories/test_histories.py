"""Whatever happens to two dealers, their vendors and the program: the invariants of design/semantics.md hold.

One thing is left out, because what it should do is not decided: an order whose type changes.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, reproduce_failure, seed, settings
from hypothesis import __version__ as hypothesis_version
from hypothesis.stateful import run_state_machine_as_test

from autoflex_pipeline_tests.faults.histories.machine import Histories
from autoflex_pipeline_tests.faults.histories.site import history_ground, prepare

COUNT = int(os.environ.get("HISTORIES", "50"))
SEED = int(os.environ.get("HISTORIES_SEED", "0"))
STEPS = int(os.environ.get("HISTORIES_STEPS", "10"))
BLOB = os.environ.get("HISTORIES_BLOB", "")
"""What a failure prints: that history again, and no other."""


@pytest.mark.timeout(0)
def test_the_invariants_hold_in_every_history(tmp_path: Path) -> None:
    """``HISTORIES`` of them, always the same ones unless ``HISTORIES_SEED`` is set."""
    chosen = settings(
        max_examples=COUNT,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize=not SEED,
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    )

    class Chosen(Histories):
        template, folder = prepare(tmp_path / "template"), tmp_path / "history"

    if SEED:
        seed(SEED)(Chosen)
    if BLOB:
        reproduce_failure(hypothesis_version, BLOB.encode())(Chosen)
    with history_ground() as Chosen.ground:
        try:
            run_state_machine_as_test(Chosen, settings=chosen)
        except Exception as failure:
            for blob in re.findall(r"b'([^']+)'", "\n".join(getattr(failure, "__notes__", ()))):
                failure.add_note(f"Run it again: HISTORIES_STEPS={STEPS} HISTORIES_BLOB='{blob}' make histories")
            raise
    print(f"\n{Chosen.histories} histories of up to {STEPS} steps, {Chosen.runs} runs, {Chosen.kills} of them killed")
