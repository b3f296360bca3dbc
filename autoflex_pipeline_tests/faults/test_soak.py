"""The soak in its short form; ``make soak`` runs it for half an hour."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoflex_pipeline_tests.soak import soak

SEED = 20261124


@pytest.mark.timeout(600)
def test_some_seconds_of_random_toxics_and_lively_dealers_ends_converged_with_one_effect_per_intent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = soak(tmp_path, monkeypatch, seed=SEED, minutes=0.3)
    assert figures.defects == []
    assert figures.runs_to_converge > 0
    assert figures.edits > 0
    assert sum(figures.connections_spoilt.values()) > 0
