from __future__ import annotations

import hashlib
import hmac

import duckdb
import pytest

from autoflex_pipeline.errors import ConfigurationError
from autoflex_pipeline.settings import DealerSettings, Settings
from autoflex_pipeline.warehouse.pseudonyms import install_masks, pseudonym, pseudonym_key
from autoflex_pipeline_tests.unit.warehouse.planted import FULL, KEY, KEY_VARIABLE, MASKED


@pytest.fixture
def connection(settings: Settings):
    with duckdb.connect() as connection:
        install_masks(connection, settings, KEY.encode())
        yield connection


def masked(connection: duckdb.DuckDBPyConnection, dealer: str, field: str, value: str | None) -> str | None:
    return connection.execute("SELECT masked(?, ?, ?)", [dealer, field, value]).fetchone()[0]


@pytest.mark.parametrize("key", [b"k", b"x" * 64, b"x" * 65, "sleutel-é".encode(), bytes(range(1, 200))])
@pytest.mark.parametrize("value", ["12-AB-34", "van den Berg", "Ünïcödé 🚗", "x" * 500, " "])
def test_the_pseudonym_made_in_sql_is_pythons_hmac(settings: Settings, key: bytes, value: str) -> None:
    message = f"{MASKED}\x1fcar.vin\x1f{value}".encode()
    expected = hmac.new(key, message, hashlib.sha256).hexdigest()[:32]
    with duckdb.connect() as connection:
        install_masks(connection, settings, key)
        assert masked(connection, MASKED, "car.vin", value) == expected
    assert pseudonym(key, MASKED, "car.vin", value) == expected


def test_equal_values_of_one_field_and_dealer_share_a_pseudonym_and_others_do_not(settings: Settings) -> None:
    key = KEY.encode()
    one = pseudonym(key, MASKED, "party.last_name", "Jansen")
    assert one == pseudonym(key, MASKED, "party.last_name", "Jansen")
    others = {
        pseudonym(key, "other-dealer", "party.last_name", "Jansen"),
        pseudonym(key, MASKED, "party.company", "Jansen"),
        pseudonym(key, MASKED, "party.last_name", "Janssen"),
        pseudonym(b"other key", MASKED, "party.last_name", "Jansen"),
    }
    assert len(others | {one}) == 5


@pytest.mark.parametrize(
    ("value", "shown"),
    [("1234 AB", "1234"), ("1234AB", "1234"), ("50667", "5066"), ("SW1A 1AA", None), ("Jansen", None), (None, None)],
)
def test_of_a_postcode_the_first_four_digits_are_shown(connection, value: str | None, shown: str | None) -> None:
    assert masked(connection, MASKED, "party.postcode", value) == shown


@pytest.mark.parametrize("field", ["appointment.dms_notes", "car.car_notes", "intervention.description"])
def test_free_text_is_left_out(connection, field: str) -> None:
    assert masked(connection, MASKED, field, "bel Jansen") is None


@pytest.mark.parametrize("field", ["car.unheard_of", "", None, "vin"])
def test_a_field_that_is_not_declared_is_left_out(connection, field: str | None) -> None:
    assert masked(connection, MASKED, field, "bel Jansen") is None


def test_a_field_that_is_not_personal_is_shown(connection) -> None:
    assert masked(connection, MASKED, "intervention.price", "389.00") == "389.00"


def test_an_empty_personal_field_stays_empty(connection) -> None:
    assert masked(connection, MASKED, "car.vin", None) is None


def test_a_dealer_that_is_no_longer_configured_is_pseudonymised(connection) -> None:
    assert masked(connection, FULL, "car.vin", "W1") == "W1"
    assert masked(connection, "sold-last-year", "car.vin", "W1") == pseudonym(
        KEY.encode(), "sold-last-year", "car.vin", "W1"
    )
    assert masked(connection, None, "car.vin", "W1") is None


def test_without_a_key_nothing_personal_is_shown(settings: Settings) -> None:
    with duckdb.connect() as connection:
        install_masks(connection, settings, None)
        assert masked(connection, MASKED, "car.vin", "W1") is None


def test_a_missing_key_is_one_clear_line(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE)
    with pytest.raises(ConfigurationError, match=r"AUTOFLEX_PSEUDONYM_KEY \(privacy\.pseudonym_key_env\) is not set"):
        pseudonym_key(settings)


def test_no_key_is_needed_when_every_dealer_is_full(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE)
    full = tuple(dealer.model_copy(update={"privacy": "full"}) for dealer in settings.dealers)
    assert all(isinstance(dealer, DealerSettings) for dealer in full)
    assert pseudonym_key(settings.model_copy(update={"dealers": full})) is None
