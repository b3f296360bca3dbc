"""The real commands on a world: its configuration and its clock, in this process."""

from __future__ import annotations

import functools
import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest

from autoflex_pipeline.cli import main
from autoflex_pipeline.orchestration import resources
from autoflex_pipeline_tests.world import World


@dataclass(frozen=True)
class Done:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def command(world: World, *arguments: str, answers: str = "") -> Done:
    """Run ``autoflex-pipeline`` with these arguments; ``answers`` are typed on its standard input."""
    out, err = io.StringIO(), io.StringIO()
    installation = functools.partial(resources.Installation, clock=lambda: world.now)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(resources, "Installation", installation)
        patch.setattr(sys, "argv", ["autoflex-pipeline", *arguments, "--config", str(world.config)])
        patch.setattr(sys, "stdin", io.StringIO(answers))
        code: object = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    return Done(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())
