"""The words of a message: what, where, since when, what to do, and where that is described. Nothing personal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from autoflex_pipeline.alerts.kinds import KINDS
from autoflex_pipeline.plain_text import one_line
from autoflex_pipeline.settings import Settings
from autoflex_pipeline.state.alerts import AlertKey

Change = Literal["opened", "worse", "recovered"]
INSTALLATION_ZONE = ZoneInfo("Europe/Amsterdam")
MARKS = {"opened": "OPENED", "worse": "WORSE", "recovered": "RECOVERED"}
LONGEST_DETAIL = 500


@dataclass(frozen=True, slots=True)
class Message:
    """A change of state in words."""

    change: Change
    severity: str
    title: str
    body: str

    @property
    def columns(self) -> dict[str, str]:
        """As the outbox keeps it."""
        return {"change": self.change, "severity": self.severity, "title": self.title, "body": self.body}


def message_of(settings: Settings, key: AlertKey, alert: dict[str, Any], change: Change) -> Message:
    """The message that tells of the change."""
    kind = KINDS[key.kind]  # type: ignore[index]
    title = f"[{MARKS[change]}] {where(settings, key)}: {kind.title}{f' ({key.subject})' if key.subject else ''}"
    zone = settings.dealer(key.dealer_id).zone if key.dealer_id else INSTALLATION_ZONE
    lines = [title]
    if alert["detail"]:
        lines.append(f"What: {one_line(alert['detail'], LONGEST_DETAIL)}")
    lines.append(f"Severity: {alert['severity']}; since {told(alert['opened_at'], zone)}")
    if change == "recovered":
        lines.append(f"Over: {told(alert['closed_at'], zone)}; nothing is left to do.")
    else:
        lines += [
            f"Next step: {kind.next_step}",
            f"Runbook: {settings.orchestration.doc_address(f'runbook.md#alert_{key.kind}')}",
        ]
    return Message(change, alert["severity"], one_line(title, 200), "\n".join(lines))


def where(settings: Settings, key: AlertKey) -> str:
    """Whom the alert is about."""
    if not key.dealer_id:
        return "installation"
    return f"{one_line(settings.dealer(key.dealer_id).name, 60)} ({key.dealer_id})"


def told(moment: datetime, zone: ZoneInfo) -> str:
    """A moment where the dealer is."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")
