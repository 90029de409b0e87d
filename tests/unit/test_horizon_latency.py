from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.horizon.latency import BOUNDS_MS, SIZE, bucket_of, merge, percentile

latencies = st.lists(st.floats(0, 60_000), min_size=1, max_size=200)


def histogram(values: list[float]) -> list[int]:
    buckets = [0] * SIZE
    for value in values:
        buckets[bucket_of(value)] += 1
    return buckets


def test_a_bound_belongs_to_the_bucket_below_it() -> None:
    assert bucket_of(2000) + 1 == bucket_of(2000.1)
    assert (bucket_of(0), bucket_of(10**9)) == (0, SIZE - 1)


def test_without_requests_there_is_no_percentile() -> None:
    assert percentile([0] * SIZE, 0.95) is None


@given(values=latencies, q=st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_stays_in_the_bucket_of_the_true_one(values: list[float], q: float) -> None:
    found = percentile(histogram(values), q)
    assert found is not None
    ordered = sorted(values)
    true = min(ordered[next(i for i in range(len(ordered)) if i + 1 >= q * len(ordered))], BOUNDS_MS[-1] + 1)
    bucket = bucket_of(true)
    low = BOUNDS_MS[bucket - 1] if bucket else 0
    high = BOUNDS_MS[min(bucket, len(BOUNDS_MS) - 1)]
    assert low <= found <= high


@given(values=latencies)
def test_percentiles_do_not_fall_with_their_share(values: list[float]) -> None:
    buckets = histogram(values)
    found = [percentile(buckets, q) or 0 for q in (0, 0.25, 0.5, 0.75, 0.95, 0.99, 1)]
    assert found == sorted(found)


@given(first=latencies, second=latencies)
def test_merged_histograms_are_the_histogram_of_all(first: list[float], second: list[float]) -> None:
    assert merge([histogram(first), histogram(second)]) == histogram(first + second)


def test_a_histogram_with_other_bounds_is_not_merged() -> None:
    with pytest.raises(ValueError, match=r"zip\(\)"):
        merge([[1, 2, 3]])
