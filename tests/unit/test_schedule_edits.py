"""What may be changed in a schedule, and the one sentence for each mistake."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.core.errors import Conflict, UsageError
from jobs.schedule.edits import FIELDS, difference, edited, moment_of, seconds_of, undone
from tests.unit.schedules import NOON, schedule

PLAIN = schedule("cron", "0 2 * * *")
EVERY = schedule("interval", "60")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kind": "weekly"}, "say cron, interval, calendar"),
        ({"overlap": "both"}, "'both' is not accepted for overlap: say skip, queue, allow."),
        ({"misfire": None}, "say skip, once, all"),
        ({"zone": "Mars"}, "is not a time zone"),
        ({"zone": " "}, "Say a time zone, such as UTC"),
        ({"expression": ""}, "the expression is empty"),
        ({"expression": "0 2 * * 1"}, "name it, as in 'mon'"),
        ({"kind": "interval"}, "is not an interval"),
        ({"kind": "interval", "expression": "0"}, "from 1 to"),
        ({"expression": "0 2 30 feb *"}, "never comes"),
        ({"anchor": NOON}, "leave it out for cron"),
        ({"kind": "interval", "expression": "60", "anchor": "soon"}, "'soon' is not a time"),
        ({"grace_s": 0}, "from 1 to 86,400"),
        ({"timeout_s": "60"}, "seconds that a run may take: say a whole number from 1 to 604,800"),
        ({"timeout_s": True}, "True is not accepted"),
        ({"retries": 21}, "from 0 to 20"),
        ({"retry_first_s": 601}, "the most cannot be less than the first"),
        ({"jitter_s": -1}, "from 0 to 86,400"),
        ({"paused_at": NOON}, "paused_at is nothing that can be edited"),
    ],
)
def test_what_is_not_accepted_is_said_in_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as raised:
        edited(PLAIN, changes, NOON)
    assert sentence in str(raised.value)
    assert str(raised.value).endswith(".")
    assert "\n" not in str(raised.value)


def test_every_field_can_be_changed() -> None:
    changes: dict[str, Any] = {
        "kind": "calendar", "expression": "FREQ=DAILY;BYHOUR=3", "zone": "Europe/Berlin", "anchor": "2026-04-01",
        "overlap": "queue", "misfire": "all", "grace_s": 5, "timeout_s": 7, "retries": 2, "retry_first_s": 3,
        "retry_most_s": 9, "jitter_s": 11, "params": {"limit": 1}, "enabled": False,
    }  # fmt: skip
    assert set(changes) == set(FIELDS)
    old, new = difference(PLAIN, edited(PLAIN, changes, NOON))
    assert set(old) == set(new) == set(FIELDS)
    assert new == changes | {"anchor": "2026-04-01T00:00:00+00:00"}


def test_what_stands_already_is_not_judged() -> None:
    endless = schedule("cron", "0 2 * * *", timeout_s=10**8)
    assert edited(endless, {"timeout_s": 10**8, "retries": 1}, NOON).retries == 1
    with pytest.raises(UsageError, match="from 1 to 604,800"):
        edited(endless, {"timeout_s": 10**8 + 1}, NOON)


def test_another_kind_begins_without_an_anchor() -> None:
    anchored = edited(EVERY, {"anchor": "2026-03-01 06:00"}, NOON)
    assert anchored.anchor == datetime(2026, 3, 1, 6, tzinfo=UTC)
    assert edited(anchored, {"kind": "cron", "expression": "0 2 * * *"}, NOON).anchor is None
    assert edited(anchored, {"expression": "5min"}, NOON).anchor == anchored.anchor
    calendar = {"kind": "calendar", "expression": "FREQ=DAILY;BYHOUR=3"}
    assert edited(anchored, calendar, NOON).anchor is None
    assert edited(anchored, {**calendar, "anchor": anchored.anchor}, NOON).anchor == anchored.anchor
    assert edited(anchored, {"expression": "5min"}, NOON).expression == "300"


def test_an_edit_is_undone_by_its_old_values_unless_one_was_changed_again() -> None:
    anchored = edited(EVERY, {"anchor": "2026-03-01 06:00", "retries": 3}, NOON)
    now = edited(anchored, {"kind": "cron", "expression": "0 2 * * *", "retries": 4}, NOON)
    old, new = difference(anchored, now)
    assert edited(now, undone(now, old, new), NOON) == anchored
    later = edited(now, {"retries": 5}, NOON)
    with pytest.raises(Conflict, match="retries of job changed again since"):
        undone(later, old, new)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("15s", 15), ("5 min", 300), ("5m", 300), ("6h", 21_600), ("1d", 86_400)]
)
def test_lengths_of_time(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "1.5h", "1 week", "9999999999"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(UsageError, match="is not a length of time"):
        seconds_of(text)


def test_a_length_that_no_calendar_holds_is_too_long() -> None:
    with pytest.raises(UsageError, match="at most ten years"):
        seconds_of("999999999d")


def test_a_time_is_utc_unless_it_says_otherwise() -> None:
    six = datetime(2026, 1, 31, 6, tzinfo=UTC)
    assert moment_of("2026-01-31 06:00") == six
    assert moment_of("2026-01-31T07:00+01:00") - six == timedelta(0)
