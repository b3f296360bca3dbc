"""Fewer collections of garbage within a block, and as many as before after it."""

from __future__ import annotations

import gc

import pytest

from autoflex_pipeline.collecting import OBJECTS_BETWEEN, collecting_rarely


def test_the_usual_number_comes_back_when_the_last_of_overlapping_blocks_ends() -> None:
    usual = gc.get_threshold()
    first, second = collecting_rarely(), collecting_rarely()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert gc.get_threshold() == (OBJECTS_BETWEEN, *usual[1:])
    second.__exit__(None, None, None)
    assert gc.get_threshold() == usual


def test_the_usual_number_comes_back_after_an_error() -> None:
    usual = gc.get_threshold()
    with pytest.raises(KeyError), collecting_rarely():
        raise KeyError
    assert gc.get_threshold() == usual
