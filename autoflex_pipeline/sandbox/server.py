"""The two stand-ins as real HTTP servers on the loopback interface: in a thread for tests, blocking for the command.

There is no access log: the DMS login carries its credentials in the query string.
"""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from autoflex_pipeline.sandbox.autoflex.app import autoflex_app
from autoflex_pipeline.sandbox.autoflex.dealers import SandboxDealer
from autoflex_pipeline.sandbox.autoflex.faulty import AutoflexFault
from autoflex_pipeline.sandbox.autoflex.service import AutoflexService
from autoflex_pipeline.sandbox.claire.app import claire_app
from autoflex_pipeline.sandbox.claire.faulty import ClaireFault
from autoflex_pipeline.sandbox.claire.service import ClaireKey, ClaireService, Location
from autoflex_pipeline.sandbox.wire import AbortableProtocol, telling_time

HOST = "127.0.0.1"
START_SECONDS = 15


@dataclass
class RunningServer:
    """A server in a thread of this process; ``url`` has no slash at its end."""

    url: str
    _server: uvicorn.Server
    _thread: threading.Thread

    @property
    def control_url(self) -> str:
        """Where the control routes are."""
        return f"{self.url}/control"

    def stop(self) -> None:
        """Stop serving and wait until the port is free; hanging answers are cut off."""
        self._server.should_exit = True
        self._thread.join(timeout=START_SECONDS)


@dataclass
class RunningAutoflex(RunningServer):
    """An Autoflex in a thread; ``service`` is its state, for lively edits and for reading."""

    service: AutoflexService

    @property
    def login_url(self) -> str:
        """The Autoflex ``login_url``."""
        return f"{self.url}/v2"


@dataclass
class RunningClaire(RunningServer):
    """A Claire in a thread; ``service`` is its state."""

    service: ClaireService

    @property
    def claire_base_url(self) -> str:
        """The Claire ``base_url``: the part before /v1."""
        return f"{self.url}/api"


@contextmanager
def running_autoflex(
    data_dir: Path,
    dealers: Sequence[SandboxDealer],
    *,
    port: int = 0,
    faults: Sequence[AutoflexFault] = (),
    told_time: Callable[[], datetime] | None = None,
) -> Iterator[RunningAutoflex]:
    """Serve an Autoflex for the time of the block; port 0 takes a free one.

    ``told_time`` is the ``Date`` of its answers, where that is not to be this machine's time.
    """
    service = AutoflexService(data_dir, dealers, faults)
    try:
        server = _start(autoflex_app(service), port, told_time)
        try:
            yield RunningAutoflex(server.url, server._server, server._thread, service)
        finally:
            server.stop()
    finally:
        service.close()


@contextmanager
def running_claire(
    data_dir: Path,
    keys: Sequence[ClaireKey],
    *,
    locations: Sequence[Location] = (),
    port: int = 0,
    faults: Sequence[ClaireFault] = (),
    latency_ms: float = 0,
) -> Iterator[RunningClaire]:
    """Serve a Claire for the time of the block; port 0 takes a free one."""
    service = ClaireService(data_dir, keys, locations, faults, latency_ms=latency_ms)
    try:
        server = _start(claire_app(service), port)
        try:
            yield RunningClaire(server.url, server._server, server._thread, service)
        finally:
            server.stop()
    finally:
        service.close()


def serve_autoflex(service: AutoflexService, port: int, on_started: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; ``on_started`` is given the URL. OSError when the port is taken."""
    _serve(autoflex_app(service), port, on_started)


def serve_claire(service: ClaireService, port: int, on_started: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; ``on_started`` is given the URL. OSError when the port is taken."""
    _serve(claire_app(service), port, on_started)


def _serve(app: FastAPI, port: int, on_started: Callable[[str], None]) -> None:
    listener = _listener(port)
    # Uvicorn hands the signal that ended it on to the handler from before; SIGTERM is to end as quietly as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    on_started(_url(listener))
    try:
        uvicorn.Server(_config(app)).run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # uvicorn has stopped in good order and raises the signal once more
    finally:
        listener.close()


def _start(app: FastAPI, port: int, told_time: Callable[[], datetime] | None = None) -> RunningServer:
    listener = _listener(port)
    config = _config(app) if told_time is None else _config(telling_time(app, told_time), date_header=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="sandbox-server", daemon=True)
    thread.start()  # the socket listens already: a call that comes early waits in its queue
    return RunningServer(_url(listener), server, thread)


def _listener(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as failure:
        listener.close()
        raise OSError(f"port {port} of {HOST} cannot be taken: {failure.strerror}") from None
    listener.listen(256)
    return listener


def _url(listener: socket.socket) -> str:
    return f"http://{HOST}:{listener.getsockname()[1]}"


def _config(app: ASGIApp, *, date_header: bool = True) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    return uvicorn.Config(
        app,
        http=AbortableProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=date_header,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=75,
    )
