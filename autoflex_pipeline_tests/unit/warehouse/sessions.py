"""An analyst's session in a process of its own, driven line by line through pipes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = """
import json, os, sys
import duckdb

path, read_only = sys.argv[1], sys.argv[2] == "read_only"
connection = duckdb.connect(path, read_only=read_only)
print("connected", flush=True)
for line in sys.stdin:
    sql = json.loads(line)
    if sql == "die":
        os._exit(1)
    try:
        answer = {"rows": connection.execute(sql).fetchall()}
    except Exception as error:
        answer = {"error": str(error)}
    print(json.dumps(answer, default=str), flush=True)
"""


class Session:
    """An open connection of somebody else."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def query(self, sql: str) -> list[Any]:
        """The rows of a query; fails on an error."""
        self._send(sql)
        assert self._process.stdout is not None
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer
        rows: list[Any] = answer["rows"]
        return rows

    def die(self) -> None:
        """End without closing anything, as a killed program does."""
        self._send("die")
        self._process.wait(timeout=30)

    def _send(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(text) + "\n")
        self._process.stdin.flush()


@contextmanager
def session(path: Path, *, read_only: bool) -> Iterator[Session]:
    """A session on ``path`` that ends with the block."""
    command = [sys.executable, "-c", PROGRAM, str(path), "read_only" if read_only else "writing"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "connected\n"
            yield Session(process)
        finally:
            process.kill()
