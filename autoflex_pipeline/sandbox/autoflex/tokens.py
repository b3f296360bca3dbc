"""Login tokens: which dealer they are for, until when, and for how many calls. In memory; a restart forgets them."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

Clock = Callable[[], datetime]
"""Gives the moment, in UTC, as an aware datetime."""

_LETTERS = string.ascii_uppercase + string.digits


@dataclass
class _Token:
    dealer_id: str
    valid_until: datetime
    calls_left: int | None


class TokenDesk:
    """Issues tokens and says whose a token is."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tokens: dict[str, _Token] = {}

    def issue(self, dealer_id: str, minutes: float, calls: int | None) -> tuple[str, datetime]:
        """A new token and the moment (UTC) until which it is valid."""
        now = self._clock()
        self._tokens = {text: token for text, token in self._tokens.items() if token.valid_until > now}
        text = "-".join("".join(secrets.choice(_LETTERS) for _ in range(length)) for length in (4, 3, 4))
        valid_until = now + timedelta(minutes=minutes)
        self._tokens[text] = _Token(dealer_id, valid_until, calls)
        return text, valid_until

    def spend(self, text: str, dealer_id: str) -> bool:
        """Use a token for one call of ``dealer_id``; False when it is unknown, expired, used up or another dealer's."""
        token = self._tokens.get(text)
        if token is None or token.dealer_id != dealer_id or token.valid_until <= self._clock():
            return False
        if token.calls_left is not None:
            if token.calls_left <= 0:
                return False
            token.calls_left -= 1
        return True

    def revoke(self, dealer_id: str | None = None) -> None:
        """Make all tokens (of one dealer) void, as when the vendor restarts."""
        self._tokens = {text: token for text, token in self._tokens.items() if dealer_id not in (None, token.dealer_id)}
