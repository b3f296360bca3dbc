"""No secret reaches a log, a file, Dagster's storage or what is printed: known ones are planted and searched for."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from autoflex_pipeline_tests.world import (
    CLAIRE_KEY,
    DEVRIES,
    JANSEN,
    PSEUDONYM_KEY,
    World,
    load,
    sandbox_dealer,
    variable,
)

WRONG_PASSWORD = "verkeerd-w8woord-x91"


def secrets() -> list[str]:
    dealers = [sandbox_dealer(dealer_id) for dealer_id in (JANSEN, DEVRIES)]
    logins = [value for dealer in dealers for value in (dealer.api_key, dealer.username, dealer.password)]
    return [CLAIRE_KEY, PSEUDONYM_KEY, WRONG_PASSWORD, *logins]


def test_no_secret_is_written_anywhere(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    home = world.folder / "dagster"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    load(world, JANSEN)
    load(world, DEVRIES)
    summaries = [world.sync()]
    world.autoflex.set_fault("error", dealer=JANSEN, code=500, message="stuk", endpoint="order", times=50)
    world.claire.set_fault("unauthorized", times=50)
    world.autoflex.change(DEVRIES, "order", 50001, notes="anders")
    monkeypatch.setenv(variable(JANSEN, "PASSWORD"), WRONG_PASSWORD)
    world.restart()
    summaries.append(world.sync())
    assert not summaries[1]["ok"]
    world.installation.close()
    printed = capfd.readouterr()
    told = [caplog.text, printed.out, printed.err, str(summaries)]
    written = {path: path.read_bytes() for path in _files(world.folder)}
    assert any(path.suffix == ".duckdb" for path in written)
    assert any("runs" in path.name or "index" in path.name for path in written)
    for secret in secrets():
        lines = [line for text in told for line in text.splitlines() if secret in line]
        assert not lines, f"{secret[:6]}… was printed or logged: {lines[:3]}"
        found = [path for path, content in written.items() if secret.encode() in content]
        assert not found, f"{secret[:6]}… stands in {found}"


def _files(folder: Path) -> list[Path]:
    """Everything that the pipeline and Dagster wrote; not the vendors' own data."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in ("autoflex", "claire")
    ]
