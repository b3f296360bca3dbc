"""``autoflex-pipeline demo``: the sandbox and Dagster, wired together, ended together."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from filelock import FileLock, Timeout

from autoflex_pipeline.cli.output import EXIT_FAILED, EXIT_OK, Config, Json, console, installation, print_json
from autoflex_pipeline.cli.processes import Children, free_port, python_module
from autoflex_pipeline.cli.sync import run_and_summarise, show_summary
from autoflex_pipeline.errors import ConfigurationError

EDIT_EVERY_SECONDS = 20
START_SECONDS = 300
"""Generous: a process that ends is noticed at once, and a busy machine needs longer than a quiet one."""


def demo(
    config: Config = None,
    data: Annotated[Path, typer.Option("--data", help="Folder for everything the demo makes.", metavar="DIR")] = Path(
        "demo-data"
    ),
    port: Annotated[
        int, typer.Option("--port", help="Port of the Dagster UI; 0 takes a free one.", metavar="N", min=0, max=65535)
    ] = 0,
    once: Annotated[
        bool, typer.Option("--once", help="Run the sync once against the sandbox, print the summary, and end.")
    ] = False,
    quiet_dealers: Annotated[
        bool, typer.Option("--quiet-dealers", help="Leave the dealers as they are instead of making edits.")
    ] = False,
    json: Json = False,
) -> None:
    """Start an Autoflex with lively dealers, a Claire with its page, and the Dagster UI wired to them.

    Prints the addresses; Ctrl-C ends all of it. It makes its own configuration in the folder and needs none.

    \b
    Examples:
      autoflex-pipeline demo
      autoflex-pipeline demo --once
    """
    os.umask(0o077)
    folder = data.resolve()
    (folder / "sandbox").mkdir(parents=True, exist_ok=True, mode=0o700)
    _end_on_signals()
    with _only_one(folder), Children(folder) as children:
        try:
            environment = _start_sandbox(children, folder, lively=not (once or quiet_dealers))
            if once:
                raise typer.Exit(_sync_once(environment, as_json=json))
            _start_dagster(children, folder, environment, port or free_port())
            _tell(environment)
            while True:
                children.check()
                time.sleep(0.5)
        except KeyboardInterrupt:
            console().print("ending …")


def _end_on_signals() -> None:
    """SIGTERM ends the demo as Ctrl-C does; so does SIGINT where a shell started it with that ignored."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Two demos in one folder would write over each other's files."""
    lock = FileLock(folder / "demo.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ConfigurationError(f"a demo is running in {folder}; end it, or name another folder with --data") from None
    try:
        yield
    finally:
        lock.release()


def _start_sandbox(children: Children, folder: Path, *, lively: bool) -> dict[str, str]:
    """Start the two stand-ins and write the configuration; gives the environment that it needs."""
    ports = {name: free_port() for name in ("autoflex", "claire")}
    for name, port in ports.items():
        arguments = [name, "--port", str(port), "--data", str(folder / "sandbox")]
        if name == "autoflex" and lively:
            arguments += ["--lively", str(EDIT_EVERY_SECONDS)]
        children.start(name, python_module("autoflex_pipeline.sandbox", *arguments), os.environ)
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    for name, url in urls.items():
        children.wait_for(name, url, START_SECONDS)
    return dict(os.environ) | _configure(folder, urls)


def _configure(folder: Path, urls: Mapping[str, str]) -> dict[str, str]:
    """Write the demo's configuration; gives the variables that it names and those that the pages need."""
    from autoflex_pipeline.sandbox.demo import DEMO_CLAIRE_KEY, DEMO_DEALERS, DEMO_LOCATIONS

    variables = {
        "AUTOFLEX_CONFIG": str(folder / "autoflex.toml"),
        "AUTOFLEX_PSEUDONYM_KEY": "key-of-the-demo",
        "CLAIRE_API_KEY": DEMO_CLAIRE_KEY,
        "DEMO_AUTOFLEX_URL": urls["autoflex"],
        "DEMO_CLAIRE_URL": urls["claire"],
    }
    lines = [
        "# Written by the demo at each start.",
        "[warehouse]", 'path = "warehouse/warehouse.duckdb"', 'analytics_path = "analytics/analytics.duckdb"',
        "[claire]", f'base_url = "{urls["claire"]}/api"', "max_requests_per_second = 0",
        "[orchestration]", "schedules_running = true",
    ]  # fmt: skip
    for dealer, location in zip(DEMO_DEALERS, DEMO_LOCATIONS, strict=True):
        prefix = dealer.dealer_id.upper().replace("-", "_")
        variables |= {
            f"{prefix}_API_KEY": dealer.api_key,
            f"{prefix}_USERNAME": dealer.username,
            f"{prefix}_PASSWORD": dealer.password,
        }
        lines += [
            "[[dealers]]", f'id = "{dealer.dealer_id}"', f'name = "{dealer.name}"',
            f'claire_location_id = "{location.location_id}"', f'timezone = "{dealer.timezone}"',
            "[dealers.api]", f'login_url = "{urls["autoflex"]}/v2"', f'api_key_env = "{prefix}_API_KEY"',
            f'username_env = "{prefix}_USERNAME"', f'password_env = "{prefix}_PASSWORD"', "max_requests_per_second = 0",
        ]  # fmt: skip
    (folder / "autoflex.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return variables


def _sync_once(environment: Mapping[str, str], *, as_json: bool) -> int:
    os.environ.update(environment)
    with installation(None, needs_secrets=True) as opened:
        summary, _ = run_and_summarise(opened, {"dealers": [], "reread": True}, quiet=as_json)
    if as_json:
        print_json(summary)
    else:
        show_summary(summary)
    return EXIT_OK if summary["ok"] else EXIT_FAILED


def _start_dagster(children: Children, folder: Path, environment: dict[str, str], port: int) -> None:
    """Start Dagster's web server, daemon and code server with an instance of their own."""
    home = folder / "dagster"
    home.mkdir(exist_ok=True, mode=0o700)
    with as_file(files("autoflex_pipeline.orchestration") / "dagster.yaml") as settings:
        shutil.copyfile(settings, home / "dagster.yaml")
    environment |= {"DAGSTER_HOME": str(home), "DEMO_DAGSTER_URL": f"http://127.0.0.1:{port}"}
    command = python_module(
        "dagster", "dev", "-m", "autoflex_pipeline.definitions", "-h", "127.0.0.1", "-p", str(port)
    )  # fmt: skip
    children.start("dagster", command, environment)
    children.wait_for("dagster", f"http://127.0.0.1:{port}/server_info", START_SECONDS)


def _tell(environment: Mapping[str, str]) -> None:
    """The addresses, where people and tests read them."""
    print(f"Autoflex  {environment['DEMO_AUTOFLEX_URL']}   change an order here …")
    print(f"Claire    {environment['DEMO_CLAIRE_URL']}   … and see it here, within a minute or so")
    print(f"Dagster   {environment['DEMO_DAGSTER_URL']}   how it travelled")
    print("Ctrl-C ends all of it.")
    sys.stdout.flush()
