"""What becomes of slots that nobody claimed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.run.backoff import retry_after_s
from jobs.schedule.misfire import catch_up

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
Policy = Literal["skip", "once", "all"]


def slots(count: int) -> list[datetime]:
    return [MIDNIGHT + timedelta(minutes=n) for n in range(count)]


@pytest.mark.parametrize(
    ("policy", "count", "run", "missed"),
    [
        ("skip", 0, 0, 0),
        ("skip", 1, 0, 1),
        ("skip", 5, 0, 5),
        ("once", 1, 1, 0),
        ("once", 5, 1, 4),
        ("all", 5, 5, 0),
        ("all", 25, 20, 5),
    ],
)
def test_the_policy_says_how_many_run(policy: Policy, count: int, run: int, missed: int) -> None:
    plan = catch_up(policy, slots(count))
    assert len(plan.run) == run
    assert (plan.missed.count if plan.missed else 0) == missed


def test_one_row_stands_for_many_and_says_so() -> None:
    plan = catch_up("once", slots(11))
    assert plan.run == (slots(11)[-1],)
    assert plan.missed is not None
    assert plan.missed.slot == slots(11)[-2]
    assert plan.missed.sentence == (
        "No worker claimed 10 slots in time, from 2026-01-01 00:00:00 UTC to this one, so they did not run."
    )


@given(st.sampled_from(["skip", "once", "all"]), st.integers(0, 200), st.integers(1, 50))
def test_every_slot_either_runs_or_is_counted_as_missed_and_the_newest_run(
    policy: Policy, count: int, most: int
) -> None:
    due = slots(count)
    plan = catch_up(policy, due, most)
    given_up = plan.missed.count if plan.missed else 0
    assert given_up + len(plan.run) == count
    assert list(plan.run) == due[given_up:]
    assert plan.missed is None or plan.missed.slot == due[given_up - 1]


def test_retries_wait_longer_each_time_and_come_to_an_end() -> None:
    policy = {"first_s": 15, "most_s": 600}
    waits = [retry_after_s(attempt=attempt, retries=8, **policy) for attempt in range(1, 10)]
    assert waits[:3] == [15.0, 30.0, 60.0]
    assert waits[7] == 600.0
    assert waits[8] is None
    assert retry_after_s(attempt=1, retries=0, **policy) is None
    assert retry_after_s(attempt=1, retries=1, first_s=2, most_s=2) == 2.0
