"""``autoflex-pipeline sandbox autoflex|claire``: one stand-in by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autoflex_pipeline.cli.output import Config

app = typer.Typer(no_args_is_help=True, help="A stand-in of one vendor by itself, strict as the contract pages are.")

Port = Annotated[
    int, typer.Option("--port", help="Port on 127.0.0.1; 0 takes a free one.", metavar="N", min=0, max=65535)
]
Data = Annotated[
    Path, typer.Option("--data", help="Folder that keeps its state; it survives a restart.", metavar="DIR")
]


@app.command("autoflex")
def autoflex(
    config: Config = None,
    port: Port = 0,
    data: Data = Path("demo-data/sandbox"),
    seed: Annotated[int, typer.Option("--seed", help="The same seed makes the same dealers.", metavar="S")] = 417,
    lively: Annotated[
        float, typer.Option("--lively", help="Make an edit every so many seconds; 0: none.", metavar="SECONDS", min=0)
    ] = 0,
) -> None:
    """Serve an Autoflex with three generated dealers, a page to edit orders, and control routes for faults.

    It needs no configuration file. Ctrl-C ends it.

    \b
    Example:
      autoflex-pipeline sandbox autoflex --port 8801 --lively 5
    """
    from autoflex_pipeline.sandbox.__main__ import main

    arguments = ["autoflex", "--port", str(port), "--data", str(data), "--seed", str(seed), "--lively", str(lively)]
    raise typer.Exit(main(arguments))


@app.command("claire")
def claire(config: Config = None, port: Port = 0, data: Data = Path("demo-data/sandbox")) -> None:
    """Serve a Claire with its page, its logs of requests and effects, and control routes for faults.

    It needs no configuration file. Ctrl-C ends it.

    \b
    Example:
      autoflex-pipeline sandbox claire --port 8802
    """
    from autoflex_pipeline.sandbox.__main__ import main

    raise typer.Exit(main(["claire", "--port", str(port), "--data", str(data)]))
