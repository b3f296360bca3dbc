"""What analysts see instead of personal data: keyed pseudonyms, four digits of a postcode, nothing of free text.

A pseudonym is HMAC-SHA256 over dealer, field and value, cut to 128 bits, in hexadecimal. The same value in the same
field of the same dealer gives the same pseudonym, so that analysts can count and join; two dealers' customers cannot
be linked. The key comes from the environment and never enters a file.
"""

from __future__ import annotations

import hashlib
import hmac

import duckdb

from autoflex_pipeline.errors import ConfigurationError, CredentialsMissingError
from autoflex_pipeline.model import MODELS, FieldInfo, fields
from autoflex_pipeline.settings import Settings, secret

PSEUDONYM_DIGITS = 32
SEPARATOR = "\x1f"
POSTCODE = "party.postcode"
BLOCK_BYTES = 64

MACROS = """
CREATE OR REPLACE TEMP MACRO has_real_values(dealer) AS
    coalesce(list_contains(getvariable('full_dealers'), dealer), false);

-- HMAC (RFC 2104) written out, because DuckDB has SHA-256 but no HMAC; NULL without a key, never an unkeyed hash.
CREATE OR REPLACE TEMP MACRO pseudonym(dealer, field_name, value) AS
    sha256(
        getvariable('outer_pad') || unhex(sha256(
            getvariable('inner_pad') || encode(dealer || chr(31) || field_name || chr(31) || value)
        ))
    )[:getvariable('pseudonym_digits')];

-- The declared field at a path of Claire's document: customers[driver].last_name stands there as customers[].last_name.
CREATE OR REPLACE TEMP MACRO declared_as(claire_path) AS
    getvariable('claire_fields')[regexp_replace(claire_path, '\\[[^\\]]*\\]', '[]', 'g')];

-- A field that is not declared counts as free text: nothing of it is shown.
CREATE OR REPLACE TEMP MACRO masked(dealer, field_name, value) AS
    CASE
        WHEN has_real_values(dealer) THEN value
        WHEN field_name = getvariable('postcode_field') THEN nullif(regexp_extract(value, '^\\s*(\\d{4})', 1), '')
        WHEN list_contains(getvariable('personal_fields'), field_name) THEN pseudonym(dealer, field_name, value)
        WHEN list_contains(getvariable('plain_fields'), field_name) THEN value
    END;

-- The same for a JSON value at a path of Claire's document. A list or an object may hold anything: left out.
CREATE OR REPLACE TEMP MACRO masked_json(dealer, claire_path, value) AS
    CASE
        WHEN json_type(value) IN ('ARRAY', 'OBJECT') THEN NULL::JSON
        WHEN list_contains(getvariable('plain_fields'), declared_as(claire_path)) THEN value
        ELSE to_json(masked(dealer, declared_as(claire_path), value ->> '$'))
    END;
"""
"""``masked(dealer, field, text)`` is what an analyst may see of a text; ``field`` is such as ``car.vin``."""


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
    """Define ``masked()`` and its kin on this connection only; a dealer not configured is pseudonymised."""
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
    connection.execute(MACROS)


def _pads(key: bytes) -> tuple[bytes, bytes]:
    """The key XORed with HMAC's inner and outer constants."""
    block = (key if len(key) <= BLOCK_BYTES else hashlib.sha256(key).digest()).ljust(BLOCK_BYTES, b"\0")
    return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)
