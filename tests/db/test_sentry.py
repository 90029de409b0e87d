"""Errors as Sentry gets them: real HTTP, with what finds the run again, and with no secret and nobody's name."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from pydantic import SecretStr

from dashboard.access import show_error
from jobs.core import sentry
from jobs.core.db import Database
from jobs.core.errors import SettingsError
from jobs.core.jobs import Params, Run, job
from jobs.core.settings import Settings
from tests.db.books import run_job
from tests.db.receiving import Received, receiving

SEED = "SCZANGBA5YHTNYVVV4C3U252E2B6P6F5T3U6MM63WBSBZATAQI3EBTQ4"


@job(name="leak", title="Leak", does="Fails with what nobody may read.", schedule=None, timeout_s=10, params=Params)
def leak(_run: Run, _params: Params) -> None:
    raise RuntimeError(f"ada@nexafx.com signed 4711 with {SEED} and password=hunter22")


@pytest.fixture
def reporting(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Received]:
    monkeypatch.setattr(sentry, "_on", False)
    with receiving() as received:
        dsn = received.url.replace("://", "://0a1b2c3d4e5f@") + "/7"
        sentry.start_sentry(settings.model_copy(update={"sentry_dsn": SecretStr(dsn)}), component="test")
        yield received
        sentry_sdk.get_client().close()
        sentry_sdk.get_global_scope().set_client(None)


def events(received: Received) -> list[dict[str, Any]]:
    sentry_sdk.flush(5)
    found = []
    for path, body in received.posted:
        assert path == "/api/7/envelope/"
        found.append(json.loads(body.splitlines()[2]))
    return found


def assert_nothing_secret(received: Received) -> None:
    sent = b"".join(body for _, body in received.posted)
    assert all(word.encode() not in sent for word in (SEED, "hunter22", "ada@nexafx.com"))


def test_a_failed_run_is_reported_with_what_finds_it_again(
    db: Database, settings: Settings, reporting: Received
) -> None:
    run = run_job(db, settings, "leak")
    assert run.state == "failed"
    (event,) = events(reporting)
    (error,) = event["exception"]["values"]
    assert error["type"] == "RuntimeError"
    assert error["value"] == "[e-mail] signed 4711 with [secret key] and password=[secret]"
    expected = {"run_id": str(run.id), "job": "leak", "attempt": "1", "state": "failed", "component": "test"}
    assert event["tags"] == expected
    assert "in leak" in event["extra"]["trace"]
    assert event["fingerprint"][:2] == ["leak", "RuntimeError"]
    assert "4711" not in event["fingerprint"][2], "what differs from run to run would make an issue of each"
    assert not {"user", "request", "breadcrumbs"} & set(event)
    assert_nothing_secret(reporting)


def test_a_run_that_does_well_is_nobodys_business(db: Database, settings: Settings, reporting: Received) -> None:
    assert run_job(db, settings, "watch-secrets").state == "succeeded"
    assert events(reporting) == []


def test_a_pages_error_is_reported_without_its_variables(reporting: Received) -> None:
    try:
        whose = "ada@nexafx.com"
        raise ValueError(f"{whose} has password=hunter22")
    except ValueError as error:
        show_error(error)
    (event,) = events(reporting)
    (said,) = event["exception"]["values"]
    assert said["type"] == "ValueError"
    frames = said["stacktrace"]["frames"]
    assert frames[-1]["function"] == "test_a_pages_error_is_reported_without_its_variables"
    assert all("vars" not in frame for frame in frames)
    assert event["tags"]["error_id"]
    assert_nothing_secret(reporting)


def test_a_sentry_that_breaks_harms_no_run(
    db: Database, settings: Settings, reporting: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_given: object, **_named: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(sentry_sdk, "capture_event", breaks)
    assert run_job(db, settings, "leak").state == "failed"
    assert events(reporting) == []


def test_what_is_no_dsn_and_a_missing_package_are_one_sentence_each(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = settings.model_copy(update={"sentry_dsn": SecretStr("https://sentry.example/hunter22")})
    with pytest.raises(SettingsError, match="SENTRY_DSN is not accepted") as refused:
        sentry.start_sentry(wrong, component="test")
    assert "hunter22" not in str(refused.value)
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    with pytest.raises(SettingsError, match=r"pip install 'nexaops\[sentry\]'"):
        sentry.start_sentry(wrong, component="test")
