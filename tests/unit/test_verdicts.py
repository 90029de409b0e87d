"""What a person may decide about which case: a table, and the one payment that can be meant."""

from __future__ import annotations

from decimal import Decimal

import pytest

from jobs.core.permissions import GRANTS, Role
from jobs.reconcile.picture import CaseReason
from jobs.reconcile.verdicts import RIGHTS, Choice, Payment, choices, payment, payments

A, F, C, L, W = Choice.ACCEPT, Choice.FAIL, Choice.CANCEL, Choice.LINK, Choice.WAIT
ME = "GBBOAVYXIIH2JBGXGC7UBORYU5WGSMLMTYMQ4XLYM4C2KVHBY2DT3JS7"
OTHER = "GAAZI4TCR3TY5OJHCTJC2A4QSY6CJWJH5IAJTGKIN2ER7LBNVKOCCWN7"


@pytest.mark.parametrize(
    ("reason", "deposit", "withdrawal"),
    [
        (CaseReason.AMOUNT_MISMATCH, (A, L, W), (A, L, W)),
        (CaseReason.ASSET_MISMATCH, (A, L, W), (L, W)),
        (CaseReason.DESTINATION_MISMATCH, (A, C, L, W), (A, L, W)),
        (CaseReason.MEMO_MISMATCH, (A, L, W), (A, L, W)),
        (CaseReason.CLAIMABLE_UNCLAIMED, (A, L, W), (A, L, W)),
        (CaseReason.HASH_REUSED, (C, L, W), (C, L, W)),
        (CaseReason.NO_HASH, (F, L, W), (F, L, W)),
        (CaseReason.INVALID_HASH, (F, L, W), (F, L, W)),
        (CaseReason.BEYOND_HISTORY, (F, L, W), (F, L, W)),
        (CaseReason.EXPIRED_UNPROVEN, (F, L, W), (F, L, W)),
        (CaseReason.REFUND_SPENT, (L, W), (L, W)),
    ],
)
def test_a_reason_says_what_may_be_decided_about_a_pending_row(
    reason: CaseReason, deposit: tuple[Choice, ...], withdrawal: tuple[Choice, ...]
) -> None:
    assert choices(reason, "DEPOSIT", "PENDING") == deposit
    assert choices(reason, "WITHDRAW", "PENDING") == withdrawal


def test_what_failed_can_only_be_accepted_and_what_is_settled_only_wait() -> None:
    assert choices(CaseReason.AMOUNT_MISMATCH, "WITHDRAW", "FAILED") == (A, W)
    assert choices(CaseReason.REFUND_SPENT, "WITHDRAW", "FAILED") == (A, W), "once the balance covers it"
    for kind, status in (("DEPOSIT", "SUCCESS"), ("DEPOSIT", "CANCELLED"), ("SWAP", "PENDING")):
        assert choices(CaseReason.AMOUNT_MISMATCH, kind, status) == (W,)


def test_whoever_may_only_let_cases_wait_moves_no_money() -> None:
    on_call = {choice for choice, right in RIGHTS.items() if right in GRANTS[Role.ON_CALL]}
    assert on_call == {Choice.WAIT}
    assert {role for role, rights in GRANTS.items() if RIGHTS[A] in rights} == {Role.DEVOPS, Role.ADMINISTRATOR}


def told(*operations: dict[str, object], expected: str = "10.50000000") -> dict[str, object]:
    numbered = [{"index": number, "asset": "XLM", "destination": ME} | one for number, one in enumerate(operations)]
    return {
        "expected": {"destination": ME, "asset": "XLM", "amount": expected},
        "found": {"memo": None, "operations": numbered},
    }


@pytest.mark.parametrize(
    ("reason", "details", "meant"),
    [
        ("AMOUNT_MISMATCH", told({"received": "10.0000000"}), Payment(0, Decimal(10), "XLM")),
        ("AMOUNT_MISMATCH", told({"received": "1"}, {"received": "2"}), None),
        ("AMOUNT_MISMATCH", told({"received": "1", "destination": OTHER}, {"received": "2"}), Payment(1, Decimal(2), "XLM")),
        ("AMOUNT_MISMATCH", told({"received": "1", "asset": "USDC:G"}), None),
        ("ASSET_MISMATCH", told({"received": "1", "asset": "USDC:G"}), Payment(0, Decimal(1), "USDC:G")),
        ("DESTINATION_MISMATCH", told({"received": "1", "destination": OTHER}), Payment(0, Decimal(1), "XLM")),
        ("DESTINATION_MISMATCH", told({"received": "1", "destination": OTHER}, {"received": "2"}), None),
        ("MEMO_MISMATCH", told({"received": "10.5"}, {"received": "3"}), Payment(0, Decimal("10.5"), "XLM")),
        ("MEMO_MISMATCH", told({"received": "10.5"}, {"received": "10.5"}), None),
        ("CLAIMABLE_UNCLAIMED", told({"offered": "4", "destination": None, "claimants": [ME]}), Payment(0, Decimal(4), "XLM")),
        ("CLAIMABLE_UNCLAIMED", told({"offered": "4", "claimants": [OTHER]}), None),
        ("AMOUNT_MISMATCH", told({"received": "0.0000000"}), None),
        ("AMOUNT_MISMATCH", told({"received": "NaN"}), None),
        ("AMOUNT_MISMATCH", told(*[{"received": "1", "destination": OTHER}] * 19, {"received": "2"}), None),
        ("AMOUNT_MISMATCH", {}, None),
        ("AMOUNT_MISMATCH", {"expected": 5, "found": "absent"}, None),
        ("AMOUNT_MISMATCH", {"expected": {"destination": 7}, "found": {"operations": [1, {"received": "1"}]}}, None),
    ],
)  # fmt: skip
def test_a_payment_can_be_accepted_only_if_it_is_the_only_one_that_can_be_meant(
    reason: str, details: dict[str, object], meant: Payment | None
) -> None:
    assert payment(reason, details) == meant


def test_of_equal_payments_that_were_expected_a_person_chooses_and_of_parts_none_is_the_payment() -> None:
    equal = told({"received": "10.5"}, {"received": "3"}, {"received": "10.5"})
    assert payments("MEMO_MISMATCH", equal) == (Payment(0, Decimal("10.5"), "XLM"), Payment(2, Decimal("10.5"), "XLM"))
    assert payments("AMOUNT_MISMATCH", told({"received": "5"}, {"received": "5"})) == ()
