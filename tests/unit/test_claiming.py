"""Claimable balances: what was claimed counts as received by whoever claimed it, and only on proof."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from jobs.horizon.model import Address, Answer, Lookup, Operation
from jobs.reconcile.picture import Ask, CaseReason, Verdict
from jobs.reconcile.rules import decide
from tests.unit.pictures import HASH, OTHER, SERVER, STRANGER, USDC, USER, a_picture, a_row, found, included

BALANCE = "00000000" + "d" * 64
CREATED = Operation(
    0, "create_claimable_balance", STRANGER, asset=USDC, claimants=("GUSER",), offered=105_000_000, balance_id=BALANCE
)
CLAIM = Operation(0, "claim_claimable_balance", USER, USER, balance_id=BALANCE)


def claimed(operation: Operation = CLAIM, **changes: object) -> dict[str, list[Lookup]]:
    """What the server lists beside the balance: its creation, and a claim."""
    claim = included(operation, asked=OTHER, canonical=OTHER, **changes)
    return {
        BALANCE: [
            Lookup(OTHER, Answer.FOUND, SERVER, 200, "", claim),
            Lookup(HASH, Answer.FOUND, SERVER, 200, "", included(CREATED)),
        ]
    }


def test_a_created_balance_asks_for_its_claim_once() -> None:
    waiting = a_picture(found(included(CREATED)))
    decision = decide(waiting)
    assert (decision.reason, decision.ask) == (CaseReason.CLAIMABLE_UNCLAIMED, Ask(balances=(BALANCE,)))
    asked = decide(replace(waiting, claimings={BALANCE: []}))
    assert (asked.reason, bool(asked.ask)) == (CaseReason.CLAIMABLE_UNCLAIMED, False)


def test_a_claimed_balance_pays_the_row_under_its_creation_and_names_the_claim() -> None:
    decision = decide(a_picture(found(included(CREATED)), claimings=claimed()))
    assert (decision.verdict, decision.canonical, decision.operation) == (Verdict.SUCCESS, HASH, 0)
    assert (decision.proof["claimed_by"], decision.proof["claimed_in_ledger"]) == (OTHER, 1000)


@pytest.mark.parametrize(
    ("claimings", "reason"),
    [
        (claimed(hash_proved=False), CaseReason.CLAIMABLE_UNCLAIMED),
        (claimed(successful=False), CaseReason.CLAIMABLE_UNCLAIMED),
        (claimed(replace(CLAIM, balance_id="00000000" + "e" * 64)), CaseReason.CLAIMABLE_UNCLAIMED),
        (claimed(replace(CLAIM, kind="clawback_claimable_balance")), CaseReason.CLAIMABLE_UNCLAIMED),
        (claimed(replace(CLAIM, destination=STRANGER)), CaseReason.DESTINATION_MISMATCH),
    ],
    ids=["an envelope of another hash", "a failed claim", "another balance", "taken back", "somebody else"],
)
def test_nothing_less_than_a_proved_claim_by_the_receiver_pays(
    claimings: dict[str, list[Lookup]], reason: CaseReason
) -> None:
    decision = decide(a_picture(found(included(CREATED)), claimings=claimings))
    assert (decision.verdict, decision.reason) == (Verdict.CASE, reason)


def test_what_was_claimed_is_compared_like_any_payment() -> None:
    more = a_picture(found(included(CREATED)), row=a_row(amount=Decimal(11)), claimings=claimed())
    assert decide(more).reason == CaseReason.AMOUNT_MISMATCH
    muxed = a_row(receiver=Address("GUSER", 7))
    assert decide(a_picture(found(included(CREATED)), row=muxed, claimings=claimed())).verdict is Verdict.CASE
