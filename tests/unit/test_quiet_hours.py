"""Quiet hours: how they are written, and whether it is so, on the wall of a zone whose clock is changed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobs.core.errors import SettingsError
from jobs.core.quiet_hours import read_quiet_hours
from jobs.core.settings import Settings, load_settings


def quiet(written: str, severity: str, when: str, zone: str = "UTC") -> bool:
    at = datetime.fromisoformat(when).replace(tzinfo=UTC)
    return any(hours.cover(severity, at, zone) for hours in read_quiet_hours(written))


@pytest.mark.parametrize(
    ("written", "severity", "when", "zone", "is_quiet"),
    [
        ("warn=22:00-07:00", "warn", "2026-11-28 21:59", "UTC", False),
        ("warn=22:00-07:00", "warn", "2026-11-28 22:00", "UTC", True),
        ("warn=22:00-07:00", "warn", "2026-11-28 06:59", "UTC", True),
        ("warn=22:00-07:00", "warn", "2026-11-28 07:00", "UTC", False),
        ("warn=22:00-07:00", "critical", "2026-11-28 23:00", "UTC", False),
        (" warn = 12:00-13:00 , warn=1:00-2:30,", "warn", "2026-11-28 01:15", "UTC", True),
        ("warn=22:00-07:00", "warn", "2026-11-28 06:30", "Europe/Berlin", False),
        # The hour from two to three comes twice on this night, and not at all on that one.
        ("warn=02:00-03:00", "warn", "2026-10-25 00:30", "Europe/Berlin", True),
        ("warn=02:00-03:00", "warn", "2026-10-25 01:30", "Europe/Berlin", True),
        ("warn=02:00-03:00", "warn", "2026-10-25 02:30", "Europe/Berlin", False),
        ("warn=02:00-03:00", "warn", "2026-03-29 01:00", "Europe/Berlin", False),
        ("", "warn", "2026-11-28 23:00", "UTC", False),
    ],
)
def test_it_is_quiet(written: str, severity: str, when: str, zone: str, is_quiet: bool) -> None:
    assert quiet(written, severity, when, zone) is is_quiet


@pytest.mark.parametrize("written", ["warn", "note=22:00-07:00", "warn=25:00-07:00", "warn=22-7", "warn=22:00-22:00"])
def test_what_are_no_hours_is_refused_with_what_is_accepted(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXAOPS_QUIET_HOURS", written)
    with pytest.raises(
        SettingsError, match=r"NEXAOPS_QUIET_HOURS is not accepted: (accepted are hours such as|hours that)"
    ):
        load_settings()


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("NEXAOPS_ONCALL_ZONE", "Mars/Olympus", "accepted is a time zone like UTC"),
        ("NEXAOPS_PERSON_URL", "mailto://u:hunter2@x.org", "with {email} in it"),
        ("NEXAOPS_PING_URL", "hunter2", "accepted is an address like https://hc-ping.com/"),
        ("NEXAOPS_PING_URL", "https://[hunter2]/x", "accepted is an address like https://hc-ping.com/"),
        ("NEXAOPS_PERSON_URL", "mailto://u:hunter2@x.org?to={email}", "NEXAOPS_NOTICE_URLS is not set"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_repeated(
    name: str, given: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, given)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert said in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_the_demo_tells_no_person_and_pings_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, given in (
        ("NOTICE_URLS", "json://x"),
        ("PERSON_URL", "json://x/{email}"),
        ("PING_URL", "https://x.org/1"),
    ):
        monkeypatch.setenv(f"NEXAOPS_{name}", given)
    settings = load_settings()
    assert (settings.demo, settings.notice_urls) == (True, ())
    assert not settings.person_url.get_secret_value() + settings.ping_url.get_secret_value()
    assert "x.org" not in repr(Settings())
