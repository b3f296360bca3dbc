"""``python -m autoflex_pipeline.sandbox autoflex|claire``: one stand-in by itself, with the dealers of the demo."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from autoflex_pipeline.sandbox import demo
from autoflex_pipeline.sandbox.autoflex.faulty import AutoflexFault
from autoflex_pipeline.sandbox.autoflex.service import AutoflexService
from autoflex_pipeline.sandbox.claire.faulty import ClaireFault
from autoflex_pipeline.sandbox.claire.service import ClaireKey, ClaireService
from autoflex_pipeline.sandbox.lively import Lively, Stage
from autoflex_pipeline.sandbox.server import serve_autoflex, serve_claire

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one stand-in until Ctrl-C; 2 when its port is taken."""
    given = _parser().parse_args(arguments)
    try:
        run_autoflex(given) if given.which == "autoflex" else run_claire(given)
    except OSError as failure:
        print(failure, file=sys.stderr)
        return 2
    return 0


def run_autoflex(given: argparse.Namespace) -> None:
    """Serve an Autoflex, its dealers generated when the folder holds none, and lively when asked."""
    dealers = demo.DEMO_DEALERS
    service = AutoflexService(given.data, dealers, [AutoflexFault.model_validate(fault) for fault in given.fault])
    try:
        dirty = demo.fill_once(
            service.store,
            dealers,
            datetime.now(AMSTERDAM).date(),
            seed=given.seed,
            months=given.months,
            open_orders=given.open_orders,
        )
        stage = Stage(service.store, [dealer.dealer_id for dealer in dealers], dirty)
        lively = Lively(stage, given.seed, given.lively, lambda: datetime.now(AMSTERDAM)) if given.lively else None
        if lively is not None:
            lively.start()
        try:
            serve_autoflex(service, given.port, lambda url: _announce(f"Autoflex: {url}  (login_url = {url}/v2)"))
        finally:
            if lively is not None:
                lively.stop()
    finally:
        service.close()


def run_claire(given: argparse.Namespace) -> None:
    """Serve a Claire with the keys of the demo, or those given."""
    keys = given.key or demo.DEMO_KEYS
    faults = [ClaireFault.model_validate(fault) for fault in given.fault]
    service = ClaireService(given.data, keys, demo.DEMO_LOCATIONS, faults, latency_ms=given.latency_ms)
    try:
        serve_claire(service, given.port, lambda url: _announce(f"Claire: {url}  (base_url = {url}/api)"))
    finally:
        service.close()


def _announce(text: str) -> None:
    print(text, flush=True)


def _claire_key(text: str) -> ClaireKey:
    key, separator, locations = text.rpartition("=")
    if not separator or not key or not locations:
        raise argparse.ArgumentTypeError("a key is given as KEY=LOCATION[,LOCATION…]")
    return ClaireKey(locations, key, tuple(locations.split(",")))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m autoflex_pipeline.sandbox", description=__doc__)
    which = parser.add_subparsers(dest="which", required=True)
    autoflex = which.add_parser("autoflex", help="the DMS")
    autoflex.add_argument("--seed", type=int, default=demo.DEMO_SEED)
    autoflex.add_argument("--months", type=int, default=3, help="months of closed history")
    autoflex.add_argument("--open-orders", type=int, default=None, help="open work orders per dealer")
    autoflex.add_argument("--lively", type=float, default=0, metavar="SECONDS", help="an edit every so many seconds")
    claire = which.add_parser("claire", help="the workshop platform")
    claire.add_argument("--key", type=_claire_key, action="append", help="KEY=LOCATION[,LOCATION…]; repeatable")
    claire.add_argument("--latency-ms", type=float, default=0)
    for each in (autoflex, claire):
        each.add_argument("--port", type=int, default=0, help="0 takes a free one")
        each.add_argument("--data", type=Path, default=Path("demo-data"), help="folder for its state")
        each.add_argument("--fault", type=json.loads, action="append", default=[], help="a fault as JSON; repeatable")
    return parser


if __name__ == "__main__":
    sys.exit(main())
