"""How long each step of a run took, and each dealer in it, for whoever wants to be told: ids, times and counts only.

Nothing here knows where it is told; `telemetry/traces.py` does. Without a teller nothing is measured.
"""

from __future__ import annotations

import functools
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

if TYPE_CHECKING:
    from autoflex_pipeline.runs.context import RunContext

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(slots=True)
class Span:
    """A piece of work: a step of the run, or a dealer in a step (``parent`` is the step's id; a step's own is None).

    ``began`` and ``ended`` are nanoseconds since 1970 on the machine's clock; ``error`` is the kind of what it raised.
    """

    run_id: str
    name: str
    span_id: int = field(default_factory=lambda: secrets.randbits(64) or 1)
    parent: int | None = None
    dealer_id: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    began: int = field(default_factory=time.time_ns)
    ended: int = 0
    error: str | None = None


Teller = Callable[[Sequence[Span], bool], None]
"""Is told the spans of a step when it has ended, the step's own first; True: the run has ended with it."""


@contextmanager
def measured(spans: list[Span], span: Span) -> Iterator[Span]:
    """The span lasts as long as the block, and is then among ``spans``."""
    try:
        yield span
    except BaseException as error:
        span.error = type(error).__name__
        raise
    finally:
        span.ended = time.time_ns()
        spans.append(span)


def step(function: Callable[Concatenate[RunContext, P], R]) -> Callable[Concatenate[RunContext, P], R]:
    """Tell of each call of a step, if somebody is to be told; one that raises ends its run."""
    return _told(function, is_last=False)


def last_step(function: Callable[Concatenate[RunContext, P], R]) -> Callable[Concatenate[RunContext, P], R]:
    """The same of the step with which a run ends."""
    return _told(function, is_last=True)


def _told(
    function: Callable[Concatenate[RunContext, P], R], *, is_last: bool
) -> Callable[Concatenate[RunContext, P], R]:
    @functools.wraps(function)
    def wrapped(context: RunContext, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if context.teller is None:
            return function(context, *args, **kwargs)
        own = context.step = Span(context.run_id, function.__name__)
        spans: list[Span] = []
        try:
            with measured(spans, own):
                return function(context, *args, **kwargs)
        finally:
            dealers, context.dealer_spans = context.dealer_spans, []
            context.teller([*spans, *dealers], is_last or own.error is not None)

    return wrapped
