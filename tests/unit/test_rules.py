"""The tables of reconciliation: each answer of Horizon, and what may follow from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from jobs.horizon.model import (
    Address,
    Answer,
    Asset,
    Memo,
    Operation,
)
from jobs.reconcile.picture import Verdict
from jobs.reconcile.rules import decide
from tests.unit.pictures import (
    EXPIRED,
    HASH,
    ISSUER,
    NOW,
    OTHER,
    SERVER,
    STRANGER,
    USDC,
    USER,
    XLM,
    a_look,
    a_payment,
    a_picture,
    a_row,
    absent_twice,
    found,
    included,
    signed,
)


def test_a_success_that_matches_in_everything_settles_and_names_its_operation() -> None:
    decision = decide(a_picture(found(included(a_payment(0, destination=STRANGER), a_payment(1)))))
    assert (decision.verdict, decision.canonical, decision.operation) == (Verdict.SUCCESS, HASH, 1)
    assert decision.proof["server"] == SERVER
    assert decision.proof["ledger"] == 1000


@pytest.mark.parametrize("kind", ["payment", "path_payment_strict_receive", "path_payment_strict_send"])
def test_every_kind_of_payment_counts_by_what_was_received(kind: str) -> None:
    assert decide(a_picture(found(included(a_payment(kind=kind))))).verdict is Verdict.SUCCESS


@pytest.mark.parametrize("kind", ["create_account", "account_merge"])
def test_an_account_created_or_merged_is_a_payment_in_native(kind: str) -> None:
    row = a_row(currency="XLM", asset_issuer=None)
    transaction = included(a_payment(kind=kind, asset=XLM))
    assert decide(a_picture(found(transaction), row=row)).verdict is Verdict.SUCCESS


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (a_payment(received=105_000_001), "AMOUNT_MISMATCH"),
        (a_payment(received=104_999_999), "AMOUNT_MISMATCH"),
        (a_payment(asset=Asset("USDC", "GOTHER")), "ASSET_MISMATCH"),
        (a_payment(asset=Asset("USD", ISSUER)), "ASSET_MISMATCH"),
        (a_payment(asset=XLM), "ASSET_MISMATCH"),
        (a_payment(destination=STRANGER), "DESTINATION_MISMATCH"),
        (a_payment(destination=Address("GUSER", 0)), "DESTINATION_MISMATCH"),
        (a_payment(destination=Address("GUSER", 7)), "DESTINATION_MISMATCH"),
        (Operation(0, "manage_data", STRANGER), "DESTINATION_MISMATCH"),
        (
            Operation(0, "create_claimable_balance", STRANGER, asset=USDC, claimants=("GUSER",), offered=105_000_000),
            "CLAIMABLE_UNCLAIMED",
        ),
        (
            Operation(0, "create_claimable_balance", STRANGER, asset=XLM, claimants=("GUSER",), offered=1),
            "CLAIMABLE_UNCLAIMED",
        ),
        (
            Operation(0, "create_claimable_balance", STRANGER, asset=USDC, claimants=("GX",), offered=105_000_000),
            "DESTINATION_MISMATCH",
        ),
        (Operation(0, "claim_claimable_balance", USER, USER), "AMOUNT_MISMATCH"),
    ],
)
def test_what_differs_becomes_a_case_that_names_it(operation: Operation, reason: str) -> None:
    decision = decide(a_picture(found(included(operation))))
    assert (decision.verdict, decision.reason) == (Verdict.CASE, reason)
    assert decision.proof["expected"]
    assert decision.proof["found"]


def test_a_payment_split_over_two_operations_is_an_amount_that_differs() -> None:
    halves = included(a_payment(0, received=52_500_000), a_payment(1, received=52_500_000))
    assert decide(a_picture(found(halves))).reason == "AMOUNT_MISMATCH"


@pytest.mark.parametrize("amount", ["10.50000001", "10.49999999", "10.50000000000000000000000000000001"])
def test_an_amount_that_is_no_whole_number_of_stroops_never_matches(amount: str) -> None:
    assert decide(a_picture(found(included()), row=a_row(amount=Decimal(amount)))).reason == "AMOUNT_MISMATCH"


def test_the_largest_amount_is_compared_exactly() -> None:
    row = a_row(amount=Decimal("922337203685.47758070"))
    assert decide(a_picture(found(included(a_payment(received=2**63 - 1))), row=row)).verdict is Verdict.SUCCESS
    assert decide(a_picture(found(included(a_payment(received=2**63 - 2))), row=row)).reason == "AMOUNT_MISMATCH"


@pytest.mark.parametrize(("expected", "paid"), [(0, None), (0, 1), (7, None), (None, 0)])
def test_a_muxed_id_is_part_of_the_receiver_also_when_it_is_zero(expected: int | None, paid: int | None) -> None:
    row = a_row(receiver=Address("GUSER", expected))
    decision = decide(a_picture(found(included(a_payment(destination=Address("GUSER", paid)))), row=row))
    assert decision.reason == "DESTINATION_MISMATCH"
    same = included(a_payment(destination=Address("GUSER", expected)))
    assert decide(a_picture(found(same), row=row)).verdict is Verdict.SUCCESS


def test_a_row_that_names_no_receiver_is_never_paid() -> None:
    row = a_row(receiver=None, receiver_text=None)
    assert decide(a_picture(found(included()), row=row)).reason == "DESTINATION_MISMATCH"


def test_a_currency_without_an_issuer_is_native_only_if_it_is_xlm() -> None:
    assert decide(a_picture(found(included()), row=a_row(asset_issuer=None))).reason == "ASSET_MISMATCH"
    assert decide(a_picture(found(included()), row=a_row(asset_issuer=""))).reason == "ASSET_MISMATCH"
    issued = included(a_payment(asset=Asset("XLM", ISSUER)))
    assert decide(a_picture(found(issued), row=a_row(currency="XLM", asset_issuer=None))).reason == "ASSET_MISMATCH"


@pytest.mark.parametrize(
    ("memo_type", "memo", "chain", "matches"),
    [
        (None, None, Memo("text", "anything"), True),
        ("none", None, Memo("text", "anything"), True),
        ("none", "", Memo("none", None), True),
        ("none", "", Memo("text", "x"), False),
        ("text", "order 1", Memo("text", "order 1"), True),
        ("text", "order 1", Memo("text", "order 2"), False),
        ("text", "1", Memo("id", "1"), False),
        ("text", "order 1", Memo("none", None), False),
        ("id", "18446744073709551615", Memo("id", "18446744073709551615"), True),
        ("id", "12", Memo("id", "13"), False),
        ("id", "twelve", Memo("id", "12"), False),
        ("hash", "q83v", Memo("hash", "q83v"), True),
        ("return", "q83v", Memo("hash", "q83v"), False),
        (None, "order 1", Memo("text", "order 1"), True),
        (None, "order 1", Memo("none", None), False),
    ],
)
def test_a_memo_is_compared_by_type_and_value_when_one_is_expected(
    memo_type: str | None, memo: str | None, chain: Memo, matches: bool
) -> None:
    decision = decide(a_picture(found(included(memo=chain)), row=a_row(memo_type=memo_type, memo=memo)))
    assert decision.reason == ("included" if matches else "MEMO_MISMATCH")


def test_an_included_failure_is_final_and_carries_its_codes() -> None:
    failed = included(successful=False, result_code="tx_failed", operation_codes=("op_underfunded",))
    decision = decide(a_picture(found(failed)))
    assert (decision.verdict, decision.sentence) == (Verdict.FAILED, "tx_failed (op_underfunded)")


def test_an_envelope_of_another_network_settles_nothing() -> None:
    for successful in (True, False):
        decision = decide(a_picture(found(included(hash_proved=False, successful=successful))))
        assert (decision.verdict, decision.reason) == (Verdict.CASE, "INVALID_HASH")


def test_an_answer_about_another_hash_settles_nothing() -> None:
    assert decide(a_picture(found(included(canonical=OTHER)))).verdict is Verdict.CASE
    assert decide(a_picture(found(included(asked=OTHER, canonical=OTHER), OTHER))).verdict is Verdict.KEEP


@pytest.mark.parametrize(
    "answer",
    [
        Answer.GONE,
        Answer.RATE_LIMITED,
        Answer.UNAVAILABLE,
        Answer.TIMEOUT,
        Answer.REFUSED,
        Answer.GARBLED,
        Answer.ABSENT,
    ],
)
def test_what_is_no_proof_keeps_the_row_pending(answer: Answer) -> None:
    assert decide(a_picture(a_look(answer))).verdict is Verdict.KEEP


def test_a_malformed_hash_is_a_case_without_a_request_or_with_a_refusal() -> None:
    for tx_hash in ("xyz", "a" * 63, "g" * 64, "٣" * 64):
        decision = decide(a_picture(row=a_row(tx_hash=tx_hash)))
        assert (decision.verdict, decision.reason, bool(decision.ask)) == (Verdict.CASE, "INVALID_HASH", False)
    assert decide(a_picture(a_look(Answer.MALFORMED))).reason == "INVALID_HASH"


def test_hashes_are_compared_in_lower_case() -> None:
    row = a_row(tx_hash=HASH.upper())
    assert decide(a_picture(row=row)).ask.hashes == (HASH,)
    assert decide(a_picture(found(included()), row=row)).verdict is Verdict.SUCCESS


@pytest.mark.parametrize("tx_hash", [None, "", "  "])
def test_a_row_without_a_hash_waits_an_hour_and_becomes_a_case(tx_hash: str | None) -> None:
    young = a_row(tx_hash=tx_hash, created_at=NOW - timedelta(minutes=60))
    old = a_row(tx_hash=tx_hash, created_at=NOW - timedelta(minutes=60, seconds=1))
    assert decide(a_picture(row=young)).verdict is Verdict.KEEP
    assert decide(a_picture(row=old)).reason == "NO_HASH"


def test_a_frozen_server_changes_nothing() -> None:
    for looks in ((found(included()),), absent_twice()):
        picture = a_picture(*looks, envelope=signed(max_time=EXPIRED), frozen="another network")
        assert decide(picture).reason == "frozen"


def test_a_row_older_than_the_retention_is_beyond_what_the_server_can_know() -> None:
    looks = absent_twice(elder_closed_at=NOW - timedelta(minutes=4))
    assert decide(a_picture(*looks, envelope=signed(max_time=EXPIRED))).reason == "BEYOND_HISTORY"
    assert decide(a_picture(*looks, canary=False)).reason == "no_canary"


@pytest.mark.parametrize(("later", "known"), [(timedelta(0), True), (timedelta(microseconds=1), False)])
def test_retention_reaches_back_to_a_row_that_is_no_older_than_the_elder_ledger(later: timedelta, known: bool) -> None:
    looks = absent_twice(elder_closed_at=NOW - timedelta(minutes=5) + later)
    decision = decide(a_picture(*looks, envelope=signed(max_time=EXPIRED)))
    assert (decision.verdict is Verdict.FAILED, decision.reason == "BEYOND_HISTORY") == (known, not known)


def test_an_old_absent_row_without_an_envelope_is_a_case_and_never_a_failure() -> None:
    old = a_row(created_at=NOW - timedelta(hours=24, seconds=1))
    assert decide(a_picture(*absent_twice(), row=old)).reason == "EXPIRED_UNPROVEN"
    young = a_row(created_at=NOW - timedelta(hours=24))
    assert decide(a_picture(*absent_twice(), row=young)).verdict is Verdict.KEEP


def test_on_a_server_that_lists_no_transaction_an_absence_may_call_a_person_but_proves_nothing() -> None:
    old = a_row(created_at=NOW - timedelta(hours=30))
    absent = replace(a_picture(*absent_twice()), canary=False, lists_nothing=True)
    assert decide(replace(absent, row=old)).reason == "EXPIRED_UNPROVEN"
    assert decide(absent).verdict is Verdict.KEEP
    expired = replace(absent, envelope=signed(max_time=EXPIRED))
    assert decide(expired).verdict is Verdict.KEEP
    assert decide(replace(expired, row=old)).reason == "EXPIRED_UNPROVEN"
    assert decide(replace(expired, canary=True, lists_nothing=False)).verdict is Verdict.FAILED


def test_a_record_that_cannot_be_read_waits_a_day_and_becomes_a_case_where_the_server_shows_others_well() -> None:
    unread = a_look(Answer.GARBLED)
    old, young = a_row(created_at=NOW - timedelta(hours=24, seconds=1)), a_row(created_at=NOW - timedelta(hours=24))
    assert decide(a_picture(unread, row=young)).reason == "unreadable"
    decision = decide(a_picture(unread, row=old))
    assert (decision.verdict, decision.reason) == (Verdict.CASE, "EXPIRED_UNPROVEN")
    assert "said the server" in decision.sentence
    assert decide(a_picture(unread, row=old, canary=False)).reason == "garbled"
    assert decide(a_picture(a_look(Answer.TIMEOUT), row=old)).reason == "timeout"


def test_every_case_says_what_was_expected_and_what_was_found() -> None:
    old = timedelta(hours=30)
    pictures = [
        a_picture(row=a_row(tx_hash=None, created_at=NOW - old)),
        a_picture(row=a_row(tx_hash="no hash")),
        a_picture(a_look(Answer.MALFORMED)),
        a_picture(*absent_twice(), row=a_row(created_at=NOW - old)),
        a_picture(*absent_twice(elder_closed_at=NOW)),
        a_picture(found(included(hash_proved=False))),
        a_picture(found(included(a_payment(received=1)))),
    ]
    for decision in map(decide, pictures):
        assert decision.verdict is Verdict.CASE
        assert {"expected", "found"} <= decision.proof.keys(), decision.reason


def test_an_old_absent_row_that_may_still_land_keeps_waiting() -> None:
    old = a_row(created_at=NOW - timedelta(hours=30))
    later = int((NOW + timedelta(hours=1)).timestamp())
    waiting = a_picture(*absent_twice(), row=old, envelope=signed(max_time=later), account_asked=True)
    assert decide(waiting).verdict is Verdict.KEEP
    for_ever = a_picture(*absent_twice(), row=old, envelope=signed(), account_asked=True)
    assert decide(for_ever).reason == "EXPIRED_UNPROVEN"


def test_swaps_and_settled_rows_are_left_alone() -> None:
    assert decide(a_picture(found(included()), row=a_row(type="SWAP"))).reason == "not_ours"
    assert decide(a_picture(found(included()), row=a_row(status="SUCCESS"))).reason == "not_ours"
    assert decide(a_picture(found(included()), row=a_row(status="CANCELLED"))).reason == "not_ours"


def test_a_failed_row_moves_only_on_proof_of_success() -> None:
    failed_row = a_row(status="FAILED")
    assert decide(a_picture(found(included()), row=failed_row)).verdict is Verdict.SUCCESS
    again = found(included(successful=False))
    assert decide(a_picture(again, row=failed_row)).verdict is Verdict.KEEP
    never = a_picture(*absent_twice(), row=failed_row, envelope=signed(max_time=EXPIRED))
    assert decide(never).verdict is Verdict.KEEP
    assert decide(a_picture(row=a_row(status="FAILED", tx_hash="xyz"))).verdict is Verdict.KEEP
    assert decide(a_picture(found(included(a_payment(received=1))), row=failed_row)).reason == "AMOUNT_MISMATCH"


# Once --------------------------------------------------------------------------------------------------------


def test_of_rows_that_claim_one_operation_the_oldest_is_paid() -> None:
    old, young = a_row(1, created_at=NOW - timedelta(hours=2)), a_row(2)
    assert decide(a_picture(found(included()), row=old, siblings=(young,))).verdict is Verdict.SUCCESS
    assert decide(a_picture(found(included()), row=young, siblings=(old,))).reason == "HASH_REUSED"


def test_rows_on_one_hash_are_paid_by_different_operations() -> None:
    rows = [a_row(number, created_at=NOW - timedelta(hours=5 - number)) for number in (1, 2, 3)]
    transaction = included(a_payment(0), a_payment(1))
    decisions = [
        decide(a_picture(found(transaction), row=row, siblings=tuple(other for other in rows if other is not row)))
        for row in rows
    ]
    assert [decision.operation for decision in decisions] == [0, 1, None]
    assert decisions[2].reason == "HASH_REUSED"


def test_an_operation_that_was_claimed_long_ago_pays_nobody_else() -> None:
    picture = a_picture(found(included()), claims={0: UUID(int=9)})
    assert decide(picture).reason == "HASH_REUSED"


def test_a_row_settled_before_claims_were_kept_holds_its_operation() -> None:
    settled = a_row(9, status="SUCCESS", created_at=NOW)
    assert decide(a_picture(found(included()), siblings=(settled,))).reason == "HASH_REUSED"
    rounded = replace(settled, amount=Decimal("10.49"))
    assert decide(a_picture(found(included()), siblings=(rounded,))).reason == "HASH_REUSED"
    elsewhere = replace(settled, receiver=STRANGER)
    assert decide(a_picture(found(included()), siblings=(elsewhere,))).verdict is Verdict.SUCCESS


def test_a_row_keeps_its_own_claim() -> None:
    picture = a_picture(found(included(a_payment(0), a_payment(1))), claims={1: UUID(int=1), 0: UUID(int=9)})
    assert decide(picture).operation == 1


def test_rows_that_could_not_be_paid_themselves_hold_nothing() -> None:
    early = NOW - timedelta(hours=2)
    for other in (
        a_row(2, created_at=early, amount=Decimal(3)),
        a_row(2, created_at=early, memo_type="text", memo="x"),
        a_row(2, created_at=early, type="SWAP"),
        a_row(2, created_at=early, status="CANCELLED"),
        a_row(2, created_at=early, status="FAILED"),
    ):
        assert decide(a_picture(found(included()), siblings=(other,))).verdict is Verdict.SUCCESS
