"""What a person is told before a schedule is saved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobs.schedule.preview import preview
from tests.unit.schedules import NOON, schedule

BERLIN = {"zone": "Europe/Berlin"}
BEFORE_SPRING = datetime(2027, 1, 10, 12, 0, tzinfo=UTC)


def test_the_next_five_fires_come_also_while_it_is_off_or_paused() -> None:
    every = schedule("interval", "3600", enabled=False, paused_at=NOON)
    assert preview(every, NOON).fires == tuple(NOON + timedelta(hours=n) for n in range(1, 6))
    yearly = schedule("calendar", "FREQ=YEARLY;BYMONTH=7;BYMONTHDAY=1;BYHOUR=9")
    assert [due.year for due in preview(yearly, NOON).fires] == [2026, 2027, 2028, 2029, 2030]


@pytest.mark.parametrize(
    ("kind", "expression", "often"),
    [
        ("interval", "1", "86,400 times a day"),
        ("interval", "15", "5,760 times a day"),
        ("interval", "120", "720 times a day"),
        ("interval", "21600", "That is 4 times a day"),
        ("interval", "50000", "up to 2 times a day"),
        ("cron", "*/5 * * * *", "288 times a day"),
        ("cron", "0 9-17 * * mon-fri", "9 times a day"),
        ("cron", "0 2 * * *", "once a day"),
        ("cron", "0 2 * * sun", "on 5 of the next 31 days"),
        ("calendar", "FREQ=MONTHLY;BYMONTHDAY=-1;BYHOUR=18", "on 1 of the next 31 days"),
        ("cron", "0 2 1 jan *", "It does not run within the next 31 days"),
    ],
)
def test_how_often_it_would_run(kind: str, expression: str, often: str) -> None:
    assert often in preview(schedule(kind, expression), NOON).how_often


@pytest.mark.parametrize(
    ("kind", "expression", "warnings"),
    [
        ("cron", "30 2 * * *", [
            ("On Sunday, 28 March 2027, the clock of Europe/Berlin is put forward from 02:00 to 03:00: 02:30 does not"
             " exist, and runs an hour later."),
            ("On Sunday, 31 October 2027, the clock of Europe/Berlin is put back from 03:00 to 02:00: 02:30 comes twice,"
             " and runs twice."),
        ]),
        ("cron", "*/20 2 * * *", [
            ("On Sunday, 28 March 2027, the clock of Europe/Berlin is put forward from 02:00 to 03:00: 02:00, 02:20 and"
             " 02:40 do not exist, and run an hour later."),
            ("On Sunday, 31 October 2027, the clock of Europe/Berlin is put back from 03:00 to 02:00: 02:00, 02:20 and"
             " 02:40 come twice, and each runs twice."),
        ]),
        ("cron", "30 2,3 * * *", [
            ("On Sunday, 28 March 2027, the clock of Europe/Berlin is put forward from 02:00 to 03:00: 02:30 does not"
             " exist, and the runs after it stand for it."),
            ("On Sunday, 31 October 2027, the clock of Europe/Berlin is put back from 03:00 to 02:00: 02:30 comes twice,"
             " and runs twice."),
        ]),
        ("calendar", "FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU;BYHOUR=2", [
            ("On Sunday, 31 October 2027, the clock of Europe/Berlin is put back from 03:00 to 02:00: 02:00 comes twice,"
             " and runs twice."),
        ]),
        # Nobody would notice: it goes on evenly, or is elsewhere on these days.
        ("cron", "*/5 * * * *", []),
        ("cron", "0 * * * *", []),
        ("cron", "30 2 * * mon", []),
        ("cron", "30 12 * * *", []),
        ("interval", "3600", []),
    ],
)  # fmt: skip
def test_what_a_change_of_the_clock_does_within_the_next_year(kind: str, expression: str, warnings: list[str]) -> None:
    assert list(preview(schedule(kind, expression, **BERLIN), BEFORE_SPRING).warnings) == warnings
    assert preview(schedule(kind, expression), BEFORE_SPRING).warnings == ()


def test_runs_that_may_take_longer_than_from_slot_to_slot_are_named() -> None:
    slow = schedule("interval", "60", timeout_s=61)
    assert preview(slow, NOON).warnings == (
        "A run may take 61 s, but slots are only 60 s apart: while one goes on, the next slots are skipped.",
    )
    assert preview(schedule("interval", "60", timeout_s=61, overlap="queue"), NOON).warnings == ()
    assert preview(schedule("interval", "60", timeout_s=60), NOON).warnings == ()


def test_starts_that_are_spread_wider_than_from_slot_to_slot_are_named() -> None:
    (warning,) = preview(schedule("cron", "* * * * *", jitter_s=60), NOON).warnings
    assert "spread over 60 s, but slots are only 60 s apart" in warning
