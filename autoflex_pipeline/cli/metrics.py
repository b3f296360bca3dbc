"""``autoflex-pipeline metrics``: the figures that Prometheus collects."""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from autoflex_pipeline.cli.output import Config, complain, installation
from autoflex_pipeline.errors import ConfigurationError

_ADDRESS = re.compile(r"(?:(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):)?(?P<port>\d{1,5})")


def metrics(
    config: Config = None,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen",
            help="Serve them at this address until Ctrl-C; a port alone is on 127.0.0.1. It has no login and no TLS.",
            metavar="[HOST:]PORT",
        ),
    ] = None,
    textfile: Annotated[
        Path | None,
        typer.Option(
            "--textfile", help="Write them as a whole for node_exporter's textfile collector.", metavar="PATH"
        ),
    ] = None,
) -> None:
    """Print the metrics of every dealer for Prometheus, serve them, or write them into a file.

    Counts, times and ids of dealers, never what a record holds; docs/operators.md names each.

    \b
    Examples:
      autoflex-pipeline metrics
      autoflex-pipeline metrics --listen 127.0.0.1:9464
      autoflex-pipeline metrics --textfile /var/lib/node_exporter/autoflex.prom
    """
    from prometheus_client import generate_latest

    from autoflex_pipeline.telemetry.metrics import registry_of, write_textfile

    if listen is not None and textfile is not None:
        raise ConfigurationError("--listen and --textfile: give one of them")
    address = None if listen is None else _address(listen)
    with installation(config) as opened:
        registry = registry_of(opened.settings, opened.state, opened.clock)
        if address is not None:
            _serve(*address, registry)
        elif textfile is not None:
            try:
                write_textfile(textfile, registry)
            except OSError as error:
                raise ConfigurationError(f"--textfile {textfile}: cannot be written ({type(error).__name__})") from None
        else:
            print(generate_latest(registry).decode(), end="")


def _address(listen: str) -> tuple[str, int]:
    found = _ADDRESS.fullmatch(listen)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise ConfigurationError(f"--listen {listen!r}: must be HOST:PORT or PORT, such as 127.0.0.1:9464")
    return (found["host"] or "127.0.0.1").strip("[]"), int(found["port"])


def _serve(host: str, port: int, registry: object) -> None:
    """Until Ctrl-C."""
    from prometheus_client import start_http_server

    try:
        server, thread = start_http_server(port, host, registry)  # type: ignore[arg-type]
    except OSError as error:
        raise ConfigurationError(f"--listen {host}:{port}: cannot be opened ({type(error).__name__})") from None
    complain(f"metrics at http://{host}:{port}/metrics; Ctrl-C ends it")
    try:
        wait_for_ctrl_c()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def wait_for_ctrl_c() -> None:
    """Until a person has seen enough."""
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
