"""The command trace as tests give it, and what it answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from autoflex_pipeline.cli.app import app
from autoflex_pipeline_tests.world import JANSEN, World

LATER = {"plan_date_from": "20261210T083000", "plan_date_to": "20261210T170000"}


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def trace(world: World, *arguments: str) -> Answer:
    done = CliRunner().invoke(app, ["trace", "--config", str(world.config), *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return Answer(done.exit_code, done.stdout, done.stderr)


def one(world: World, query: str = "50001") -> dict[str, Any]:
    answer = trace(world, "--dealer", JANSEN, query, "--json")
    assert answer.code == 0, answer.err
    return dict(answer.json)


def why(world: World, query: str = "50001") -> tuple[str, str]:
    found = one(world, query)["why"]
    return found["state"], found["text"]
