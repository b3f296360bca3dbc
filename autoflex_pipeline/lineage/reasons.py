"""Why a work order is not in Claire, or not as it stands in the DMS: one plain sentence. Pure functions.

A sentence never holds a value of a record or what Claire said of it: those are in ``detail``, which is left out where
personal data have no place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from autoflex_pipeline.lineage.stores import Row
from autoflex_pipeline.settings import DealerSettings

PARTS = {"lines": "its lines", "car": "its car", "contractor": "its contractor"}


@dataclass(frozen=True)
class Situation:
    """All that decides about one work order; rows as the stores have them.

    ``not_taken`` is its newest record while staging has not come to it. ``quarantined`` are the open entries of the
    order and its parts; ``differs`` is what a delivery now would change.
    """

    dealer: DealerSettings
    number: str
    appointment: Row | None
    document: Row | None = None
    is_dirty: bool = False
    absence: Row | None = None
    skipped: str | None = None
    not_taken: Row | None = None
    quarantined: list[Row] = field(default_factory=list)
    nonexistent: list[str] = field(default_factory=list)
    acknowledged: Row | None = None
    disposition: Row | None = None
    unanswered: list[Row] = field(default_factory=list)
    attempts: list[Row] = field(default_factory=list)
    hold: Row | None = None
    last_run: Row | None = None
    differs: list[Row] | None = None

    @property
    def own_quarantine(self) -> list[Row]:
        """The open entries of the order itself."""
        return [row for row in self.quarantined if row["entity"] == "appointment"]

    @property
    def is_gone(self) -> bool:
        """Whether its absence from the DMS is confirmed."""
        return self.absence is not None and bool(self.absence["confirmed_at"])

    @property
    def is_missing(self) -> bool:
        """Whether it was found missing, which is not confirmed, and Claire did not acknowledge it."""
        return self.absence is not None and self.acknowledged is None and not self.is_gone

    def is_about_the_document(self, row: Row) -> bool:
        """Whether a row tells of the document as it stands."""
        return self.document is not None and bool(row["document_hash"] == self.document["document_hash"])

    @property
    def will_be_repeated(self) -> bool:
        """Whether its last request has no answer and is still about the document as it is now."""
        if not self.unanswered or self.document is None:
            return False
        last = self.unanswered[-1]
        return last["result"] is None and bool(last["document_hash"] == self.document["document_hash"])

    @property
    def is_equal(self) -> bool:
        """Whether Claire acknowledged the document as it stands."""
        if self.acknowledged is None or self.document is None or self.is_dirty or self.unanswered:
            return False
        return bool(self.acknowledged["document_hash"] == self.document["document_hash"])

    def time(self, moment: datetime) -> str:
        """A moment on the dealer's clock."""
        return _local(moment, self.dealer)


def explain(situation: Situation) -> Row:
    """``state``; a sentence in ``text``; in ``detail`` what it is about, word for word; more to know in ``notes``."""
    state, text, detail = _main(situation)
    return {"state": state, "text": text, "detail": detail, "notes": _notes(situation, state)}


Answer = tuple[str, str, str | None]


def _main(of: Situation) -> Answer:
    if of.appointment is None:
        return _not_staged(of)
    if of.is_equal and of.acknowledged is not None:
        when = of.time(of.acknowledged["acknowledged_at"])
        return "delivered", f"Claire holds it as it stands in staging, acknowledged {when}.", None
    state, text, detail = _not_delivered(of)
    if of.acknowledged is not None:
        text = f"Claire holds an older version, acknowledged {of.time(of.acknowledged['acknowledged_at'])}: {text}"
    return state, text, detail


def _not_staged(of: Situation) -> Answer:
    if of.own_quarantine:
        return _quarantined(of)
    if of.skipped == "not_workshop":
        return "skipped", "Its order type is not WORKSHOP (1): it is no appointment, and is skipped.", None
    if of.skipped is not None:
        return "skipped", "It has no order type, so it is skipped; give the order its type in Autoflex.", None
    if of.not_taken is not None:
        when = of.time(of.not_taken["fetched_at"])
        return (
            "not_staged",
            f"It was read from Autoflex at {when} and the run did not come to staging it; the next sync does"
            + _last_error(of),
            None,
        )
    if of.number in of.nonexistent:
        return "not_in_dms", "Autoflex, asked by its number, said that it does not exist.", None
    return "not_staged", "It is not in staging; run sync --full, and look again.", None


def _quarantined(of: Situation) -> Answer:
    entries = of.own_quarantine
    told = "; ".join(f"rule {row['rule']} on {row['field']}: {row['hint']}" for row in entries)
    since = of.time(min(row["first_seen_at"] for row in entries))
    values = "; ".join(f"{row['field']} is {row['value']!r}" for row in entries if row["value"] is not None)
    return (
        "quarantined",
        f"It is in quarantine since {since}: {told} It heals by itself once corrected.",
        values or None,
    )


def _not_delivered(of: Situation) -> Answer:
    if of.absence is not None and of.is_gone and of.acknowledged is None and not of.unanswered:
        when = of.time(of.absence["confirmed_at"])
        return "gone", f"Autoflex no longer has it (confirmed {when}) and Claire never had it: nothing is sent.", None
    if of.document is None or of.is_dirty:
        return (
            "not_compared",
            "It was staged, and the run did not come to comparing it with Claire; the next sync does" + _last_error(of),
            None,
        )
    if not of.document["is_owed"] and of.acknowledged is None and not of.unanswered:
        return (
            "history",
            "It was billed when it was first read, and billed history goes to Claire only when asked for: "
            "sync --from … --to … --deliver-history.",
            None,
        )
    as_it_is = of.disposition if of.disposition is not None and of.is_about_the_document(of.disposition) else None
    if of.is_missing and (as_it_is is None or as_it_is["state"] != "rejected"):
        return (
            "waiting",
            "Autoflex, asked by its number, does not have it, and Claire did not acknowledge it: it goes once Autoflex "
            "has it again, and is not made in Claire when it is known to be gone.",
            None,
        )
    if as_it_is is not None and as_it_is["reason"] != "order":
        return _set_aside(of, as_it_is)
    if of.is_gone and of.acknowledged is None:
        return (
            "unanswered",
            "Autoflex no longer has it, and whether Claire has it is not known, because an answer was lost: the next "
            "sync asks Claire, and cancels it when it is there.",
            None,
        )
    if of.will_be_repeated:
        when = of.time(of.unanswered[-1]["created_at"])
        return (
            "unanswered",
            f"It was made ready to send at {when} and no answer is known; the next sync sends it again with the same "
            "key, which has no second effect.",
            None,
        )
    if of.hold is not None:
        return _on_hold(of, of.hold)
    if of.disposition is not None and of.disposition["reason"] != "order":
        return (
            "not_due",
            f"It was {of.disposition['state']} and has changed since; the next sync sends it.",
            of.disposition["message"],
        )
    return "not_due", "It is not due yet: the next sync delivers it" + _last_error(of), None


def _set_aside(of: Situation, row: Row) -> Answer:
    since = of.time(row["since"])
    name, reason, message = row["state"], row["reason"], row["message"]
    if name == "waiting":
        until = f", at most until {of.time(row['due_at'])}" if row["due_at"] else ""
        return "waiting", f"It waits for {PARTS.get(reason, reason)}{until}; then it goes without.", None
    if name == "held":
        return (
            "held",
            f"Held since {since} ({reason}): work on it has started in Claire, and keep_importing is off for this "
            "dealer.",
            message,
        )
    if name == "rejected":
        status = next((each["http_status"] for each in reversed(of.attempts) if each["result"] == "rejected"), None)
        answer = f" with HTTP {status}" if status else ""
        return (
            "rejected",
            f"Claire refused it{answer}, since {since}; correct it in Autoflex, or run "
            f"`autoflex-pipeline resend --dealer {of.dealer.id} {of.number}`.",
            message,
        )
    if name == "failed":
        return "failed", f"Claire could not be reached with it since {since}; each sync tries it again.", message
    if reason == "guard":
        return (
            "pending",
            f"The mass-change guard stopped the run that would have sent it, since {since}; look at sync --dry-run, "
            "and if it is right, run sync --allow-mass-change.",
            message,
        )
    if of.hold is not None:
        return _on_hold(of, of.hold)
    step = "correct the configuration, then run sync" if reason == "configuration" else "the next sync sends it"
    return "pending", f"It is pending since {since} ({reason}): the run stopped before its turn; {step}.", message


def _on_hold(of: Situation, hold: Row) -> Answer:
    return "on_hold", told_hold(hold, of.dealer), hold["message"]


def told_hold(hold: Row, dealer: DealerSettings) -> str:
    """A dealer's hold in a sentence."""
    return (
        f"The dealer is on hold since {_local(hold['since'], dealer)} ({hold['kind']}): the schedule tries again at "
        f"{_local(hold['next_try_at'], dealer)}, a person's sync at once."
    )


def _notes(of: Situation, state: str) -> list[str]:
    notes = []
    if of.own_quarantine and state != "quarantined":
        rules = ", ".join(row["rule"] for row in of.own_quarantine)
        notes.append(f"Its newest record is in quarantine ({rules}); its last good version is used.")
    for row in of.quarantined:
        if row["entity"] != "appointment":
            notes.append(
                f"Its {row['entity']} {row['dms_number']} is in quarantine: rule {row['rule']} on {row['field']}."
            )
    notes += [
        f"Autoflex says that its part {number} does not exist." for number in of.nonexistent if number != of.number
    ]
    if any(intent["result"] is not None for intent in of.unanswered):
        notes.append(
            "Claire refused a version of it when that was repeated; the try before had no answer, so that version may "
            "be in Claire."
        )
    if of.absence is not None and state != "gone":
        notes.append(_absence(of, of.absence))
    if of.hold is not None and state != "on_hold":
        notes.append(f"The dealer is on hold ({of.hold['kind']}) until {of.time(of.hold['next_try_at'])}.")
    return notes


def _absence(of: Situation, row: Row) -> str:
    if row["confirmed_at"]:
        return f"Autoflex no longer has it (confirmed {of.time(row['confirmed_at'])}): it counts as canceled."
    earliest = row["first_missing_at"] + timedelta(minutes=of.dealer.absence_confirm_minutes)
    ends = "it counts as gone" if of.acknowledged is None and not of.unanswered else "it is canceled in Claire"
    return (
        f"Autoflex did not have it on {of.time(row['first_missing_at'])}; when a sync after {of.time(earliest)} "
        f"finds the same, {ends}."
    )


def _last_error(of: Situation) -> str:
    """The dealer's last run, when it failed: names no value of a record."""
    if of.last_run is None or not of.last_run["error"]:
        return "."
    return (
        f" (the dealer's last run failed at {of.time(of.last_run['last_attempt_at'])}; see `autoflex-pipeline status`)."
    )


def _local(moment: datetime, dealer: DealerSettings) -> str:
    return moment.astimezone(dealer.zone).strftime("%Y-%m-%d %H:%M")
