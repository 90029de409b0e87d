"""The decisions of integrity by table: what is drift, and what a look at a settled row says about its status."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest

from jobs.horizon.model import Asset, Holdings
from jobs.integrity import drift
from jobs.integrity.drift import Books, compare
from jobs.integrity.verdict import Standing, judge
from jobs.reconcile.picture import CaseReason, Decision, Verdict

ACCOUNT = "GA"
ISSUER = "GISSUER"
XLM = Asset("XLM", None)


def books(
    amount: str = "12", *, pending: str = "0", recent: str = "0", currency: str = "XLM", issuer: str = ""
) -> Books:
    return Books(ACCOUNT, currency, issuer, Decimal(amount), Decimal(pending), Decimal(recent), 1, UUID(int=1))


@pytest.mark.parametrize(
    ("kept", "stroops", "tolerance", "expected"),
    [
        (books(), 120_000_000, "0", "agrees"),
        (books(), 120_000_001, "0", "drifts"),
        (books(), 119_999_999, "0", "drifts"),
        (books("12.00000009"), 120_000_000, "0", "agrees"),  # less than a stroop exists on no chain
        (books("12.0000001"), 120_000_000, "0", "drifts"),
        (books(pending="3"), 150_000_000, "0", "in motion"),
        (books(pending="3"), 150_000_001, "0", "drifts"),
        (books(pending="3"), 119_999_999, "0", "drifts"),  # nothing that is pending takes money away
        (books(recent="3"), 90_000_000, "0", "in motion"),
        (books(recent="3"), 150_000_000, "0", "in motion"),
        (books(recent="3"), 89_999_999, "0", "drifts"),
        (books(pending="3", recent="3"), 180_000_000, "0", "in motion"),
        (books(), 119_000_000, "0.1", "agrees"),
        (books(), 118_999_999, "0.1", "drifts"),
    ],
)
def test_only_what_is_in_motion_explains_a_difference(kept: Books, stroops: int, tolerance: str, expected: str) -> None:
    [compared] = compare([kept], Holdings(ACCOUNT, {XLM: stroops}, 7))
    assert compared.standing(Decimal(tolerance)) == expected


def test_an_asset_is_its_code_and_its_issuer() -> None:
    kept = [books(currency="USDC", issuer=ISSUER), books(currency="USDC", issuer="GOTHER"), books(currency="EUR")]
    found = compare(kept, Holdings(ACCOUNT, {Asset("USDC", ISSUER): 120_000_000, Asset("SPAM", ISSUER): 5}, 7))
    assert [(one.books.asset_issuer, one.chain) for one in found] == [(ISSUER, 12), ("GOTHER", 0)]


def test_a_finding_says_how_much_and_in_which_direction() -> None:
    [more] = compare([books("1000")], Holdings(ACCOUNT, {XLM: 10_000_000_500}, 7))
    found = drift.finding(more)
    assert found.sentence == "The wallet holds 0.00005 XLM more than the books say"
    assert (found.expected, found.actual, found.difference) == ("1000", "1000.00005", Decimal("0.00005"))


@pytest.mark.parametrize(
    ("status", "verdict", "reason", "expected"),
    [
        ("SUCCESS", Verdict.SUCCESS, "included", Standing.CONFIRMED),
        ("SUCCESS", Verdict.FAILED, "included_failed", Standing.CONTRADICTED),
        ("SUCCESS", Verdict.FAILED, "time_bounds", Standing.CONTRADICTED),
        ("SUCCESS", Verdict.CASE, CaseReason.AMOUNT_MISMATCH, Standing.CONTRADICTED),
        ("SUCCESS", Verdict.CASE, CaseReason.HASH_REUSED, Standing.CONTRADICTED),
        ("SUCCESS", Verdict.CASE, CaseReason.EXPIRED_UNPROVEN, Standing.CONTRADICTED),
        ("SUCCESS", Verdict.CASE, CaseReason.BEYOND_HISTORY, Standing.UNKNOWN),
        ("SUCCESS", Verdict.CASE, CaseReason.NO_HASH, Standing.UNKNOWN),
        ("SUCCESS", Verdict.KEEP, "absent", Standing.UNKNOWN),
        ("SUCCESS", Verdict.KEEP, "timeout", Standing.UNKNOWN),
        ("FAILED", Verdict.FAILED, "included_failed", Standing.CONFIRMED),
        ("FAILED", Verdict.SUCCESS, "included", Standing.CONTRADICTED),
        ("FAILED", Verdict.CASE, CaseReason.AMOUNT_MISMATCH, Standing.CONTRADICTED),
        ("FAILED", Verdict.CASE, CaseReason.EXPIRED_UNPROVEN, Standing.UNKNOWN),
        ("FAILED", Verdict.CASE, CaseReason.HASH_REUSED, Standing.UNKNOWN),
        ("FAILED", Verdict.CASE, CaseReason.INVALID_HASH, Standing.UNKNOWN),
        ("FAILED", Verdict.KEEP, "absent", Standing.UNKNOWN),
    ],
)
def test_silence_is_no_proof_and_only_proof_contradicts(
    status: str, verdict: Verdict, reason: str, expected: Standing
) -> None:
    assert judge(status, Decision(verdict, reason, "A sentence.")) is expected


def test_a_record_that_cannot_be_read_contradicts_nothing() -> None:
    unread = Decision(Verdict.CASE, CaseReason.EXPIRED_UNPROVEN, "A sentence.", {"answer": "garbled"})
    assert judge("SUCCESS", unread) is Standing.UNKNOWN
