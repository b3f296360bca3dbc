"""Mutants: a module is changed in one small place, and its fast tests must notice. `make mutants`.

A driver of our own, because the libraries (mutmut 3, cosmic-ray 8) change neither the SQL in texts and files, where
half of these rules stand, nor the conditions of SQLAlchemy; and cosmic-ray starts a process for each mutant, which
imports for seconds. Here everything is imported once; each mutant runs in a fork, which imports anew only what depends
on the changed file. All of it happens in a copy of the repository, so nothing here is ever changed. One process, a
fixed seed for samples and for Hypothesis.

Mutants that cannot change behaviour stand with the reason in ``equivalent_mutants.toml``; one that stands there and
is no mutant any more is an error. All others are counted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import grimp
import hypothesis
import pytest

from autoflex_pipeline_tests.mutations import Mutant, mutants_of_python, mutants_of_sql

ROOT = Path(__file__).parents[1]
PACKAGES = ("autoflex_pipeline", "autoflex_pipeline_tests")
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.toml")
IN_MEMORY = Path("/dev/shm")
LIBRARIES = (
    "_pytest.debugging", "_pytest.faulthandler", "_pytest.junitxml", "filelock", "httpx", "pandas", "pyarrow",
    "pytest_timeout", "sqlalchemy.dialects.sqlite",
)  # fmt: skip
"""What is else imported only while the tests run, by each fork anew."""
SECONDS_OF_WORK = 15
"""A mutant whose tests compute longer is noticed by that."""
TIMES_AS_LONG = 5
"""So is one whose tests take so many times as long as without it, and ten seconds."""

CLAIRE, STATE, READING = "unit/claire/", "unit/state/", "unit/reading/"
TESTS: dict[str, dict[str, tuple[str, ...]]] = {
    "difference": {
        "claire/difference.py": (CLAIRE + "test_difference.py",),
        "claire/contract.py": (CLAIRE + "test_difference.py",),
        "claire/intents.py": (CLAIRE + "test_intents.py",),
        "claire/candidates.sql": (CLAIRE + "test_candidates.py",),
        "claire/policies.py": (CLAIRE + "test_policies.py",),
    },
    "outbox": {
        "state/outbox.py": (STATE + "test_outbox.py",),
        "claire/sending.py": tuple(
            CLAIRE + name for name in ("test_sending.py", "test_sending_asks_first.py", "test_sending_gives_up.py")
        ),
    },
    "ledger": {
        "state/ledger.py": (STATE + "test_ledger.py",),
        "claire/mirror.py": (CLAIRE + "test_mirror.py",),
    },
    "retry": {
        "throttling.py": ("unit/test_throttling.py",),
        "claire/gate.py": (CLAIRE + "test_gate.py",),
        "claire/api.py": (CLAIRE + "test_client.py", CLAIRE + "test_client_questions.py"),
        "claire/client.py": (
            CLAIRE + "test_client.py",
            CLAIRE + "test_client_questions.py",
            CLAIRE + "test_client_connections.py",
        ),
        "state/outages.py": (STATE + "test_outages.py",),
        "sources/autoflex_api/client.py": ("unit/sources/test_client.py", "unit/sources/test_failures.py"),
    },
    "absence": {
        "sources/absence.py": (READING + "test_absence.py", READING + "test_asking.py"),
        "sources/unstaged.py": (READING + "test_unstaged.py", READING + "test_asking.py"),
        "runs/orders.py::_another_known_order": (READING + "test_proof.py",),
        "sources/storing.py": (
            READING + "test_storing.py",
            READING + "test_overlapping_readings.py",
            READING + "test_absence.py",
            READING + "test_lost_records.py",
        ),
        "sources/storing.sql": (
            READING + "test_storing.py",
            READING + "test_overlapping_readings.py",
            READING + "test_absence.py",
        ),
    },
}
"""What is tried: each module (or one function of it), and the fast tests that are to notice its mutants."""


@dataclass
class Result:
    """What became of the mutants of one module."""

    mutants: int = 0
    equivalent: int = 0
    tried: int = 0
    survived: list[Mutant] = field(default_factory=list)

    @property
    def killed(self) -> int:
        return self.tried - len(self.survived)


class Copy:
    """A copy of the repository that this process has imported, and whose files are changed for a moment."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seconds = folder, 300
        for name in (*PACKAGES, "pyproject.toml"):
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, folder / name)
        self._forget(name for name in list(sys.modules) if name.partition(".")[0] in PACKAGES)
        sys.path.insert(0, str(folder))
        sys.dont_write_bytecode = True
        os.chdir(folder)
        importlib.invalidate_caches()
        self._graph = grimp.build_graph(*PACKAGES, cache_dir=None)

    def import_for(self, tests: set[str]) -> None:
        """What a fork need not import anew it finds here."""
        for test in tests:
            importlib.import_module(_module_of(f"autoflex_pipeline_tests/{test}"))

    def notices(self, file: str, text: str, tests: tuple[str, ...]) -> bool:
        """Whether ``tests`` fail with ``text`` in the place of ``file``."""
        target = self.folder / "autoflex_pipeline" / file
        before = target.read_text("utf-8")
        target.write_text(text, "utf-8")
        child = os.fork()
        if child == 0:
            self._run(file, tests)
        try:
            return os.waitpid(child, 0)[1] != 0
        finally:
            target.write_text(before, "utf-8")

    def _run(self, file: str, tests: tuple[str, ...]) -> NoReturn:
        """In the fork: end with the code of pytest, or by the alarm."""
        code = 1
        try:  # whatever a mutant raises ends the fork, and never goes on as this program
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS_OF_WORK, SECONDS_OF_WORK))
            signal.alarm(self.seconds)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            paths = [f"autoflex_pipeline_tests/{test}" for test in tests]
            self._forget({*self._depending_on(file), *map(_module_of, paths)})
            options = [
                "-q",
                "-x",
                "--tb=no",
                "--assert=plain",
                "-p",
                "no:cacheprovider",
                "-p",
                "pytest_timeout",
                "--timeout=0",
            ]
            options += [f"--basetemp={self.folder / 'tmp'}"]
            code = int(pytest.main([*options, *paths]))
        finally:
            os._exit(code)

    def _depending_on(self, file: str) -> set[str]:
        if file.endswith(".py"):
            readers = {_module_of(f"autoflex_pipeline/{file}")}
        else:
            name = Path(file).name
            folder = (self.folder / "autoflex_pipeline" / file).parent
            paths = [path for path in folder.glob("*.py") if name in path.read_text("utf-8")]
            readers = {_module_of(str(path.relative_to(self.folder))) for path in paths}
        return readers.union(*(self._graph.find_downstream_modules(reader) for reader in readers))

    @staticmethod
    def _forget(names: Iterable[str]) -> None:
        for name in names:
            sys.modules.pop(name, None)
            package, _, last = name.rpartition(".")
            if hasattr(sys.modules.get(package), last):
                delattr(sys.modules[package], last)  # "from package import module" would find the old one


def _module_of(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def run(
    copied: Copy, module: str, tests: tuple[str, ...], *, sample: int, seed: int, until: float, only: list[str]
) -> Result:
    """Try the mutants of a module, or those that contain one of the texts ``only``. Survivors are printed."""
    file, _, part = module.partition("::")
    text = (copied.folder / "autoflex_pipeline" / file).read_text("utf-8")
    every = mutants_of_sql(text) if file.endswith(".sql") else mutants_of_python(text, part=part)
    known = tomllib.loads(EQUIVALENT.read_text("utf-8")).get(module, {})
    if stale := known.keys() - {mutant.change for mutant in every}:
        raise SystemExit(f"{module}: no such mutants in {EQUIVALENT.name}: {sorted(stale)}")
    chosen = [mutant for mutant in every if mutant.change not in known]
    result = Result(len(every), len(every) - len(chosen))
    if only:
        chosen = [mutant for mutant in chosen if any(text in mutant.change for text in only)]
    copied.seconds, began = 300, time.monotonic()
    if copied.notices(file, text, tests):
        raise SystemExit(f"{module}: its tests fail without any mutant")
    copied.seconds = 10 + round(TIMES_AS_LONG * (time.monotonic() - began))
    for mutant in random.Random(seed).sample(chosen, min(sample or len(chosen), len(chosen))):
        if time.monotonic() > until:
            break
        result.tried += 1
        if not copied.notices(file, mutant.text, tests):
            result.survived.append(mutant)
            print(f"survived: {module}:{mutant.line}: {mutant.change}", flush=True)
    return result


def report(of: str, result: Result) -> str:
    """A row of the table."""
    share = f"{result.killed / result.tried:.0%}" if result.tried else "–"
    counts = (result.mutants, result.equivalent, result.tried, result.killed, len(result.survived))
    return f"| {of} | {' | '.join(map(str, counts))} | {share} |"


def main() -> None:
    """The command."""
    known = {module: tests for modules in TESTS.values() for module, tests in modules.items()}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help=f"such as claire/difference.py, or {', '.join(TESTS)}; all without")
    parser.add_argument("--sample", type=int, default=0, help="so many of each module; 0: all")
    parser.add_argument("--seed", type=int, default=1, help="which ones a sample takes")
    parser.add_argument("--minutes", type=float, default=24 * 60, help="no further mutant after so long")
    parser.add_argument("--only", action="append", default=[], help="those whose words contain this text (repeatable)")
    given = parser.parse_args()
    until = time.monotonic() + 60 * given.minutes
    chosen = [module for name in given.modules or TESTS for module in TESTS.get(name, [name])]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for library in LIBRARIES:
        importlib.import_module(library)
    hypothesis.settings.register_profile(
        "mutants", derandomize=True, database=None, deadline=None, phases=[hypothesis.Phase.generate]
    )
    hypothesis.settings.load_profile("mutants")
    total = Result()
    rows = []
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as folder:
        copied = Copy(Path(folder))
        copied.import_for({test for module in chosen for test in known[module]})
        for module in chosen:
            began = time.monotonic()
            result = run(
                copied, module, known[module], sample=given.sample, seed=given.seed, until=until, only=given.only
            )
            rows.append(report(f"`{module}`", result))
            print(f"{rows[-1]} in {time.monotonic() - began:.0f} s", flush=True)
            total = Result(
                total.mutants + result.mutants,
                total.equivalent + result.equivalent,
                total.tried + result.tried,
                total.survived + result.survived,
            )
        os.chdir(ROOT)
    print(
        "",
        "| module | mutants | equivalent | tried | killed | survived | share |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *rows,
        report("all", total),
        sep="\n",
    )


if __name__ == "__main__":
    main()
