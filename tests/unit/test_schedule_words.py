"""Schedules in words, their instants, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jobs.core.errors import UsageError
from jobs.schedule.model import Schedule, fires_between, trigger_of
from jobs.schedule.words import in_words, next_fires

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


def schedule(kind: str, expression: str, **changes: object) -> Schedule:
    plain = Schedule(
        name="job",
        kind="interval",
        expression="60",
        zone="UTC",
        overlap="skip",
        misfire="once",
        grace_s=30,
        timeout_s=60,
        retries=0,
        params={},
        enabled=True,
        paused_at=None,
        paused_until=None,
        paused_by=None,
        paused_reason=None,
        version=1,
        created_at=NOON,
        updated_at=NOON,
    )
    return replace(plain, kind=kind, expression=expression, **changes)  # type: ignore[arg-type]  # a table of cases


@pytest.mark.parametrize(
    ("kind", "expression", "words"),
    [
        ("interval", "15", "every 15 seconds"),
        ("interval", "60", "every minute"),
        ("interval", "90", "every 90 seconds"),
        ("interval", "120", "every 2 minutes"),
        ("interval", "21600", "every 6 hours"),
        ("interval", "86400", "every day"),
        ("cron", "0 2 * * *", "daily at 02:00 UTC"),
        ("cron", "5 0 * * *", "daily at 00:05 UTC"),
        ("cron", "0 4 1 * *", "monthly, on the 1st at 04:00 UTC"),
        ("cron", "0 4 12 * *", "monthly, on the 12th at 04:00 UTC"),
        ("cron", "0 4 22 * *", "monthly, on the 22nd at 04:00 UTC"),
        ("cron", "30 3 * * mon", "Mondays at 03:30 UTC"),
        ("cron", "30 3 * * mon-fri", "at 03:30, Monday through Friday (UTC)"),
        ("cron", "*/5 * * * *", "every 5 minutes"),
        ("cron", "0 0 last * *", "at 00:00, on the last day of the month (UTC)"),
    ],
)
def test_a_schedule_reads_like_a_sentence(kind: str, expression: str, words: str) -> None:
    assert in_words(schedule(kind, expression)) == words


def test_the_zone_is_named_and_the_instants_are_utc() -> None:
    berlin = schedule("cron", "0 2 * * *", zone="Europe/Berlin")
    assert in_words(berlin) == "daily at 02:00 Europe/Berlin"
    assert next_fires(berlin, NOON, 1) == [datetime(2026, 3, 15, 1, 0, tzinfo=UTC)]


def test_every_host_computes_the_same_slots_whenever_it_starts() -> None:
    every = schedule("interval", "120")
    slots = fires_between(every, NOON, NOON + timedelta(minutes=10))
    assert slots == [NOON + timedelta(minutes=2 * n) for n in range(1, 6)]
    for late in (timedelta(seconds=1), timedelta(seconds=119), timedelta(microseconds=1)):
        assert next_fires(every, NOON + late, 5) == slots[:5]


def test_an_instant_itself_is_not_after_itself() -> None:
    assert next_fires(schedule("cron", "0 12 * * *"), NOON, 1) == [NOON + timedelta(days=1)]
    assert next_fires(schedule("interval", "60"), NOON, 1) == [NOON + timedelta(minutes=1)]


def test_monday_means_monday() -> None:
    (due,) = next_fires(schedule("cron", "0 3 * * mon"), NOON, 1)
    assert f"{due:%A}" == "Monday"


@pytest.mark.parametrize("weekday", ["0", "1-5", "7", "0,3", "1#2"])
def test_a_numbered_day_of_the_week_is_refused(weekday: str) -> None:
    with pytest.raises(UsageError, match="name it, as in 'mon'"):
        trigger_of("cron", f"0 3 * * {weekday}", "UTC")


@pytest.mark.parametrize(
    ("kind", "expression", "zone", "sentence"),
    [
        ("interval", "0", "UTC", "whole number of seconds"),
        ("interval", "soon", "UTC", "whole number of seconds"),
        ("cron", "0 2 * *", "UTC", "has 4 fields"),
        ("cron", "61 2 * * *", "UTC", "not a cron expression"),
        ("cron", "0 2 * * *", "Mars/Olympus", "not a time zone"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(kind: str, expression: str, zone: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as raised:
        trigger_of(kind, expression, zone)
    assert str(raised.value).endswith(".")


def test_what_is_off_or_paused_has_no_next_instant_until_it_resumes() -> None:
    every = schedule("interval", "60")
    assert next_fires(replace(every, enabled=False), NOON, 3) == []
    assert next_fires(replace(every, paused_at=NOON), NOON, 3) == []
    until = NOON + timedelta(hours=1)
    paused = replace(every, paused_at=NOON, paused_until=until)
    assert next_fires(paused, NOON, 1) == [until + timedelta(minutes=1)]
    assert not paused.paused(until)
    assert paused.live_since == until
