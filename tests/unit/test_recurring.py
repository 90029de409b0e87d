"""When a list opens by itself: in its own zone, across changes of the clock, and never twice."""

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checklists.grammar import Schedule
from checklists.recurring import occurrences


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("rrule", "zone", "after", "until", "expected"),
    [
        (
            "FREQ=WEEKLY;BYDAY=MO;BYHOUR=9", "UTC", "2026-11-16T09:00", "2026-11-30T09:00",
            ["2026-11-23T09:00", "2026-11-30T09:00"],
        ),
        # The same hour of the wall, before and after the clock is put back.
        (
            "FREQ=DAILY;BYHOUR=9", "Europe/Berlin", "2026-10-23T08:00", "2026-10-26T12:00",
            ["2026-10-24T07:00", "2026-10-25T08:00", "2026-10-26T08:00"],
        ),
        # 02:30 does not exist on the day when the clock is put forward: an hour later by the clock.
        (
            "FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "Europe/Berlin", "2026-03-28T00:00", "2026-03-30T12:00",
            ["2026-03-28T01:30", "2026-03-29T01:30", "2026-03-30T00:30"],
        ),
        # 02:30 is there twice when it is put back: the first counts.
        (
            "FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "Europe/Berlin", "2026-10-24T12:00", "2026-10-25T12:00",
            ["2026-10-25T00:30"],
        ),
        ("FREQ=MONTHLY;INTERVAL=3;BYDAY=1WE", "UTC", "2026-01-01T00:00", "2026-12-31T00:00",
         ["2026-01-07T00:00", "2026-04-01T00:00", "2026-07-01T00:00", "2026-10-07T00:00"]),
        ("FREQ=YEARLY;COUNT=2", "UTC", "2023-01-01T00:00", "2030-01-01T00:00", ["2024-01-01T00:00", "2025-01-01T00:00"]),
    ],
)  # fmt: skip
def test_a_list_opens_by_the_wall_clock_of_its_zone(
    rrule: str, zone: str, after: str, until: str, expected: list[str]
) -> None:
    schedule = Schedule(rrule=rrule, zone=zone)
    assert [f"{one:%Y-%m-%dT%H:%M}" for one in occurrences(schedule, at(after), at(until))] == expected


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    rrule=st.sampled_from(
        ["FREQ=DAILY;BYHOUR=2;BYMINUTE=15", "FREQ=WEEKLY;BYDAY=SU;BYHOUR=1,2,3", "FREQ=HOURLY;INTERVAL=6"]
    ),
    cuts=st.lists(st.integers(0, 60 * 24 * 40), min_size=1, max_size=5),
)
def test_however_often_one_looks_every_occurrence_is_seen_once(zone: str, rrule: str, cuts: list[int]) -> None:
    schedule = Schedule(rrule=rrule, zone=zone)
    start, end = at("2026-10-01T00:00"), at("2026-11-10T00:00")
    moments = sorted({start, end, *(datetime.fromtimestamp(start.timestamp() + 60 * cut, UTC) for cut in cuts)})
    pieces = [one for a, b in itertools.pairwise(moments) for one in occurrences(schedule, a, b)]
    assert pieces == list(occurrences(schedule, start, end)) == sorted(set(pieces))
