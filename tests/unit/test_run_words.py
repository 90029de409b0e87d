"""What the pages of runs conclude from figures: time left, trend, success rate, where two logs part."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.components.eta import Look, remember, seconds_left
from dashboard.components.job_figures import is_slower, share, trend
from dashboard.components.run_diff import CONTEXT, counters, parameters, parting
from jobs.run.store import LogLine, RunRow

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def looks(*done: int, every_s: float = 1.0) -> tuple[Look, ...]:
    found: tuple[Look, ...] = ()
    for place, count in enumerate(done):
        found = remember(found, Look(NOON + timedelta(seconds=every_s * place), count))
    return found


def test_the_time_left_is_told_by_the_speed_of_the_last_minute() -> None:
    # Fast for a minute, then one a second: the average would promise far too much.
    seen = looks(*range(0, 6000, 100), *range(6000, 6070))
    assert seconds_left(seen, 6569, started=NOON) == pytest.approx(500, rel=0.02)


def test_before_there_is_a_speed_the_whole_run_tells_it() -> None:
    (look,) = remember((), Look(NOON, 250))
    assert seconds_left((look,), 1000, started=NOON - timedelta(seconds=10)) == 30
    assert seconds_left((look,), 1000, started=None) is None
    assert seconds_left((), 1000, started=NOON) is None
    assert seconds_left(looks(0), 1000, started=NOON - timedelta(seconds=10)) is None


def test_what_stands_still_has_no_end_and_what_is_done_has_none_left() -> None:
    assert seconds_left(looks(5, 5, 5, every_s=5), 10, started=NOON) is None
    assert seconds_left(looks(10, every_s=5), 10, started=NOON) == 0


def test_a_run_that_begins_anew_forgets_what_was() -> None:
    assert remember(looks(5, 9), Look(NOON + timedelta(seconds=9), 1)) == (Look(NOON + timedelta(seconds=9), 1),)


@given(st.lists(st.integers(0, 10), max_size=200), st.integers(1, 10**6))
def test_the_time_left_is_never_negative_and_the_looks_are_few(steps: list[int], total: int) -> None:
    done = [sum(steps[: place + 1]) for place in range(len(steps))]
    seen = looks(*done)
    assert len(seen) <= 62
    left = seconds_left(seen, total, started=NOON)
    assert left is None or left >= 0


@pytest.mark.parametrize(
    ("now", "before", "timed", "said", "slower"),
    [
        (2.0, 2.1, 500, "as in the week before", False),
        (0.15, 0.05, 500, "as in the week before", False),
        (3.2, 2.0, 500, "1.6 times the week before", False),
        (9.0, 2.0, 500, "4.5 times the week before", True),
        (1.0, 4.0, 500, "75% less than the week before", False),
        (9.0, 2.0, 19, "", False),
        (None, 2.0, 500, "", False),
        (2.0, None, 500, "", False),
    ],
)
def test_a_trend_is_told_where_there_is_one(
    now: float | None, before: float | None, timed: int, said: str, slower: bool
) -> None:
    assert trend(now, before, timed=timed, timed_before=500) == said
    assert is_slower(now, before, timed=timed, timed_before=500) is slower


@pytest.mark.parametrize(
    ("well", "ill", "said"), [(0, 0, "–"), (7, 0, "100%"), (99_999, 1, "99.9%"), (1, 2, "33.3%"), (0, 4, "0%")]
)
def test_a_success_rate_never_hides_a_failure(well: int, ill: int, said: str) -> None:
    assert share(well, ill) == said


def line(id_: int, event: str, level: str = "info") -> LogLine:
    return LogLine(id_, 1, NOON + timedelta(seconds=id_), level, event, {"n": id_})


def test_logs_part_where_the_words_or_the_level_differ_and_not_where_numbers_do() -> None:
    left = [line(n, f"read page {n}") for n in range(10)]
    right = [line(n + 100, f"read page {n + 70}") for n in range(10)]
    assert parting(left, right) is None
    assert parting([], []) is None
    broken = [*right[:6], line(106, "read page 7", "error"), *right[7:]]
    found = parting(left, broken)
    assert found is not None
    assert (found.at, found.before) == (6, CONTEXT)
    assert (found.left[CONTEXT], found.right[CONTEXT]) == (left[6], broken[6])


def test_a_log_that_ends_earlier_parts_there() -> None:
    left = [line(n, "x") for n in range(4)]
    found = parting(left, left[:1])
    assert found is not None
    assert (found.at, found.before, len(found.right)) == (1, 1, 1)
    assert parting([], left) is not None


def a_run(**changes: object) -> RunRow:
    quiet = RunRow(
        id=1, job="reconcile-pending", schedule=None, slot=None, trigger="manual", triggered_by="ada@nexafx.com",
        reason=None, params={}, dry_run=False, state="succeeded", attempt=1, attempt_token=None, retry_of=None,
        worker_id=None, host=None, queued_at=NOON, started_at=NOON, beat_at=NOON, finished_at=NOON, stop_by=None,
        counters={}, progress_done=None, progress_total=None, error_class=None, error=None, trace=None,
    )  # fmt: skip
    return replace(quiet, **changes)  # type: ignore[arg-type]  # the tests name the fields


def test_parameters_that_differ_come_first_and_what_one_lacks_is_none() -> None:
    rows = parameters(a_run(params={"limit": 5, "same": "x"}), a_run(params={"same": "x", "more": [1]}, dry_run=True))
    assert [(row.name, row.left, row.right) for row in rows if row.differs] == [
        ("limit", "5", None), ("more", None, "[1]"), ("Dry run", "no", "yes"),
    ]  # fmt: skip
    assert [row.name for row in rows if not row.differs] == ["same"]


def test_counters_stand_side_by_side_without_those_that_are_nothing_in_both() -> None:
    found = counters(a_run(counters={"seen": 5, "cases": 0}), a_run(counters={"settled": 2}))
    assert found == (("seen", 5, 0), ("settled", 0, 2))
