"""``autoflex-pipeline alerts``: what is wrong now and since when; trying the routes; looking without Dagster."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from autoflex_pipeline.cli.output import (
    EXIT_FAILED,
    Config,
    Json,
    complain,
    console,
    installation,
    print_json,
    print_table,
)
from autoflex_pipeline.errors import ConfigurationError, PipelineError

app = typer.Typer(no_args_is_help=True, help="What is wrong now and since when; where that is told; trying it.")


@app.command("list")
def list_(
    config: Config = None,
    all_: Annotated[bool, typer.Option("--all", help="Also what is over.")] = False,
    json: Json = False,
) -> None:
    """What is open, since when, and which messages are still to go; as it was when it was last looked at.

    \b
    Example:
      autoflex-pipeline alerts list
    """
    from autoflex_pipeline.alerts.keeping import LAST_WATCHED
    from autoflex_pipeline.alerts.kinds import KINDS
    from autoflex_pipeline.state import alerts as store
    from autoflex_pipeline.state.marks import mark

    with installation(config) as opened, opened.state.begin() as connection:
        last = mark(connection, LAST_WATCHED)
        known = list(store.alerts(connection).values())
        waiting = store.unsent(connection)
    shown = sorted(
        (row for row in known if all_ or row["closed_at"] is None), key=lambda row: row["opened_at"], reverse=True
    )
    parts = ("id", "route", "change", "title", "made_at", "attempts", "next_try_at", "error")
    unsent = [{name: row[name] for name in parts} for row in waiting]
    if json:
        print_json({"looked_at": last, "alerts": shown, "unsent": unsent})
        return
    if last is None:
        complain(
            "nobody has looked yet: switch on the sensor `alerts` in Dagster, or run `autoflex-pipeline alerts watch`"
        )
    columns = ["dealer", "what", "severity", "since", *(["over"] if all_ else []), "details"]
    rows: list[list[Any]] = []
    for row in shown:
        what = KINDS[row["kind"]].title + (f" ({row['subject']})" if row["subject"] else "")
        over = [_time(row["closed_at"])] if all_ else []
        dealer = row["dealer_id"] or "(installation)"
        rows.append([dealer, what, row["severity"], _time(row["opened_at"]), *over, row["detail"]])
    print_table(f"Alerts, looked at {_time(datetime.fromisoformat(last)) if last else 'never'}", columns, rows)
    if unsent:
        cells = [
            [row["route"], row["title"], row["attempts"], _time(row["next_try_at"]), row["error"]] for row in unsent
        ]
        print_table("Messages still to go", ["route", "message", "failed tries", "next try", "why"], cells)


@app.command("test")
def try_routes(
    config: Config = None,
    route: Annotated[
        list[str] | None,
        typer.Option("--route", help="Name of an [[alerts]] section; may be given several times.", metavar="NAME"),
    ] = None,
    json: Json = False,
) -> None:
    """Send a test message through each route now, and say how that went. Exit 1 when one did not go.

    \b
    Example:
      autoflex-pipeline alerts test --route data-team
    """
    from autoflex_pipeline.alerts.sending import send, trial

    results: dict[str, str | None] = {}
    with installation(config) as opened:
        routes = {section.name: section for section in opened.settings.alerts}
        for name in route or routes:
            if name not in routes:
                known = ", ".join(routes) or "none"
                raise ConfigurationError(f"--route {name!r}: there is no such [[alerts]] section; known are: {known}")
        if not routes:
            raise ConfigurationError("the configuration has no [[alerts]] section; see autoflex.example.toml")
        for name in route or routes:
            try:
                send(routes[name], trial(opened.clock()))
                results[name] = None
            except PipelineError as error:
                results[name] = str(error)
    if json:
        print_json({"ok": not any(results.values()), "routes": results})
    else:
        for name, problem in results.items():
            console().print(f"{name}: {'sent' if problem is None else f'NOT SENT: {problem}'}", markup=False)
    if any(results.values()):
        raise typer.Exit(EXIT_FAILED)


@app.command("watch")
def watch_(config: Config = None, json: Json = False) -> None:
    """Look once at what is wrong, and send what is to be told: for where no Dagster daemon runs the sensor.

    Failed runs and checks of Dagster are told by its sensors only; dealers, refused runs and silent feeds by this too.

    \b
    Example:
      autoflex-pipeline alerts watch
    """
    from autoflex_pipeline.alerts.watching import watch

    with installation(config) as opened:
        open_now, sent = watch(opened.settings, opened.state, clock=opened.clock)
    if json:
        print_json({"open": [key._asdict() for key in open_now], "sent": sent.sent, "left": sent.left})
    else:
        console().print(f"{len(open_now)} open; {sent.sent} messages sent, {sent.left} still to go")
    if sent.left:
        raise typer.Exit(EXIT_FAILED)


def _time(moment: datetime | None) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M %Z") if moment else ""
