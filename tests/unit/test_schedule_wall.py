"""The slots of a schedule are the same for whoever looks, from whenever, also across changes of the clock."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.schedule.model import Schedule, fires_between, trigger_of
from jobs.schedule.wall import changes
from tests.unit.schedules import schedule

# Each with days on which its clock is changed: by an hour, by half an hour, and never.
ZONES = {
    "UTC": ["2027-03-28"],
    "Europe/Berlin": ["2027-03-28", "2027-10-31"],
    "America/New_York": ["2027-03-14", "2027-11-07"],
    "Australia/Lord_Howe": ["2027-04-04", "2027-10-03"],
    "Asia/Kolkata": ["2027-12-31"],
}
DAY = timedelta(days=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


places = st.sampled_from([(zone, at(day)) for zone, days in ZONES.items() for day in days])
crons = st.tuples(
    st.sets(st.integers(0, 59), min_size=1, max_size=4), st.sets(st.integers(0, 23), min_size=1, max_size=4)
)
rules = st.sampled_from(
    ["FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=15,45", "FREQ=WEEKLY;BYDAY=SA,SU;BYHOUR=0,1,2;BYMINUTE=30", "FREQ=DAILY;BYHOUR=2",
     "FREQ=DAILY;INTERVAL=2;BYHOUR=1,23;BYMINUTE=59", "FREQ=MONTHLY;BYDAY=-1SU,1SU,2SU;BYHOUR=2;BYMINUTE=10,40"]
)  # fmt: skip


def cron_of(minutes: Iterable[int], hours: Iterable[int]) -> str:
    return f"{','.join(map(str, sorted(minutes)))} {','.join(map(str, sorted(hours)))} * * *"


def timer(plan: Schedule, start: datetime, wakes: Sequence[datetime]) -> list[datetime]:
    """What APScheduler hands over: from each fire it asks for the next one, whenever its thread wakes up."""
    trigger = trigger_of(plan.kind, plan.expression, plan.zone, plan.anchor)
    found, coming = [], trigger.get_next_fire_time(None, start)
    for now in wakes:
        while coming is not None and coming <= now:
            found.append(coming.astimezone(UTC))
            coming = trigger.get_next_fire_time(coming, now)
    return found


def search(plan: Schedule, moments: Sequence[datetime]) -> list[datetime]:
    """What the search for missed slots finds, looking from each moment to the next."""
    return [due for since, until in itertools.pairwise(moments) for due in fires_between(plan, since, until)]


@settings(deadline=None)
@given(
    place=places,
    plan=st.one_of(
        crons.map(lambda cron: ("cron", cron_of(*cron))),
        st.sampled_from([("cron", "*/20 * * * *"), ("cron", "0 */2 * * *"), ("cron", "30 2 * * sun")]),
        rules.map(lambda rule: ("calendar", rule)),
        st.sampled_from([("interval", seconds) for seconds in ("900", "3600", "5400", "86400")]),
    ),
    anchored=st.booleans(),
    start=st.integers(-40 * 60, 0),
    wakes=st.lists(st.integers(-30 * 60, 36 * 60), max_size=5),
)
def test_the_timer_hands_over_exactly_the_slots_that_the_search_finds(
    place: tuple[str, datetime], plan: tuple[str, str], anchored: bool, start: int, wakes: list[int]
) -> None:
    zone, day = place
    anchor = day - timedelta(days=3, minutes=7) if anchored and plan[0] != "cron" else None
    planned = schedule(*plan, zone=zone, anchor=anchor)
    begin, end = day + timedelta(minutes=start), day + timedelta(hours=36)
    moments = sorted({begin, end, *(moment for wake in wakes if (moment := day + timedelta(minutes=wake)) > begin)})
    found = search(planned, [begin - timedelta(microseconds=1), *moments[1:]])
    assert timer(planned, begin, moments) == found == sorted(set(found))


@settings(deadline=None)
@given(place=places, cron=crons)
def test_each_time_on_the_wall_comes_as_often_as_the_wall_shows_it_and_later_if_it_is_skipped(
    place: tuple[str, datetime], cron: tuple[set[int], set[int]]
) -> None:
    zone, day = place
    minutes, hours = cron
    expected = set()
    for n in range(-26 * 60, 50 * 60):
        wall = (day + timedelta(minutes=n)).replace(tzinfo=None)
        if wall.minute in minutes and wall.hour in hours:
            first, second = (wall.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1))
            expected |= {first, max(first, second)}
    begin, end = day - timedelta(hours=12), day + timedelta(hours=36)
    plan = schedule("cron", cron_of(minutes, hours), zone=zone)
    assert fires_between(plan, begin, end) == sorted(due for due in expected if begin < due <= end)


@pytest.mark.parametrize(
    ("kind", "expression", "day", "instants"),
    [
        ("cron", "30 2 * * *", "2027-03-28", ["01:30"]),  # 02:30 does not exist: 03:30 by the clock
        ("cron", "15,45 2 * * *", "2027-03-28", ["01:15", "01:45"]),
        ("cron", "30 2,3 * * *", "2027-03-28", ["01:30"]),  # 02:30 and 03:30 are one moment
        ("cron", "30 2 * * *", "2027-10-31", ["00:30", "01:30"]),  # 02:30 comes twice
        ("calendar", "FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "2027-03-28", ["01:30"]),
        ("calendar", "FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "2027-10-31", ["00:30", "01:30"]),
        ("interval", "43200", "2027-10-31", ["00:00", "12:00"]),
    ],
)
def test_a_change_of_the_clock(kind: str, expression: str, day: str, instants: list[str]) -> None:
    plan = schedule(kind, expression, zone="Europe/Berlin")
    begin = at(day) - timedelta(hours=1)  # about midnight of Berlin
    found = fires_between(plan, begin - timedelta(microseconds=1), begin + timedelta(hours=24))
    assert [f"{due:%H:%M}" for due in found if due >= at(day)] == instants


def test_whoever_begins_to_look_within_the_hour_after_a_change_finds_what_was_delayed() -> None:
    plan = schedule("cron", "30 2 * * *", zone="Europe/Berlin")
    just_after = at("2027-03-28T01:10")
    assert fires_between(plan, just_after, just_after + timedelta(hours=1)) == [at("2027-03-28T01:30")]


def test_the_changes_of_a_clock_are_found_to_the_second() -> None:
    found = changes("Europe/Berlin", at("2027-01-01"), at("2028-01-01"))
    assert [(change.at, change.forward, change.length) for change in found] == [
        (at("2027-03-28T01:00"), True, timedelta(hours=1)),
        (at("2027-10-31T01:00"), False, timedelta(hours=1)),
    ]
    assert changes("UTC", at("2027-01-01"), at("2037-01-01")) == []
    assert changes("Europe/Berlin", found[0].at - timedelta(seconds=1), found[0].at) == found[:1]
    assert changes("Europe/Berlin", found[0].at, found[0].at + DAY) == []


def test_a_rule_for_one_day_in_years_is_found_at_once_and_one_for_none_ends() -> None:
    leap = schedule("cron", "0 0 29 feb *", zone="Europe/Berlin")
    assert fires_between(leap, at("2027-01-01"), at("2030-01-01")) == [at("2028-02-28T23:00")]
    assert fires_between(schedule("cron", "0 0 30 feb *"), at("2027-01-01"), at("2030-01-01")) == []
