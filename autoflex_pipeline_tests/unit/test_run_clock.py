from __future__ import annotations

from datetime import UTC, datetime, timedelta

from autoflex_pipeline.runs.clock import RunClock

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Machine:
    """A machine: what its clock says, and how long it has really been up."""

    def __init__(self) -> None:
        self.says = NOON
        self.up = 1000.0

    def live(self, **span: float) -> None:
        passed = timedelta(**span)
        self.says += passed
        self.up += passed.total_seconds()


def run_clock(machine: Machine, not_before: datetime | None = None) -> RunClock:
    return RunClock(lambda: machine.says, not_before=not_before, seconds=lambda: machine.up)


def test_it_gives_the_machines_time() -> None:
    machine = Machine()
    clock = run_clock(machine)
    machine.live(hours=3)
    assert clock() == NOON + timedelta(hours=3)


def test_a_jump_ahead_does_not_count_as_time_that_passed() -> None:
    machine = Machine()
    clock = run_clock(machine)
    machine.live(minutes=1)
    machine.says += timedelta(hours=2)
    assert clock() == NOON + timedelta(minutes=1)
    machine.live(minutes=1)
    assert clock() == NOON + timedelta(minutes=2)


def test_a_jump_back_does_not_take_time_back() -> None:
    machine = Machine()
    clock = run_clock(machine)
    machine.live(minutes=10)
    machine.says -= timedelta(days=1)
    assert clock() == NOON + timedelta(minutes=10)


def test_small_corrections_are_followed_but_never_backwards() -> None:
    machine = Machine()
    clock = run_clock(machine)
    machine.says += timedelta(seconds=30)
    assert clock() == NOON + timedelta(seconds=30)
    machine.says -= timedelta(seconds=20)
    assert clock() == NOON + timedelta(seconds=30)


def test_it_is_never_behind_what_is_stored() -> None:
    stored = NOON + timedelta(minutes=2)
    machine = Machine()
    clock = run_clock(machine, stored)
    assert clock() == stored
    machine.live(minutes=3)
    assert clock() == NOON + timedelta(minutes=3)
