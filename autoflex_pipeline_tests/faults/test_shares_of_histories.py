"""Thousands of histories are the same on any machine, and none that fails is overlooked."""

from __future__ import annotations

from collections import Counter

import pytest

from autoflex_pipeline_tests.faults.histories import __main__ as histories
from autoflex_pipeline_tests.faults.histories.__main__ import Share
from autoflex_pipeline_tests.faults.histories.events import KINDS


def test_the_shares_and_their_seeds_do_not_depend_on_the_number_of_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    for processors in (1, 2, 64):
        monkeypatch.setattr("os.cpu_count", lambda processors=processors: processors)
        assert histories.shares_of(250, 7) == [(100, 7), (100, 8), (50, 9)]


def test_a_share_that_fails_shows_what_it_printed_and_the_others_are_summed_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HISTORIES_SEED", raising=False)
    monkeypatch.delenv("HISTORIES_BLOB", raising=False)

    def run_share(count: int, seed: int) -> Share:
        if seed == 2:
            return Share(seed, -9, "what the share printed", 0.1)
        return Share(seed, 0, "", 0.1, Counter(histories=count, runs=10 * count, killed=3), Counter({"syncs": 5}))

    monkeypatch.setattr(histories, "run_share", run_share)
    assert histories.main(250) == 1
    printed = capsys.readouterr().out
    assert "what the share printed" in printed
    assert "seed 2: FAILED with exit code -9" in printed
    assert "10 syncs" in printed
    assert "TOTAL: 150 histories, 1,500 runs, 6 of them killed" in printed
    assert "failed: [2]" in printed


def test_hundreds_of_histories_in_which_a_kind_of_event_did_not_occur_are_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HISTORIES_BLOB", raising=False)
    seen = Counter({name: 1 for names in KINDS.values() for name in names})
    monkeypatch.setattr(
        histories, "run_share", lambda count, seed: Share(seed, 0, "", 0.1, Counter(histories=count, killed=1), seen)
    )
    assert histories.main(200) == 0
    del seen["order unbilled"]
    assert histories.main(200) == 1
    assert "of these kinds nothing occurred: orders unbilled" in capsys.readouterr().out
    assert histories.main(100) == 0, "a few may lack something"
