"""Schedules in words, their instants, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jobs.core.errors import UsageError
from jobs.schedule.model import fires_between, trigger_of
from jobs.schedule.preview import preview
from jobs.schedule.words import in_words, next_fires
from tests.unit.schedules import NOON, schedule


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
        ("calendar", "FREQ=DAILY;BYHOUR=9,17", "daily at 09:00 and 17:00 UTC"),
        ("calendar", "FREQ=DAILY;INTERVAL=2;BYHOUR=9", "every 2 days at 09:00 UTC"),
        (
            "calendar",
            "FREQ=WEEKLY;BYDAY=MO,FR;BYHOUR=9;BYMINUTE=0,30",
            "weekly, on Mondays and Fridays at 09:00 and 09:30 UTC",
        ),
        ("calendar", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TU,WE,TH,FR;BYHOUR=6", "every 2 weeks, on weekdays at 06:00 UTC"),
        ("calendar", "FREQ=MONTHLY;BYMONTHDAY=1,15,-1;BYHOUR=4", "monthly, on the 1st, 15th and last day at 04:00 UTC"),
        (
            "calendar",
            "RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;BYHOUR=18;BYMINUTE=30",
            "monthly, on the last weekday at 18:30 UTC",
        ),
        (
            "calendar",
            "FREQ=MONTHLY;BYDAY=1MO,-1FR;BYHOUR=4",
            "monthly, on the 1st Monday and the last Friday at 04:00 UTC",
        ),
        (
            "calendar",
            "FREQ=MONTHLY;BYDAY=SA,SU;BYSETPOS=2;BYHOUR=4",
            "monthly, on the 2nd of Saturdays and Sundays at 04:00 UTC",
        ),
        (
            "calendar",
            "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;BYHOUR=4",
            "monthly, on the 13th when that is a Friday at 04:00 UTC",
        ),
        (
            "calendar",
            "FREQ=YEARLY;BYMONTH=1,7;BYMONTHDAY=-2;BYHOUR=0",
            "yearly, on the 2nd to last day in January and July at 00:00 UTC",
        ),
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
        ("cron", "0 2 * * *", "../etc/passwd", "not a time zone"),
        ("cron", "0 2 * * *", "Europe", "not a time zone"),
        ("interval", "99999999999", "UTC", "whole number of seconds"),
        ("calendar", "FREQ=HOURLY;BYHOUR=1", "UTC", "is not a calendar's"),
        ("calendar", "every day", "UTC", "not understood"),
        ("calendar", "FREQ=DAILY;COUNT=3;BYHOUR=1", "UTC", "not understood"),
        ("calendar", "FREQ=DAILY;FREQ=DAILY;BYHOUR=1", "UTC", "stands twice"),
        ("calendar", "FREQ=DAILY", "UTC", "leaves open the hour"),
        ("calendar", "FREQ=DAILY;BYHOUR=24", "UTC", "from 0 to 23"),
        ("calendar", "FREQ=DAILY;INTERVAL=0;BYHOUR=1", "UTC", "from 1 to 999"),
        ("calendar", "FREQ=DAILY;INTERVAL=1,2;BYHOUR=1", "UTC", "say one number"),
        ("calendar", "FREQ=DAILY;BYDAY=1MO;BYHOUR=1", "UTC", "of which month"),
        ("calendar", "FREQ=DAILY;BYHOUR=1,2,3,4,5;BYMINUTE=1,2,3,4,5,6,7,8,9,10", "UTC", "at most 48 times a day"),
        ("calendar", "FREQ=WEEKLY;BYHOUR=1", "UTC", "names it by BYDAY"),
        ("calendar", "FREQ=WEEKLY;BYDAY=XX;BYHOUR=1", "UTC", "is not a day"),
        ("calendar", "FREQ=MONTHLY;BYHOUR=1", "UTC", "add BYDAY or BYMONTHDAY"),
        ("calendar", "FREQ=MONTHLY;BYMONTHDAY=0;BYHOUR=1", "UTC", "from -31 to 31"),
        ("calendar", "FREQ=YEARLY;BYMONTHDAY=1;BYHOUR=1", "UTC", "add BYMONTH"),
        ("calendar", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;BYHOUR=1", "UTC", "none of its months is so long"),
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


def test_from_when_an_interval_or_a_calendar_is_counted_is_said_and_nothing_is_before() -> None:
    anchor = NOON + timedelta(days=1, minutes=7)
    every = schedule("interval", "3600", anchor=anchor)
    assert in_words(every) == "every hour, counted from 2026-03-15 12:07 UTC"
    assert next_fires(every, NOON, 2) == [anchor, anchor + timedelta(hours=1)]
    assert next_fires(every, anchor + timedelta(minutes=5), 1) == [anchor + timedelta(hours=1)]
    weekly = "FREQ=WEEKLY;INTERVAL=2;BYDAY=FR;BYHOUR=9"
    (this,) = next_fires(schedule("calendar", weekly), NOON, 1)
    (other,) = next_fires(schedule("calendar", weekly, anchor=this + timedelta(days=7)), NOON, 1)
    assert other == this + timedelta(days=7)


def test_starts_are_spread_alike_on_every_host_and_differently_for_each_slot() -> None:
    every = schedule("interval", "60", jitter_s=40)
    slots = next_fires(every, NOON, 200)
    waits = [every.spread_s(slot) for slot in slots]
    assert waits == [every.spread_s(slot) for slot in slots]
    assert all(0 <= wait < 40 for wait in waits)
    assert max(waits) > 35
    assert min(waits) < 5
    assert replace(every, jitter_s=0).spread_s(NOON) == 0


@pytest.mark.parametrize(("kind", "expression"), [("cron", "whenever"), ("interval", "-5"), ("calendar", "FREQ=DAILY")])
def test_one_that_cannot_be_read_says_so_and_never_runs(kind: str, expression: str) -> None:
    broken = schedule(kind, expression)
    assert in_words(broken) == f"never: {expression!r} in UTC cannot be read"
    assert next_fires(broken, NOON, 1) == []
    assert preview(broken, NOON).warnings == ()
