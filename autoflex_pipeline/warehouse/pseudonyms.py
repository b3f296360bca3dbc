"""What analysts see instead of personal data: keyed pseudonyms, four digits of a postcode, nothing of free text.

A pseudonym is HMAC-SHA256 over dealer, field and value, cut to 128 bits, in hexadecimal. The same value in the same
field of the same dealer gives the same pseudonym, so that analysts can count and join; two dealers' customers cannot
be linked. The key comes from the environment and never enters a file.
"""

from __future__ import annotations

import hashlib
import hmac
from importlib.resources import files

import duckdb

from autoflex_pipeline.errors import ConfigurationError, CredentialsMissingError
from autoflex_pipeline.model import MODELS, FieldInfo, fields
from autoflex_pipeline.settings import Settings, secret

PSEUDONYM_DIGITS = 32
SEPARATOR = "\x1f"
POSTCODE = "party.postcode"
BLOCK_BYTES = 64


def pseudonym(key: bytes, dealer_id: str, field_name: str, value: str) -> str:
    """The pseudonym of one value, as SQL makes it in bulk; ``field_name`` is entity and field, such as ``car.vin``."""
    message = SEPARATOR.join((dealer_id, field_name, value)).encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:PSEUDONYM_DIGITS]


def pseudonym_key(settings: Settings) -> bytes | None:
    """The key from the environment; None when no dealer needs one, ConfigurationError when it is not set."""
    variable = settings.privacy.pseudonym_key_env
    pseudonymised = [dealer.id for dealer in settings.dealers if dealer.privacy != "full"]
    if not pseudonymised:
        return None
    try:
        return secret(variable, needed_for="the analysts' copy").get_secret_value().encode()
    except CredentialsMissingError:
        raise ConfigurationError(
            f"environment variable {variable} (privacy.pseudonym_key_env) is not set: the analysts' copy of dealer "
            f"{pseudonymised[0]!r} needs a key for its pseudonyms; set it to a long random text and keep it"
        ) from None


def full_name(field: FieldInfo) -> str:
    """Entity and field, such as ``car.vin``: the name under which a field is masked."""
    return f"{field.entity}.{field.name}"


def install_masks(connection: duckdb.DuckDBPyConnection, settings: Settings, key: bytes | None) -> None:
    """Define ``masked(dealer, field, text)`` and its kin on this connection only.

    ``field`` is such as ``car.vin``. A dealer that is not configured (any more) is pseudonymised.
    """
    declared = [field for entity in MODELS for field in fields(entity)]
    inner_pad, outer_pad = _pads(key) if key is not None else (None, None)
    variables = {
        "inner_pad": inner_pad,
        "outer_pad": outer_pad,
        "pseudonym_digits": PSEUDONYM_DIGITS,
        "postcode_field": POSTCODE,
        "full_dealers": [dealer.id for dealer in settings.dealers if dealer.privacy == "full"],
        "personal_fields": [full_name(field) for field in declared if field.pii == "P"],
        "plain_fields": [full_name(field) for field in declared if field.pii is None],
    }
    for name, value in variables.items():
        connection.execute(f"SET VARIABLE {name} = ?", [value])
    claire = {field.claire: full_name(field) for field in declared if field.claire}
    connection.execute("SET VARIABLE claire_fields = map(?::VARCHAR[], ?::VARCHAR[])", [[*claire], [*claire.values()]])
    connection.execute(files(__package__).joinpath("pseudonyms.sql").read_text(encoding="utf-8"))


def _pads(key: bytes) -> tuple[bytes, bytes]:
    """The key XORed with HMAC's inner and outer constants."""
    block = (key if len(key) <= BLOCK_BYTES else hashlib.sha256(key).digest()).ljust(BLOCK_BYTES, b"\0")
    return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)
