"""Which failures are the same one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.run.failures import Failure, group_key, grouped, without_particulars

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
ACCOUNT = "GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ"


def failure(id_: int, error: str | None, job: str = "reconcile-pending", error_class: str | None = "TransientError",
            state: str = "failed") -> Failure:  # fmt: skip
    return Failure(id_, job, state, error_class, error, NOON + timedelta(minutes=id_))


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("Horizon answers 503 after 12.5 s\nand more", "Horizon answers 503 after # s"),
        ("row 1,204 of 9 at 10.0.0.7:5432", "row # of # at #"),
        ("no account 6b1f0d3e-33c4-4f0e-9a51-0b8f4bb1c7aa", "no account (id)"),
        (f"{ACCOUNT} has no trustline", "(account) has no trustline"),
        (f"transaction {'3389e9f0' * 8} failed", "transaction (hash) failed"),
        ("<object at 0x7f3a>", "<object at (hash)>"),
        ("late since 2026-11-28T12:00:05.123Z", "late since (time)"),
        ("deadbeef is a word, feedback too", "deadbeef is a word, feedback too"),
        ("it answers 12345", "it answers #"),
        ("  \n\n first words", "first words"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_differs_from_run_to_run_is_taken_out(message: str, said: str) -> None:
    assert without_particulars(message) == said


@given(st.integers(0, 10**30), st.uuids(), st.integers(0, 10**9), st.uuids())
def test_numbers_and_ids_make_no_new_group(one: int, left: UUID, other: int, right: UUID) -> None:
    first, second = f"row {one} of {left} is odd", f"row {other} of {right} is odd"
    assert group_key(failure(1, first)) == group_key(failure(2, second))


@given(st.text(max_size=400))
def test_a_group_is_its_own_group(message: str) -> None:
    said = without_particulars(message)
    assert "\n" not in said
    assert without_particulars(said) == said or len(said) >= 300


def test_another_status_or_class_is_another_group() -> None:
    keys = {
        group_key(failure(1, "Horizon answers 503")),
        group_key(failure(2, "Horizon answers 429")),
        group_key(failure(3, "Horizon answers 503", error_class="NexaError")),
        group_key(failure(4, None, state="lost", error_class=None)),
        group_key(failure(5, None, state="timed_out", error_class=None)),
    }
    assert len(keys) == 5


def test_groups_say_how_often_since_when_where_and_the_newest_comes_first() -> None:
    found = grouped(
        [failure(1, "row 1 is odd"), failure(9, "gone", "retry-failed"), failure(4, "row 7 is odd", "verify-ledger"),
         failure(6, "row 9 is odd")]
    )  # fmt: skip
    assert [group.message for group in found] == ["gone", "row # is odd"]
    odd = found[1]
    assert (odd.runs, odd.jobs) == ((6, 4, 1), ("reconcile-pending", "verify-ledger"))
    assert (odd.first, odd.last) == (NOON + timedelta(minutes=1), NOON + timedelta(minutes=6))
    assert odd.newest.error == "row 9 is odd"
