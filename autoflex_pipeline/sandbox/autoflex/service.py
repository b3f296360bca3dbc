"""What a running Autoflex consists of: its dealers, rows, tokens, faults and journal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from autoflex_pipeline.sandbox.autoflex.dealers import SandboxDealer, Switches
from autoflex_pipeline.sandbox.autoflex.faulty import AutoflexFault
from autoflex_pipeline.sandbox.autoflex.journal import CallJournal
from autoflex_pipeline.sandbox.autoflex.store import AutoflexStore
from autoflex_pipeline.sandbox.autoflex.tokens import Clock, TokenDesk
from autoflex_pipeline.sandbox.faults import FaultBoard


def utc_now() -> datetime:
    """The moment."""
    return datetime.now(UTC)


class AutoflexService:
    """The state behind the routes. Rows are on disk, all else lives as long as the process."""

    def __init__(
        self,
        data_dir: Path,
        dealers: Sequence[SandboxDealer],
        faults: Sequence[AutoflexFault] = (),
        clock: Clock = utc_now,
    ) -> None:
        self.dealers = {dealer.dealer_id: dealer for dealer in dealers}
        self.switches: dict[str, Switches] = {dealer.dealer_id: dealer.switches for dealer in dealers}
        zones = {dealer.dealer_id: dealer.timezone for dealer in dealers}
        self.store = AutoflexStore(data_dir / "autoflex.sqlite", zones, clock)
        self.tokens = TokenDesk(clock)
        self.faults: FaultBoard[AutoflexFault] = FaultBoard(faults)
        self.journal = CallJournal()
        self.clock = clock

    def dealer_of_api_key(self, api_key: str) -> SandboxDealer | None:
        """The dealer whose API key this is."""
        return next((dealer for dealer in self.dealers.values() if dealer.api_key == api_key), None)

    def local(self, dealer_id: str, moment: datetime) -> datetime:
        """The moment in the dealer's time zone."""
        return moment.astimezone(ZoneInfo(self.dealers[dealer_id].timezone))

    def close(self) -> None:
        """Close the files."""
        self.store.close()
