"""A world with a proxy in front of each dealer's Autoflex and of Claire, and deadlines short enough to wait for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from autoflex_pipeline.sources import connections
from autoflex_pipeline.sources.autoflex_api import AutoflexApi, client
from autoflex_pipeline_tests.toxics import Proxy, running_proxies
from autoflex_pipeline_tests.world import DEVRIES, JANSEN, World, running_world

CLAIRE = "claire"


@dataclass(frozen=True)
class Patience:
    """Seconds until a silent Autoflex is given up, and for a call to it and a document to Claire, retries included."""

    autoflex_read: float = 0.7
    autoflex_deadline: float = 1.5
    claire_deadline: float = 2.0


@contextmanager
def running_toxic_world(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, seed: int = 1, patience: Patience | None = None
) -> Iterator[tuple[World, dict[str, Proxy]]]:
    """The world, and the proxies by dealer id and as "claire"; the controls of the sandbox are reached past them."""
    patience = patience or Patience()
    monkeypatch.setattr(client, "READ_SECONDS", patience.autoflex_read)
    patient_api = partial(AutoflexApi, deadline_seconds=patience.autoflex_deadline)
    monkeypatch.setattr(connections, "AutoflexApi", patient_api)
    with running_world(folder, monkeypatch) as world:
        upstreams = {JANSEN: world.login_url, DEVRIES: world.login_url, CLAIRE: world.claire_url}
        with running_proxies(upstreams, seed=seed) as proxies:
            world.claire_url = proxies[CLAIRE].url + urlsplit(world.claire_url).path
            path = urlsplit(world.login_url).path
            world.configure(
                dealers={dealer: {"api": {"login_url": proxies[dealer].url + path}} for dealer in (JANSEN, DEVRIES)},
                claire={"deadline_seconds": patience.claire_deadline},
            )
            try:
                yield world, proxies
            finally:
                for proxy in proxies.values():
                    proxy.reset()
                world.installation.close()
