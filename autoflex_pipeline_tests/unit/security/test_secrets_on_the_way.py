"""Secrets are not sent in clear, do not break out of their headers, and are not told when they would."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoflex_pipeline.errors import ConfigurationError
from autoflex_pipeline.settings import (
    MAX_CONFIG_BYTES,
    api_credentials,
    is_in_clear,
    load_settings,
    missing_common_variables,
)

CONFIG = """
[claire]
base_url = "{claire}"
{more_claire}
[[dealers]]
id = "garage-jansen"
name = "Garage Jansen"
claire_location_id = "101"
[dealers.api]
login_url = "{login}"
api_key_env = "JANSEN_API_KEY"
username_env = "JANSEN_USERNAME"
password_env = "JANSEN_PASSWORD"
{more_api}
"""
SAFE = "https://vendor.example/v2"


def write(
    folder: Path, *, claire: str = SAFE, login: str = SAFE, more_claire: str = "", more_api: str = "", more: str = ""
) -> Path:
    file = folder / "autoflex.toml"
    text = CONFIG.format(claire=claire, login=login, more_claire=more_claire, more_api=more_api) + more
    file.write_text(text, encoding="utf-8")
    return file


def refusal(file: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    assert "\n" not in message
    assert len(message) < len(str(file)) + 300
    return message


@pytest.mark.parametrize("which", ["claire", "login"])
@pytest.mark.parametrize(
    "host",
    ["vendor.example", "10.0.0.5", "128.0.0.1", "[2001:db8::1]", "localhost.evil.example", "127.0.0.1.nip.example"],
)
def test_an_address_that_would_carry_secrets_in_clear_is_refused(tmp_path: Path, which: str, host: str) -> None:
    said = refusal(write(tmp_path, **{which: f"http://{host}/v2"}))
    assert "would send secrets over the network in clear; use https" in said
    assert "allow_http = true" in said


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8801", "127.9.9.9", "localhost", "LOCALHOST:80", "[::1]:8801", "a.localhost"]
)
def test_http_to_this_machine_itself_needs_no_leave(tmp_path: Path, host: str) -> None:
    address = f"http://{host}/v2"
    assert load_settings(write(tmp_path, claire=address, login=address)).claire.base_url == address


def test_http_elsewhere_takes_leave_in_each_section_that_uses_it(tmp_path: Path) -> None:
    address, leave = "http://vendor.example/v2", "allow_http = true"
    load_settings(write(tmp_path, claire=address, login=address, more_claire=leave, more_api=leave))
    assert "login_url" in refusal(write(tmp_path, claire=address, login=address, more_claire=leave))
    assert "base_url" in refusal(write(tmp_path, claire=address, login=address, more_api=leave))


def test_https_is_never_in_clear() -> None:
    assert not is_in_clear("https://vendor.example")
    assert is_in_clear("http://vendor.example")


@pytest.mark.parametrize("odd", ["https://a b.example", "https://a.example/\\u0000", "https://a.example/\\r\\nX: 1"])
def test_an_address_with_something_odd_in_it_is_refused(tmp_path: Path, odd: str) -> None:
    assert "no spaces and no control characters" in refusal(write(tmp_path, claire=odd))


@pytest.mark.parametrize(
    "value", ["s3cr3t-key\r", "s3cr3t-key\r\nX-Admin: 1", "s3cr3t-key ", "s3cr3t-kéy", "s3cr3t\x7f"]
)
def test_a_key_that_would_break_out_of_its_header_is_named_but_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    settings = load_settings(write(tmp_path))
    monkeypatch.setenv("AUTOFLEX_PSEUDONYM_KEY", "any")
    monkeypatch.setenv("CLAIRE_API_KEY", value)
    with pytest.raises(ConfigurationError, match="environment variable CLAIRE_API_KEY holds what cannot be") as of_all:
        missing_common_variables(settings)
    for name in ("JANSEN_API_KEY", "JANSEN_USERNAME", "JANSEN_PASSWORD"):
        monkeypatch.setenv(name, value if name == "JANSEN_API_KEY" else "good")
    with pytest.raises(ConfigurationError, match=r"JANSEN_API_KEY holds .* dealer 'garage-jansen'") as of_one:
        api_credentials(settings.dealers[0])
    assert "s3cr3t" not in f"{of_all.value!r} {of_one.value!r}"


def test_a_password_with_a_stray_line_end_is_named_but_not_told_and_accents_are_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [dealer] = load_settings(write(tmp_path)).dealers
    monkeypatch.setenv("JANSEN_API_KEY", "key with space")
    monkeypatch.setenv("JANSEN_USERNAME", "jan")
    monkeypatch.setenv("JANSEN_PASSWORD", "wachtwóórd\r")
    with pytest.raises(ConfigurationError, match="JANSEN_PASSWORD holds a line end") as caught:
        api_credentials(dealer)
    assert "wachtw" not in str(caught.value)
    monkeypatch.setenv("JANSEN_PASSWORD", "wachtwóórd & meer")
    assert api_credentials(dealer).password.get_secret_value() == "wachtwóórd & meer"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = " + "[" * 100_000, "nested too deeply"),
        ("x = " + "9" * 10_000, "too long"),
        ("#" * (MAX_CONFIG_BYTES + 1), "is larger than"),
        ("\0", "is not TOML"),
    ],
    ids=["nested", "huge number", "large", "nul"],
)
def test_a_bomb_of_a_configuration_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "autoflex.toml"
    file.write_text(text, encoding="utf-8")
    assert said in refusal(file)


@pytest.mark.parametrize("dealer_id", ["../etc", "a/b", ".", "", "a\\n", "A", "a b", "é", "x" * 101, "a\\u0000"])
def test_an_id_of_a_dealer_is_never_a_path(tmp_path: Path, dealer_id: str) -> None:
    file = write(tmp_path)
    file.write_text(file.read_text().replace('id = "garage-jansen"', f'id = "{dealer_id}"'))
    assert "dealers[0].id" in refusal(file)
