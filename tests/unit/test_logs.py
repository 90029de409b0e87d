"""No secret, key, password or envelope ever appears in a log."""

import io
import json
import logging
import sys

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from jobs.core import logs
from jobs.core.logs import configure_logging, get_logger, redact
from jobs.core.settings import Settings

SEED = "SCZANGBA5YHTNYVVV4C3U252E2B6P6F5T3U6MM63WBSBZATAQI3EBTQ4"
HASH = "a434302ea03b42dd00614e258e6b7cdce5dc8a9d7381b1cba8844b75df4f1486"
ENVELOPE = "AAAAAgAAAAAaZHhEv9fdQe8/WK1IeSdsMkpO1w6GVO7pRIMqFlLAXgAAAGQDHvLTAAABIwAAAAEAAAAAAAAAAAAAAABmh4pDAAAA=="


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"seed {SEED} given", SEED),
        ("postgresql://nexa:hunter2@db/nexafx", "hunter2"),
        ("GET https://h.example/?apikey=abc123def", "abc123def"),
        ("Authorization: Bearer abcdefghijkl", "abcdefghijkl"),
        (f"envelope {ENVELOPE}", ENVELOPE),
        ("host=db password=hunter2 dbname=x", "hunter2"),
        ("password=hunter2", "hunter2"),
        ("connect(host='db', password='hunter2')", "hunter2"),
        ("{'password': 'hunter2'}", "hunter2"),
        ('{"api_key": "abc123def"}', "abc123def"),
        ("x-api-key: abc123def", "abc123def"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str, secret: str) -> None:
    assert secret not in redact(text)


@pytest.mark.parametrize(
    "said",
    ["the key is missing", "paging token 12345: too old", "error code: key=…", "a password is needed: choose one"],
)
def test_words_about_secrets_stay(said: str) -> None:
    assert redact(said) == said


def test_the_secrets_of_the_settings_are_taken_out_wherever_they_turn_up(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "https://desk:basic-auth@h.example/v1/3f9a77c2b1d4/horizon?apikey=in-the-query"
    known = settings.model_copy(update={"db_password": SecretStr("correct horse"), "horizon_urls": (url,)})
    monkeypatch.setattr(logs, "_known", logs.secrets_of(known))
    said = redact("h.example/v1/3f9a77c2b1d4/horizon said no to 'correct horse', basic-auth and in-the-query")
    assert said == "h.example/v1/[secret]/horizon said no to '[secret]', [secret] and [secret]"


def test_the_webhooks_secret_and_address_are_taken_out_too(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://hooks.example/T024F9/in1the2path?x=in-the-query"
    known = settings.model_copy(update={"webhook_url": url, "webhook_secret": SecretStr("whsec_c29tZXRoaW5n")})
    monkeypatch.setattr(logs, "_known", logs.secrets_of(known))
    said = redact("POST hooks.example/in1the2path in-the-query whsec_c29tZXRoaW5n")
    assert said == "POST hooks.example/[secret] [secret] [secret]"


def test_no_secret_of_the_settings_is_forgotten(settings: Settings) -> None:
    held = [name for name, field in Settings.model_fields.items() if "SecretStr" in repr(field.annotation)]
    assert {"db_password", "ping_url", "person_url", "notice_urls", "sentry_dsn"} <= set(held)
    for name in held:
        secret = SecretStr("https://ada:correct-horse@hooks.example/T0KEN-OF-OURS")
        value = (secret,) if isinstance(getattr(settings, name), tuple) else secret
        found = logs.secrets_of(settings.model_copy(update={name: value}))
        assert {"correct-horse", "T0KEN-OF-OURS"} <= set(found), name


def test_a_password_that_is_the_users_name_hides_nothing(settings: Settings) -> None:
    assert logs.secrets_of(settings.model_copy(update={"db_password": SecretStr("postgres")})) == ()


@given(st.from_regex(logs._HARMLESS, fullmatch=True))
def test_what_is_passed_unread_has_no_shape_of_a_secret(value: str) -> None:
    assert all(pattern.sub("", value) == value for pattern, _ in logs._SHAPES)


def test_hashes_and_accounts_stay() -> None:
    account = "GANGI6CEX7L52QPPH5MK2SDZE5WDESSO24HIMVHO5FCIGKQWKLAF5E7O"
    assert redact(f"{HASH} of {account}") == f"{HASH} of {account}"


def test_a_log_line_is_json_without_secrets_from_ours_and_from_libraries(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(logs, "_known", ())
    handlers = logging.getLogger().handlers[:]
    configure_logging(settings.model_copy(update={"log_format": "json"}), component="test")
    get_logger("ours").info("signing", password="hunter2", envelope_xdr=ENVELOPE, account=HASH, nested={"token": "t0p"})
    logging.getLogger("library").error("cannot reach postgresql://a:hunter2@b/c")
    try:
        raise RuntimeError(f"bad seed {SEED}")
    except RuntimeError:
        get_logger("ours").exception("failed")
    logging.getLogger().handlers[:] = handlers
    structlog.reset_defaults()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["level"] for line in lines] == ["info", "error", "error"]
    assert lines[0]["account"] == HASH
    assert all(word not in stream.getvalue() for word in ("hunter2", "t0p", SEED, ENVELOPE))
    assert {line["component"] for line in lines} == {"test"}
