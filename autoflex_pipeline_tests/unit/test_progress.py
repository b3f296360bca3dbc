"""What a person sees on a terminal while the months of a backfill are read."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from autoflex_pipeline.cli.progress import progress
from autoflex_pipeline.sources.months import MonthRead


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def opened() -> Any:
    return SimpleNamespace(on_step=None, on_month=None, apis=SimpleNamespace(requests=41))


def test_each_month_is_told_as_it_was_read_and_the_bar_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    installation = opened()
    with progress(installation, months=2, quiet=False):
        installation.on_step("orders_by_month")
        installation.on_month(MonthRead("garage-jansen", "2026-09", 12, None))
        installation.on_month(MonthRead("garage-jansen", "2026-10", 3, "the answer broke off"))
    shown = terminal.getvalue()
    assert "garage-jansen 2026-09: read whole, 12 orders" in shown
    assert "garage-jansen 2026-10: NOT read whole, 3 orders so far: the answer broke off" in shown
    assert "2/2" in shown
    assert "41 requests" in shown
    assert installation.on_month is None


def test_nothing_is_shown_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", pipe := io.StringIO())
    installation = opened()
    with progress(installation, months=2, quiet=False):
        assert installation.on_step is None
    assert pipe.getvalue() == ""
