"""Secrets, read from the environment when they are needed: the file only names the variables."""

from __future__ import annotations

import os
import re

from pydantic import SecretStr

from autoflex_pipeline.errors import ConfigurationError, CredentialsMissingError
from autoflex_pipeline.settings.sections import DealerSettings, Section, Settings

_HEADER_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")


class Credentials(Section):
    """A dealer's Autoflex login; never shown by ``repr``."""

    api_key: SecretStr
    username: SecretStr
    password: SecretStr


def secret(variable: str, *, needed_for: str) -> SecretStr:
    """The value of ``variable``; CredentialsMissingError when it is unset or empty."""
    value = os.environ.get(variable, "")
    if not value:
        raise CredentialsMissingError(f"environment variable {variable} is not set; {needed_for} needs it: set it")
    return SecretStr(value)


def header_secret(variable: str, *, needed_for: str) -> SecretStr:
    """A ``secret`` that is sent in a header; ConfigurationError (without the value) when it would break out of it."""
    value = secret(variable, needed_for=needed_for)
    if not _HEADER_VALUE.fullmatch(value.get_secret_value()):
        raise ConfigurationError(
            f"environment variable {variable} holds what cannot be sent in a header (a line end, a control character, "
            f"a space at an end, or a letter outside ASCII); {needed_for} needs it: set it anew"
        )
    return value


def query_secret(variable: str, *, needed_for: str) -> SecretStr:
    """A ``secret`` that is sent in an address, encoded; ConfigurationError (without the value) for a stray line end."""
    value = secret(variable, needed_for=needed_for)
    if _CONTROL_CHARACTER.search(value.get_secret_value()):
        raise ConfigurationError(
            f"environment variable {variable} holds a line end or another control character; "
            f"{needed_for} needs it: set it anew without that"
        )
    return value


def api_credentials(dealer: DealerSettings) -> Credentials:
    """The dealer's login from the environment; CredentialsMissingError names the missing variable."""
    if dealer.api is None:
        raise ConfigurationError(f"dealer {dealer.id!r} has no [dealers.api] section; add one")
    needed_for = f"the Autoflex login of dealer {dealer.id!r}"
    return Credentials(
        api_key=header_secret(dealer.api.api_key_env, needed_for=needed_for),
        username=query_secret(dealer.api.username_env, needed_for=needed_for),
        password=query_secret(dealer.api.password_env, needed_for=needed_for),
    )


def missing_common_variables(settings: Settings) -> None:
    """ConfigurationError when a variable that all need is not set (Claire's key, the key for pseudonyms), or unfit."""
    needed: dict[str, str] = {}
    keys = {settings.claire_key_variable(dealer) for dealer in settings.dealers}
    if len(keys) == 1:
        needed_for = "delivery to Claire, for every dealer"
        [key] = keys
        needed[key] = needed_for
        if os.environ.get(key):
            header_secret(key, needed_for=needed_for)
    logins = [
        {dealer.api.api_key_env, dealer.api.username_env, dealer.api.password_env} if dealer.api else set()
        for dealer in settings.dealers
    ]
    if len(logins) > 1:
        needed |= dict.fromkeys(sorted(set.intersection(*logins)), "the Autoflex login of every dealer")
    if any(dealer.privacy == "pseudonymised" for dealer in settings.dealers):
        needed[settings.privacy.pseudonym_key_env] = "[privacy] pseudonym_key_env (the analysts' copy)"
    for variable, needed_for in needed.items():
        if not os.environ.get(variable):
            raise ConfigurationError(f"environment variable {variable} is not set; {needed_for} needs it: set it")
