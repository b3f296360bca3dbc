"""Whatever happens to two dealers, their vendors and the program: the invariants of design/semantics.md hold.

One thing is left out, because what it should do is not decided: an order whose type changes.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, reproduce_failure, seed, settings
from hypothesis import __version__ as hypothesis_version
from hypothesis.internal.conjecture.engine import ConjectureRunner
from hypothesis.stateful import run_state_machine_as_test

from autoflex_pipeline_tests.faults.histories.events import lacking
from autoflex_pipeline_tests.faults.histories.machine import Histories
from autoflex_pipeline_tests.faults.histories.site import history_ground, prepare

COUNT = int(os.environ.get("HISTORIES", "2"))
SEED = int(os.environ.get("HISTORIES_SEED", "0"))
STEPS = int(os.environ.get("HISTORIES_STEPS", "10"))
BLOB = os.environ.get("HISTORIES_BLOB", "")
"""What a failure prints: that history again, and no other."""
SHRINK = bool(os.environ.get("HISTORIES_SHRINK", ""))
"""Make a failing history as short as it can be: that takes many times as long as finding it."""

SUMMARY = os.environ.get("HISTORIES_SUMMARY", "")
"""A file for what was counted, by whoever sums up several shares and judges what occurred in all of them."""

MEMORY = Path("/dev/shm")
"""Where there is one, files are in memory: death is played here, and what a disk keeps through a real one is judged by
the crash matrix."""


@pytest.mark.timeout(0)
def test_the_invariants_hold_in_every_history() -> None:
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
        phases=(Phase.explicit, Phase.reuse, Phase.generate, *([Phase.shrink] if SHRINK else [])),
    )

    class Chosen(Histories):
        pass

    if SEED:
        seed(SEED)(Chosen)
    if BLOB:
        reproduce_failure(hypothesis_version, BLOB.encode())(Chosen)
    memory = MEMORY if MEMORY.is_dir() else None
    with no_near_copies(), TemporaryDirectory(dir=memory) as base, history_ground() as Chosen.ground:
        Chosen.template, Chosen.folder = prepare(Path(base) / "template"), Path(base) / "history"
        try:
            run_state_machine_as_test(Chosen, settings=chosen)
        except Exception as failure:
            for blob in re.findall(r"b'([^']+)'", "\n".join(getattr(failure, "__notes__", ()))):
                failure.add_note(f"Run it again: HISTORIES_STEPS={STEPS} HISTORIES_BLOB='{blob}' make histories")
            raise
    counts = {"histories": Chosen.histories, "runs": Chosen.runs, "killed": Chosen.kills}
    if SUMMARY:
        Path(SUMMARY).write_text(json.dumps({"counts": counts, "events": Chosen.events}), encoding="utf-8")
    print(f"\n{Chosen.histories} histories of up to {STEPS} steps, {Chosen.runs} runs, {Chosen.kills} of them killed")
    print("\n".join(f"{count:8,} {name}" for name, count in sorted(Chosen.events.items())))
    if not SUMMARY:
        assert lacking(Chosen.events, Chosen.kills, Chosen.histories) == [], "these did not occur in any history"


def no_near_copies() -> AbstractContextManager[object]:
    """After the tenth, Hypothesis runs five copies of each history with a piece of it repeated: new ones find more."""
    return patch.object(ConjectureRunner, "generate_mutations_from", lambda _runner, _data: None)
