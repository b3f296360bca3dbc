from __future__ import annotations

from pathlib import Path

import pytest

from autoflex_pipeline.errors import ConfigurationError, CredentialsMissingError
from autoflex_pipeline.settings import api_credentials, load_settings, missing_common_variables

HEAD = """
[claire]
base_url = "https://claire.example/api"
"""
DEALER = """
[[dealers]]
id = "garage-jansen"
name = "Garage Jansen"
claire_location_id = "101"
"""
API = """
[dealers.api]
login_url = "https://dms.example/v2"
api_key_env = "JANSEN_API_KEY"
username_env = "JANSEN_USERNAME"
password_env = "JANSEN_PASSWORD"
"""
ALERTS = """
[[alerts]]
name = "team"
to = "webhook"
"""
HOOK = """
[alerts.webhook]
url_env = "HOOK_URL"
"""
MAIL = """
[[alerts]]
name = "mail"
to = "email"
[alerts.email]
host = "smtp.example"
sender = "a@c.nl"
recipients = ["b@c.nl"]
"""
WHOLE = """
[warehouse]
path = "data/warehouse.duckdb"
analytics_path = "/srv/analysts/analytics.duckdb"

[privacy]
pseudonym_key_env = "KEY_OF_OURS"
retention_months = 12

[claire]
base_url = "https://claire.example/api/"
api_key_env = "OUR_CLAIRE_KEY"
max_concurrency = 16
max_requests_per_second = 0
deadline_seconds = 30

[[dealers]]
id = "garage-jansen"
name = "Garage Jansen"
claire_location_id = "101"
timezone = "Europe/Amsterdam"
keep_importing = false
privacy = "full"
guard_max_change = 0.5
waiting_hours = 1
absence_confirm_minutes = 5
mileage_writeback = true
claire_api_key_env = "JANSEN_CLAIRE_KEY"

[dealers.api]
login_url = "https://dms.example/v2"
api_key_env = "JANSEN_API_KEY"
username_env = "JANSEN_USERNAME"
password_env = "JANSEN_PASSWORD"
organization_name = "Jansen BV"
range_filters = true
reread_budget = 10
max_concurrency = 2
max_requests_per_second = 5

[[dealers]]
id = "garage-2"
name = "Two"
claire_location_id = "102"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "autoflex.toml"


def refusal(file: Path, content: str) -> str:
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file)
    return str(caught.value)


def test_every_key_of_the_contract_is_read(file: Path) -> None:
    file.write_text(WHOLE, encoding="utf-8")
    settings = load_settings(file)
    one, two = settings.dealers
    assert settings.warehouse.path == file.parent / "data/warehouse.duckdb", "relative to the file"
    assert settings.warehouse.analytics_path == Path("/srv/analysts/analytics.duckdb")
    assert settings.privacy.pseudonym_key_env == "KEY_OF_OURS"
    assert settings.claire.base_url == "https://claire.example/api"
    assert (one.privacy, one.keep_importing, one.guard_max_change) == ("full", False, 0.5)
    assert one.api is not None
    assert (one.api.reread_budget, one.api.max_requests_per_second) == (10, 5)
    assert settings.claire_key_variable(one) == "JANSEN_CLAIRE_KEY"
    assert settings.claire_key_variable(two) == "OUR_CLAIRE_KEY"
    assert settings.dealer_ids == ("garage-jansen", "garage-2")


def test_the_defaults_are_those_of_the_contract(file: Path) -> None:
    file.write_text(HEAD + DEALER + API, encoding="utf-8")
    settings = load_settings(file)
    [dealer] = settings.dealers
    assert settings.warehouse.path == file.parent / "data/warehouse.duckdb"
    assert settings.warehouse.analytics_path == file.parent / "data/analytics.duckdb"
    assert (settings.privacy.pseudonym_key_env, settings.privacy.retention_months) == ("AUTOFLEX_PSEUDONYM_KEY", 84)
    claire = settings.claire
    assert (claire.api_key_env, claire.max_concurrency, claire.max_requests_per_second, claire.deadline_seconds) == (
        "CLAIRE_API_KEY",
        8,
        20,
        120,
    )
    assert (dealer.timezone, dealer.keep_importing, dealer.privacy, dealer.mileage_writeback) == (
        "Europe/Amsterdam",
        True,
        "pseudonymised",
        False,
    )
    assert (dealer.guard_max_change, dealer.waiting_hours, dealer.absence_confirm_minutes) == (0.30, 24, 60)
    assert dealer.api is not None
    assert (dealer.api.reread_budget, dealer.api.max_concurrency, dealer.api.max_requests_per_second) == (60, 4, 10)


@pytest.mark.parametrize(
    ("content", "key", "rule"),
    [
        (HEAD + DEALER + 'colour = "red"\n', "dealers[0].colour", "unknown key"),
        ("[warehouze]\n" + HEAD + DEALER, "warehouze", "unknown key"),
        (HEAD + DEALER.replace('name = "Garage Jansen"\n', ""), "dealers[0].name", "is missing"),
        (DEALER, "claire", "is missing"),
        (HEAD, "dealers", "is missing"),
        ("dealers = []\n" + HEAD, "dealers", "at least 1"),
        (HEAD + DEALER.replace("garage-jansen", "Garage Jansen"), "dealers[0].id: 'Garage Jansen'", "pattern"),
        (HEAD + DEALER + 'timezone = "Mars/Base"\n', "dealers[0].timezone: 'Mars/Base'", "IANA"),
        (HEAD + DEALER + 'privacy = "none"\n', "dealers[0].privacy: 'none'", "'full'"),
        (HEAD + DEALER + "guard_max_change = 30\n", "dealers[0].guard_max_change: 30", "less than or equal to 1"),
        (HEAD + DEALER + "waiting_hours = -1\n", "dealers[0].waiting_hours: -1", "greater than or equal to 0"),
        (HEAD + DEALER + 'keep_importing = "sometimes"\n', "dealers[0].keep_importing: 'sometimes'", "boolean"),
        (HEAD + DEALER + "keep_importing = 1\n", "dealers[0].keep_importing: 1", "boolean"),
        (HEAD + DEALER + "waiting_hours = true\n", "dealers[0].waiting_hours: True", "number"),
        (HEAD + DEALER + "absence_confirm_minutes = inf\n", "dealers[0].absence_confirm_minutes: inf", "finite"),
        (HEAD + 'max_concurrency = "8"\n' + DEALER, "claire.max_concurrency: '8'", "integer"),
        (HEAD + "max_concurrency = 8.0\n" + DEALER, "claire.max_concurrency: 8.0", "integer"),
        (HEAD.replace("https", "ftp") + DEALER, "claire.base_url: 'ftp://claire.example/api'", "http"),
        (HEAD + "max_concurrency = 0\n" + DEALER, "claire.max_concurrency: 0", "greater than or equal to 1"),
        (HEAD + DEALER + ALERTS.replace("webhook", "sms"), "alerts[0].to: 'sms'", "'email'"),
        (HEAD + DEALER + ALERTS, "alerts[0]", "needs a section [alerts.webhook]"),
        (HEAD + DEALER + ALERTS.replace('"webhook"', '"log"') + HOOK, "alerts[0]", "does not go with a section"),
        (HEAD + DEALER + ALERTS + 'kinds = ["noise"]\n' + HOOK, "alerts[0].kinds[0]: 'noise'", "'silent_feed'"),
        (
            HEAD + DEALER + ALERTS + 'dealers = ["nobody"]\n' + HOOK,
            "alerts.dealers: 'nobody'",
            "not the id of a dealer",
        ),
        (HEAD + DEALER + 2 * (ALERTS + HOOK), "alerts", "the same name"),
        (HEAD + DEALER + ALERTS + HOOK + 'url = "https://hook.example"\n', "alerts[0].webhook.url", "unknown key"),
        (HEAD + DEALER + MAIL + 'security = "none"\n', "alerts[0].email", "on this machine"),
        (HEAD + DEALER + MAIL + 'username_env = "U"\n', "alerts[0].email", "go together"),
        (HEAD + DEALER + MAIL.replace("b@c.nl", "b"), "alerts[0].email.recipients[0]: 'b'", "pattern"),
        (HEAD + DEALER + '[dealers.alerts]\nroutes = ["team"]\n', "dealers.alerts.routes: 'team'", "not the name"),
        (HEAD + DEALER + API.replace("dms.example", "u:p@dms.example"), "dealers[0].api.login_url", "no credentials"),
        (HEAD + DEALER + API.replace("/v2", "/v2?a=b"), "dealers[0].api.login_url", "no query"),
        (HEAD + DEALER + API.replace("JANSEN_API_KEY", "not a name"), "dealers[0].api.api_key_env", "pattern"),
        (HEAD + DEALER + DEALER.replace("101", "102"), "dealers: id 'garage-jansen'", "two dealers"),
        (HEAD + DEALER + DEALER.replace("jansen", "b"), "dealers: claire_location_id '101'", "two dealers"),
        ("[claire\n", "", "is not TOML"),
    ],
)
def test_a_bad_configuration_is_one_line_with_key_and_file(file: Path, content: str, key: str, rule: str) -> None:
    message = refusal(file, content)
    assert "\n" not in message
    assert message.startswith(f"{file}: {key}")
    assert rule in message


def test_a_password_in_the_address_is_not_repeated_in_the_error(file: Path) -> None:
    assert "hunter2" not in refusal(file, HEAD + DEALER + API.replace("dms.example", "user:hunter2@dms.example"))
    assert "hunter2" not in refusal(file, HEAD + DEALER + API.replace("/v2", "/v2?password=hunter2"))


def test_a_secret_typed_where_a_variable_name_belongs_is_not_repeated(file: Path) -> None:
    assert "hunter2!" not in refusal(file, HEAD + DEALER + API.replace("JANSEN_PASSWORD", "hunter2!"))


def test_a_file_that_is_not_there_is_named_with_the_ways_to_name_one(file: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"autoflex\.toml: there is no such .*--config or \$AUTOFLEX_CONFIG"):
        load_settings(file)


@pytest.mark.parametrize("content", [b"\xff\xfe not text", b""])
def test_a_file_that_is_no_configuration_is_named(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"autoflex\.toml"):
        load_settings(file)


def test_the_file_is_found_by_argument_then_variable_then_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("argument", "variable", "autoflex"):
        (tmp_path / f"{name}.toml").write_text(HEAD + DEALER.replace("garage-jansen", name), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUTOFLEX_CONFIG", raising=False)
    assert load_settings().dealer_ids == ("autoflex",)
    monkeypatch.setenv("AUTOFLEX_CONFIG", "variable.toml")
    assert load_settings().dealer_ids == ("variable",)
    assert load_settings(Path("argument.toml")).dealer_ids == ("argument",)


def test_an_unknown_dealer_is_named_with_the_known_ones(file: Path) -> None:
    file.write_text(HEAD + DEALER, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"'nobody' is not in the configuration; known are: garage-jansen"):
        load_settings(file).select(["nobody"])


def test_no_dealer_named_means_all_and_naming_one_twice_is_once(file: Path) -> None:
    file.write_text(WHOLE, encoding="utf-8")
    settings = load_settings(file)
    assert settings.select([]) == settings.dealers
    assert [dealer.id for dealer in settings.select(["garage-2", "garage-2"])] == ["garage-2"]


def test_a_missing_variable_of_a_dealer_is_named_with_the_dealer(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(HEAD + DEALER + API, encoding="utf-8")
    monkeypatch.setenv("JANSEN_API_KEY", "k-1")
    monkeypatch.setenv("JANSEN_USERNAME", "")
    [dealer] = load_settings(file).dealers
    with pytest.raises(
        CredentialsMissingError, match=r"JANSEN_USERNAME is not set; the Autoflex login .*garage-jansen"
    ):
        api_credentials(dealer)


@pytest.mark.parametrize(
    ("more", "missing"),
    [
        ("", "CLAIRE_API_KEY"),
        ('claire_api_key_env = "JANSEN_CLAIRE_KEY"\n', "JANSEN_CLAIRE_KEY"),
    ],
)
def test_a_variable_that_every_dealer_needs_is_missed_before_anything_is_done(
    file: Path, monkeypatch: pytest.MonkeyPatch, more: str, missing: str
) -> None:
    file.write_text(HEAD + DEALER + more, encoding="utf-8")
    for name in ("CLAIRE_API_KEY", "JANSEN_CLAIRE_KEY"):
        monkeypatch.setenv(name, "k")
    monkeypatch.setenv("AUTOFLEX_PSEUDONYM_KEY", "k")
    missing_common_variables(load_settings(file))
    monkeypatch.delenv(missing)
    with pytest.raises(ConfigurationError, match=missing):
        missing_common_variables(load_settings(file))


def test_a_login_that_all_dealers_share_is_missed_at_once_and_one_dealers_own_is_not(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = DEALER.replace("garage-jansen", "garage-2").replace("101", "102")
    for name in ("CLAIRE_API_KEY", "AUTOFLEX_PSEUDONYM_KEY", "JANSEN_API_KEY", "JANSEN_USERNAME", "TWO_PASSWORD"):
        monkeypatch.setenv(name, "k")
    monkeypatch.delenv("JANSEN_PASSWORD", raising=False)
    file.write_text(HEAD + DEALER + API + other + API.replace("JANSEN_PASSWORD", "TWO_PASSWORD"), encoding="utf-8")
    missing_common_variables(load_settings(file))
    file.write_text(HEAD + DEALER + API + other + API, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="JANSEN_PASSWORD"):
        missing_common_variables(load_settings(file))


def test_credentials_are_never_shown(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(HEAD + DEALER + API, encoding="utf-8")
    for name in ("JANSEN_API_KEY", "JANSEN_USERNAME", "JANSEN_PASSWORD"):
        monkeypatch.setenv(name, f"secret of {name}")
    [dealer] = load_settings(file).dealers
    credentials = api_credentials(dealer)
    assert credentials.password.get_secret_value() == "secret of JANSEN_PASSWORD"
    assert "secret of" not in f"{credentials} {credentials!r} {dealer!r}"
