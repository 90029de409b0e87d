"""Settings: every wrong one is named with what is accepted, and nothing real is touched by a demo."""

from dataclasses import fields as dataclass_fields
from pathlib import Path

import pytest

from jobs.core.errors import SettingsError
from jobs.core.settings import PASSPHRASES, Settings, load_settings, unknown_settings
from jobs.horizon.health import Thresholds
from jobs.horizon.server import thresholds_of


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEXAOPS_HOME", str(tmp_path / "home"))


def test_nothing_configured_is_the_demo() -> None:
    settings = load_settings()
    assert settings.demo
    assert settings.db_name == "nexaops_demo"
    assert settings.network_label == "DEMO"


def test_a_demo_never_looks_at_the_real_database_or_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXAOPS_DEMO", "true")
    monkeypatch.setenv("DB_HOST", "production.example")
    monkeypatch.setenv("DB_NAME", "nexafx")
    monkeypatch.setenv("STELLAR_HORIZON_URL", "https://horizon.stellar.org")
    monkeypatch.setenv("STELLAR_NETWORK", "PUBLIC")
    settings = load_settings()
    assert (settings.db_host, settings.db_name, settings.horizon_urls) == (None, "nexaops_demo", ())
    assert settings.passphrase not in PASSPHRASES.values()


@pytest.mark.parametrize(
    ("environment", "named", "accepted"),
    [
        ({"DB_HOST": "db"}, "STELLAR_HORIZON_URL", "https://horizon.stellar.org"),
        ({"NODE_ENV": "production"}, "STELLAR_HORIZON_URL", "https://horizon.stellar.org"),
        ({"STELLAR_HORIZON_URL": "https://h.example"}, "STELLAR_NETWORK", "PUBLIC, TESTNET and CUSTOM"),
        ({"STELLAR_HORIZON_URL": "horizon", "STELLAR_NETWORK": "PUBLIC"}, "STELLAR_HORIZON_URL", "https://"),
        (
            {"STELLAR_HORIZON_URL": "http://h/a,http://h/b", "STELLAR_NETWORK": "PUBLIC"},
            "STELLAR_HORIZON_URL",
            "same host",
        ),
        ({"STELLAR_NETWORK": "MAINNET"}, "STELLAR_NETWORK", "'PUBLIC', 'TESTNET' or 'CUSTOM'"),
        ({"STELLAR_NETWORK": "CUSTOM", "STELLAR_HORIZON_URL": "http://h"}, "STELLAR_NETWORK_PASSPHRASE", "passphrase"),
        ({"DB_PORT": "70000"}, "DB_PORT", "65535"),
        ({"DB_PORT": "five"}, "DB_PORT", "integer"),
        ({"STELLAR_RATE_LIMIT_PER_HOUR": "-1"}, "STELLAR_RATE_LIMIT_PER_HOUR", "0"),
        ({"NEXAOPS_HORIZON_AGE_CRITICAL_S": "5"}, "NEXAOPS_HORIZON_AGE_CRITICAL_S", "NEXAOPS_HORIZON_AGE_WARN_S"),
        ({"NEXAOPS_HORIZON_LAG_WARN": "11"}, "NEXAOPS_HORIZON_LAG_CRITICAL", "NEXAOPS_HORIZON_LAG_WARN"),
        ({"NEXAOPS_HORIZON_ERRORS_WARN": "0.3"}, "NEXAOPS_HORIZON_ERRORS_CRITICAL", "NEXAOPS_HORIZON_ERRORS_WARN"),
        ({"NEXAOPS_HORIZON_ERRORS_WARN": "5"}, "NEXAOPS_HORIZON_ERRORS_WARN", "1"),
        ({"NEXAOPS_HORIZON_BUDGET_WARN": "0.01"}, "NEXAOPS_HORIZON_BUDGET_CRITICAL", "NEXAOPS_HORIZON_BUDGET_WARN"),
        ({"NEXAOPS_BATCH_SIZE": "0"}, "NEXAOPS_BATCH_SIZE", "1"),
        ({"NEXAOPS_WEBHOOK_URL": "https://r.example"}, "NEXAOPS_WEBHOOK_SECRET", "openssl rand -base64 32"),
        ({"NEXAOPS_WEBHOOK_URL": "ftp://r.example"}, "NEXAOPS_WEBHOOK_URL", "https://receiver.example/events"),
        ({"NEXAOPS_WEBHOOK_SECRET": "whsec_c2hvcnQ="}, "NEXAOPS_WEBHOOK_SECRET", "24 to 64"),
        ({"NEXAOPS_WEBHOOK_SECRET": "k" * 40}, "NEXAOPS_WEBHOOK_SECRET", "whsec_"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_accepted(
    environment: dict[str, str], named: str, accepted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert named in str(error.value)
    assert accepted in str(error.value)
    assert "\n" not in str(error.value)


def test_all_wrong_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PORT", "x")
    monkeypatch.setenv("NEXAOPS_BATCH_SIZE", "x")
    with pytest.raises(SettingsError, match=r"DB_PORT.*NEXAOPS_BATCH_SIZE"):
        load_settings()


def test_a_wrong_value_is_not_repeated_because_it_may_be_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PORT", "hunter2")
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert "hunter2" not in str(error.value)


def test_several_servers_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STELLAR_HORIZON_URL", "https://a.example/, http://b.example:8000")
    monkeypatch.setenv("STELLAR_NETWORK", "PUBLIC")
    assert load_settings().horizon_urls == ("https://a.example", "http://b.example:8000")


def test_an_address_of_stellar_rpc_is_an_address_and_its_key_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STELLAR_RPC_URL", "hunter2")
    with pytest.raises(SettingsError, match="STELLAR_RPC_URL is not accepted") as error:
        load_settings()
    assert "hunter2" not in str(error.value)


def test_the_demo_never_asks_a_real_rpc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STELLAR_RPC_URL", "https://rpc.example.org")
    assert load_settings().rpc_url is None


def test_a_secret_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "password"
    secret.write_text("from the file\n")
    monkeypatch.setenv("DB_PASSWORD_FILE", str(secret))
    settings = load_settings()
    assert settings.db_password.get_secret_value() == "from the file"
    assert "from the file" not in repr(settings)


def test_a_webhook_needs_a_secret_which_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text("whsec_a2tra2tra2tra2tra2tra2tra2tra2tr\n")
    monkeypatch.setenv("NEXAOPS_WEBHOOK_URL", "https://r.example/hook?token=abc")
    monkeypatch.setenv("NEXAOPS_WEBHOOK_SECRET_FILE", str(secret))
    monkeypatch.setenv("STELLAR_HORIZON_URL", "https://h.example")
    monkeypatch.setenv("STELLAR_NETWORK", "PUBLIC")
    settings = load_settings()
    assert settings.webhook_key == b"k" * 24
    assert "a2tra2tr" not in repr(settings)
    monkeypatch.setenv("NEXAOPS_DEMO", "true")
    assert load_settings().webhook_url is None  # no receiver takes play money for real


def test_a_secret_file_that_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD_FILE", "/nowhere/password")
    with pytest.raises(SettingsError, match="DB_PASSWORD_FILE names /nowhere/password"):
        load_settings()


def test_a_slip_of_the_pen_is_noticed() -> None:
    assert unknown_settings({"NEXAOPS_BATCHSIZE": "5"}) == [
        "NEXAOPS_BATCHSIZE is not a setting; did you mean NEXAOPS_BATCH_SIZE?"
    ]


def test_only_the_documented_variables_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "DEMO", "NETWORK", "CONCURRENCY", "APP_ENVIRONMENT"):
        monkeypatch.setenv(name, "elsewhere")
    assert load_settings().home == tmp_path / "home"
    monkeypatch.delenv("NEXAOPS_HOME")
    assert load_settings().home.name == "nexaops"


def test_every_threshold_of_horizon_is_a_setting() -> None:
    """`answers_least` is none: it says from when on a share says anything."""
    told = thresholds_of(Settings())
    assert told == Thresholds(), "the defaults are those of the specification"
    fields = {name for name in Settings.model_fields if name.startswith("horizon_")}
    assert {f"horizon_{one.name}" for one in dataclass_fields(Thresholds)} - fields == {"horizon_answers_least"}
    changed = Settings().model_copy(
        update={name: 1 for name in fields if name.endswith(("warn", "_s", "_ms", "critical"))}
    )
    other = thresholds_of(changed)
    assert [
        one.name for one in dataclass_fields(Thresholds) if getattr(other, one.name) == getattr(told, one.name)
    ] == ["answers_least"]


def test_the_demo_asks_no_status_page_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXAOPS_STATUS_PAGE_URL", "https://status.example.org")
    assert load_settings().status_page_url is None


@pytest.mark.parametrize(
    ("here", "in_file", "asked"),
    [
        (None, None, "https://status.stellar.org"),
        ("", None, None),
        (None, "", None),
        ("", "https://status.example.org", None),
        ("https://status.example.org", "", "https://status.example.org"),
    ],
)
def test_the_status_page_is_switched_off_by_setting_it_to_nothing(
    here: str | None, in_file: str | None, asked: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEXAOPS_DASHBOARD_PORT", "")
    if here is not None:
        monkeypatch.setenv("NEXAOPS_STATUS_PAGE_URL", here)
    if in_file is not None:
        (tmp_path / ".env").write_text(f"NEXAOPS_STATUS_PAGE_URL={in_file}\n")
    assert Settings().status_page_url == asked
    assert Settings().dashboard_port == 8501, "elsewhere what is empty is not set"
