"""Who is on call: always exactly one person of a rota, and the hand-over stays where it is on the wall."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.alerts.rota import Override, Rota, on_call, turns

WEEK = Rota("primary", 1, "Europe/Berlin", date(2026, 10, 5), time(9), 7, ("ada", "bob", "cy"))
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu"]
)
INSTANTS = st.datetimes(datetime(2011, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


def at(written: str) -> datetime:
    return datetime.fromisoformat(written).replace(tzinfo=UTC)


def override(number: int, person: str, begin: str, end: str, ended: str | None = None) -> Override:
    ended_at = at(ended) if ended else None
    return Override(number, "primary", person, at(begin), at(end), "ill", at("2026-10-01 00:00"), "ada", ended_at)


@st.composite
def rotas(draw: st.DrawFn) -> Rota:
    people = draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=5, unique=True))
    starts_on = draw(st.dates(date(2011, 1, 1), date(2027, 12, 31)))
    handover = draw(st.times()).replace(microsecond=0)
    return Rota("r", 1, draw(ZONES), starts_on, handover, draw(st.integers(1, 40)), tuple(people))


@st.composite
def overriding(draw: st.DrawFn) -> list[Override]:
    found = []
    for number in range(draw(st.integers(0, 4))):
        begin, lasts = draw(INSTANTS), timedelta(hours=draw(st.integers(1, 2000)))
        ended = draw(st.none() | st.just(begin + lasts / 2) | st.just(begin - lasts))
        found.append(Override(number, "r", f"stand-in {number}", begin, begin + lasts, "x", begin, "x", ended))
    return found


@pytest.mark.parametrize(
    ("when", "person"),
    [
        ("2026-10-05 06:59:59", "cy"),  # before the first turn: somebody is on call all the same
        ("2026-10-05 07:00:00", "ada"),  # nine o'clock in summer
        ("2026-10-12 06:59:59", "ada"),
        ("2026-10-12 07:00:00", "bob"),
        ("2026-10-26 07:59:59", "cy"),  # nine o'clock in winter: that week was an hour longer
        ("2026-10-26 08:00:00", "ada"),
    ],
)
def test_turns_follow_one_another_at_the_same_time_on_the_wall(when: str, person: str) -> None:
    assert on_call(WEEK, (), at(when)).person == person


def test_an_override_cuts_a_turn_in_two_and_names_its_whole_length() -> None:
    one = override(1, "dora", "2026-10-07 12:00", "2026-10-08 12:00")
    found = [(turn.person, f"{turn.starts_at:%d %H:%M}") for turn in turns(WEEK, [one], at("2026-10-06 00:00"), at("2026-10-13 00:00"))]  # fmt: skip
    assert found == [("ada", "05 07:00"), ("dora", "07 12:00"), ("ada", "08 12:00"), ("bob", "12 07:00")]
    now = on_call(WEEK, [one], at("2026-10-07 18:00"))
    assert (now.person, now.starts_at, now.ends_at, now.override) == ("dora", one.starts_at, one.ends_at, one)


def test_an_override_over_a_hand_over_is_one_turn() -> None:
    one = override(1, "dora", "2026-10-10 00:00", "2026-10-20 00:00")
    assert on_call(WEEK, [one], at("2026-10-13 00:00")).ends_at == one.ends_at
    assert on_call(WEEK, [one], at("2026-10-20 00:00")).person == "cy"


def test_of_two_overrides_the_newest_holds_and_one_that_was_taken_back_does_not() -> None:
    long = override(1, "dora", "2026-10-06 00:00", "2026-10-10 00:00")
    newer = override(2, "emil", "2026-10-07 00:00", "2026-10-08 00:00")
    ended = override(3, "fay", "2026-10-07 00:00", "2026-10-09 00:00", ended="2026-10-07 12:00")
    given_ = (long, newer, ended)
    people = [on_call(WEEK, given_, at(f"2026-10-{when}")).person for when in ("06 01:00", "07 01:00", "07 13:00", "08 13:00")]  # fmt: skip
    assert people == ["dora", "fay", "emil", "dora"]


@given(rotas(), overriding(), INSTANTS, st.integers(1, 60))
def test_turns_abut_and_at_every_instant_exactly_one_person_is_on_call(
    rota: Rota, overrides: list[Override], since: datetime, days: int
) -> None:
    found = turns(rota, overrides, since, since + timedelta(days=days))
    assert found[0].starts_at <= since
    assert found[-1].ends_at >= since + timedelta(days=days)
    assert all(one.ends_at == after.starts_at for one, after in pairwise(found))
    for turn in found:
        assert turn.starts_at < turn.ends_at
        for moment in (turn.starts_at, turn.ends_at - timedelta(microseconds=1)):
            assert on_call(rota, overrides, moment) == turn


@given(rotas(), st.integers(-50, 50))
def test_a_hand_over_stands_on_the_wall_where_it_was_entered_unless_the_clock_skips_it(rota: Rota, number: int) -> None:
    begins, zone = rota.begins(number), ZoneInfo(rota.zone)
    wall = datetime.combine(rota.starts_on + timedelta(days=number * rota.turn_days), rota.handover)
    shown = begins.astimezone(zone).replace(tzinfo=None)
    # What the clock skips comes later; Apia skipped a whole day.
    assert shown == wall or timedelta() < shown - wall <= timedelta(days=1)
