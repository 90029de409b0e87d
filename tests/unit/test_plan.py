"""The planner: whichever way costs the fewest requests, and never more than one a row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.horizon.model import Watermark
from jobs.reconcile.density import Known, Stretch, newest
from jobs.reconcile.plan import NETWORK, PROBE_FROM, Age, Group, Plan, close_time, make_plan, to_probe, to_sample

LATEST = 1_000_000
THEN = datetime(2026, 1, 1, tzinfo=UTC)


def ages(*pairs: tuple[int, int]) -> tuple[Age, ...]:
    """Rows by how many ledgers ago they may have landed, oldest first."""
    return tuple(Age(LATEST - ago, rows, THEN - timedelta(seconds=5 * ago), LATEST - ago) for ago, rows in pairs)


def known(density: int, reaches: int) -> Known:
    """What a newest page tells that covers all from ledger `reaches` on."""
    return Known((Stretch(reaches, 2**32, 200, density, 0),))


def ways(plan: Plan) -> tuple[dict[str, tuple[int, int]], int]:
    """Rows and pages of each scope that is read, and the rows by hash."""
    return {it.scope: (it.rows, it.pages) for it in plan.readings}, plan.by_hash


@pytest.mark.parametrize(
    ("waiting", "told", "expected"),
    [
        pytest.param([(1000, 2000)], known(2000, LATEST - 90), ({"G": (2000, 11)}, 0), id="many rows, few pages"),
        pytest.param([(1000, 3)], known(2000, LATEST - 90), ({}, 3), id="few rows, many pages"),
        pytest.param([(1000, 3)], None, ({}, 3), id="nothing is known about the account"),
        pytest.param([(50, 30)], known(2000, LATEST - 90), ({}, 30), id="the newest page has shown them already"),
        pytest.param([(50, 30)], known(0, 0), ({}, 30), id="the newest page is all there is"),
        pytest.param(
            [(500_000, 4), (1000, 2000)], known(2000, LATEST - 90), ({"G": (2000, 11)}, 4), id="stragglers by hash"
        ),
    ],
)
def test_a_group_goes_the_way_that_costs_least(
    waiting: list[tuple[int, int]], told: Known | None, expected: tuple[dict[str, tuple[int, int]], int]
) -> None:
    plan = make_plan([Group("G", ages(*waiting))], {"G": told} if told else {})
    assert ways(plan) == expected


def test_very_many_rows_over_many_accounts_go_by_the_networks_pages() -> None:
    groups = [Group(f"G{number}", ages((100, 4))) for number in range(1000)]
    assert ways(make_plan(groups, {})) == ({}, 4000)
    assert ways(make_plan(groups, {NETWORK: known(200_000, LATEST)})) == ({NETWORK: (4000, 101)}, 0)


@pytest.mark.parametrize(
    ("network", "read"),
    [
        pytest.param(18_000, {"G0", "G1"}, id="a page or two less are not worth reading one after another"),
        pytest.param(14_000, {NETWORK}, id="many pages less are"),
    ],
)
def test_accounts_are_read_at_the_same_time_unless_the_network_costs_clearly_less(network: int, read: set[str]) -> None:
    groups = [Group(scope, ages((1000, 900))) for scope in ("G0", "G1")]
    told = {"G0": known(9000, LATEST), "G1": known(9000, LATEST), NETWORK: known(network, LATEST)}
    assert ways(make_plan(groups, told))[0].keys() == read


def test_a_long_reading_of_an_account_is_probed_where_it_begins_before_the_network_is_thought_of() -> None:
    long, short = Group("G0", ages((1000, 5000))), Group("G1", ages((1000, 300)))
    told = {"G0": known(25_000, LATEST - 90), "G1": known(200, LATEST - 90)}
    plan = make_plan([long, short], told)
    assert ways(plan)[0].keys() == {"G0", "G1"}
    assert to_probe([long, short], told, plan, pages=PROBE_FROM) == {"G0": LATEST - 1000}


def test_rows_that_only_a_hash_can_help_are_part_of_every_plan() -> None:
    assert make_plan([], {}, others=7).requests == 7


def test_only_accounts_that_rows_share_are_sampled_the_fullest_first() -> None:
    groups = [Group("few", ages((9, 4))), Group("some", ages((9, 5))), Group("many", ages((99, 3), (9, 5)))]
    assert to_sample(groups) == ["many", "some"]


def test_the_newest_page_tells_density_and_reach() -> None:
    tokens = [(LATEST - number // 2) << 32 | number % 2 for number in range(200)]
    (told,) = newest(tokens, full=True).stretches
    assert (told.since, told.count, told.begins) == (LATEST - 98, 198, 2000)
    assert newest(tokens, full=False).reaches == newest([], full=False).reaches == 0


def test_the_distance_of_ledgers_is_measured_over_all_that_the_server_remembers() -> None:
    mark = Watermark("s", 1000, THEN, 400, THEN - timedelta(seconds=3600), behind=False)
    assert close_time(mark) == timedelta(seconds=6)
    assert close_time(Watermark("s", 1000, THEN, 1000, THEN, behind=False)) == timedelta(seconds=5)


@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 10**6), st.integers(1, 10**4)), min_size=1, max_size=6, unique_by=lambda a: a[0]
        ),
        max_size=5,
    ),
    st.dictionaries(
        st.sampled_from(["G0", "G1", "G2", NETWORK]), st.builds(known, st.integers(0, 10**6), st.integers(0, LATEST))
    ),
    st.integers(0, 50),
)
def test_no_plan_costs_more_than_asking_each_row_by_its_hash_and_none_forgets_a_row(
    shapes: list[list[tuple[int, int]]], told: dict[str, Known], others: int
) -> None:
    groups = [Group(f"G{number}", ages(*sorted(shape, reverse=True))) for number, shape in enumerate(shapes)]
    plan = make_plan(groups, told, others=others)
    rows = others + sum(group.rows for group in groups)
    assert plan.by_hash + sum(reading.rows for reading in plan.readings) == rows
    assert plan.requests <= rows
