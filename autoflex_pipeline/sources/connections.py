"""The dealers' connections to Autoflex: one each per process, so that its token lives as long as the process."""

from __future__ import annotations

import hashlib
from threading import Lock

from autoflex_pipeline.errors import ConfigurationError
from autoflex_pipeline.settings import Credentials, DealerSettings, api_credentials
from autoflex_pipeline.sources.autoflex_api import AutoflexApi

DMS_CAUSE = "dms:"
"""How the cause of a hold begins that concerns the DMS."""


class ApiConnections:
    """Opens a dealer's connection when it is first asked for; opens it anew when its settings or secrets change."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[DealerSettings, Credentials, AutoflexApi]] = {}
        self._lock = Lock()

    def get(self, dealer: DealerSettings) -> AutoflexApi:
        """The dealer's connection; CredentialsMissingError when one of its variables is not set."""
        credentials = api_credentials(dealer)
        with self._lock:
            known = self._open.get(dealer.id)
            if known and known[:2] == (dealer, credentials):
                return known[2]
            if known:
                known[2].close()
            api = AutoflexApi(dealer, credentials)
            self._open[dealer.id] = (dealer, credentials, api)
            return api

    @property
    def requests(self) -> int:
        """How many requests all of them have sent: what tells that a long reading goes on."""
        with self._lock:
            return sum(api.connection.requests for _, _, api in self._open.values())

    def close(self) -> None:
        """Close all of them."""
        with self._lock:
            for _, _, api in self._open.values():
                api.close()
            self._open.clear()


def login_fingerprint(dealer: DealerSettings) -> str:
    """A short mark that changes when the dealer's login changes; too short to tell anything of the secrets."""
    if dealer.api is None:
        return DMS_CAUSE
    parts = [dealer.api.login_url, dealer.api.organization_name]
    try:
        credentials = api_credentials(dealer)
    except ConfigurationError as error:
        parts.append(str(error))
    else:
        for value in (credentials.api_key, credentials.username, credentials.password):
            parts.append(value.get_secret_value())
    return DMS_CAUSE + hashlib.blake2b("\0".join(parts).encode(), digest_size=2).hexdigest()
