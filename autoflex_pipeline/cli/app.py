"""The command line: one module per command, put together here."""

from __future__ import annotations

import logging
import os
import sys

import typer

from autoflex_pipeline.cli import (
    alerts,
    backup,
    demo,
    doctor,
    metrics,
    months,
    quarantine,
    resend,
    restore,
    sandbox,
    status,
    sync,
    trace,
)
from autoflex_pipeline.cli.output import EXIT_USAGE, complain
from autoflex_pipeline.errors import ConfigurationError, PipelineError

app = typer.Typer(
    name="autoflex-pipeline",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Keeps Claire in step with Autoflex: reads the dealers' DMS, stages it in DuckDB, delivers what changed.",
)
app.command("demo")(demo.demo)
app.command("sync")(sync.sync)
app.command("trace")(trace.trace)
app.command("status")(status.status)
app.command("months")(months.months)
app.add_typer(quarantine.app, name="quarantine")
app.command("resend")(resend.resend)
app.add_typer(alerts.app, name="alerts")
app.command("backup")(backup.backup)
app.command("restore")(restore.restore)
app.command("metrics")(metrics.metrics)
app.command("doctor")(doctor.doctor)
app.add_typer(sandbox.app, name="sandbox")


def main() -> None:
    """Entry point of the command."""
    os.umask(0o077)
    # httpx logs whole request addresses; that of a DMS login holds its secrets.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        app()
    except ConfigurationError as error:
        complain(str(error))
        sys.exit(EXIT_USAGE)
    except PipelineError as error:
        complain(str(error))
        sys.exit(1)
