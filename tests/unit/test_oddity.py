"""Rows that nobody foresaw: each becomes a case whose sentence says what is odd and what to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.horizon.model import Answer
from jobs.reconcile.oddity import MOST, brief
from jobs.reconcile.picture import Verdict
from jobs.reconcile.rules import decide, hash_to_ask
from tests.unit.pictures import (
    EXPIRED,
    HASH,
    ISSUER,
    NOW,
    a_look,
    a_payment,
    a_picture,
    a_row,
    absent_twice,
    found,
    included,
    signed,
)

ODD = [
    ({"user_id": None}, "no user"),
    ({"type": None}, "type is empty"),
    ({"type": "deposit"}, "type is 'deposit'"),
    ({"amount": None}, "no number"),
    ({"amount": Decimal("NaN")}, "no number"),
    ({"amount": Decimal("Infinity")}, "no number"),
    ({"amount": Decimal(0)}, "above zero"),
    ({"amount": Decimal("-10.5")}, "amount is -10.5"),
    ({"amount": MOST + Decimal("0.0000001")}, "more than Stellar can move"),
    ({"currency": None}, "currency is empty"),
    ({"currency": ""}, "currency is ''"),
    ({"currency": "USDC "}, "currency is 'USDC '"),
    ({"currency": "US-DC"}, "1 to 12 letters and digits"),
    ({"currency": "ÜSDC"}, "1 to 12 letters and digits"),
    ({"currency": "A" * 13}, "1 to 12 letters and digits"),
    ({"asset_issuer": "GISSUER"}, "issuer is 'GISSUER'"),
    ({"asset_issuer": ISSUER.lower()}, "no account"),
    ({"created_at": None}, "when it was created"),
    ({"created_at": NOW + timedelta(minutes=11)}, "in the future"),
    ({"created_at": datetime(9999, 12, 30, tzinfo=UTC)}, "in the future"),
    ({"created_at": datetime(1, 1, 2, tzinfo=UTC)}, "before Stellar's first ledger"),
]


@pytest.mark.parametrize(("changes", "said"), ODD)
def test_an_odd_row_is_a_case_that_says_what_is_odd_and_no_payment_settles_it(
    changes: dict[str, object], said: str
) -> None:
    row = a_row(**changes)
    for looks in ((), (found(included()),), (found(included(successful=False)),), absent_twice()):
        decision = decide(a_picture(*looks, row=row, envelope=signed(max_time=EXPIRED)))
        assert (decision.verdict, decision.reason) == (Verdict.CASE, "ODD_ROW")
        assert said in decision.sentence


@pytest.mark.parametrize(("changes", "said"), [item for item in ODD if "created_at" not in item[0]])
def test_no_request_is_spent_on_a_row_that_is_odd_in_itself(changes: dict[str, object], said: str) -> None:
    assert hash_to_ask(a_row(**changes)) is None
    assert hash_to_ask(a_row()) == HASH


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": MOST},
        {"currency": "A" * 12},
        {"currency": "x"},
        {"currency": "XLM"},
        {"currency": "XLM", "asset_issuer": None},
        {"asset_issuer": ""},
        {"memo": "x" * 10_000},
        {"receiver": None, "receiver_text": "nobody"},
        {"memo_type": "TEXT", "memo": "1"},
        {"created_at": NOW + timedelta(minutes=10)},
    ],
)
def test_what_only_differs_from_the_chain_is_left_to_the_chain(changes: dict[str, object]) -> None:
    assert decide(a_picture(row=a_row(**changes))).reason == "not_asked"


def test_an_odd_row_of_the_retry_job_stays_failed() -> None:
    for changes, _ in ODD:
        assert decide(a_picture(found(included()), row=a_row(status="FAILED", **changes))).verdict is Verdict.KEEP


def test_an_odd_row_holds_no_payment_that_another_row_is_owed() -> None:
    early = NOW - timedelta(hours=2)
    odd = a_row(2, created_at=early, user_id=None)
    assert decide(a_picture(found(included()), siblings=(odd,))).verdict is Verdict.SUCCESS
    # What was paid for one long ago is paid, whoever it was.
    settled = replace(odd, status="SUCCESS")
    assert decide(a_picture(found(included()), siblings=(settled,))).reason == "HASH_REUSED"


def test_an_envelope_that_does_not_decode_matters_only_where_it_is_needed() -> None:
    assert decide(a_picture(found(included()), unreadable=True)).verdict is Verdict.SUCCESS
    absent = a_picture(*absent_twice(), unreadable=True)
    assert (decide(absent).verdict, decide(absent).reason) == (Verdict.CASE, "ODD_ROW")
    assert "cannot be decoded" in decide(absent).sentence
    assert decide(replace(absent, canary=False)).verdict is Verdict.KEEP
    assert decide(replace(absent, looks=(a_look(Answer.TIMEOUT),))).verdict is Verdict.KEEP
    assert decide(replace(absent, frozen="another network")).verdict is Verdict.KEEP


def test_a_hash_with_anything_around_it_is_malformed() -> None:
    for text in (f" {HASH}", f"{HASH}\n", f"{HASH}\u200b", f"0x{HASH[2:]}", f"{HASH[:63]}\u0430"):
        assert decide(a_picture(row=a_row(tx_hash=text))).reason == "INVALID_HASH"


def test_a_long_memo_is_cut_in_the_sentence() -> None:
    row = a_row(memo_type="text", memo="x\u202e\x01" * 4000)
    decision = decide(a_picture(found(included()), row=row))
    assert decision.reason == "MEMO_MISMATCH"
    assert len(decision.sentence) < 300
    assert "(12,000 characters)" in decision.sentence
    assert decision.sentence.isprintable()


texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@given(
    amount=st.none() | st.decimals(allow_nan=True, allow_infinity=True),
    currency=texts,
    issuer=texts | st.just(ISSUER),
    tx_hash=texts | st.just(HASH),
    memo_type=texts,
    memo=texts,
    kind=texts | st.sampled_from(["DEPOSIT", "WITHDRAW"]),
    created=st.none() | st.datetimes(timezones=st.just(UTC), min_value=datetime(1, 1, 2)),  # noqa: DTZ001 - the zone follows
)
def test_whatever_a_row_holds_it_can_be_judged_and_only_the_right_amount_is_paid(
    amount: Decimal | None,
    currency: str | None,
    issuer: str | None,
    tx_hash: str | None,
    memo_type: str | None,
    memo: str | None,
    kind: str | None,
    created: datetime | None,
) -> None:
    row = a_row(
        amount=amount, currency=currency, asset_issuer=issuer, tx_hash=tx_hash, memo_type=memo_type, memo=memo,
        type=kind, created_at=created,
    )  # fmt: skip
    for looks in ((), (found(included(a_payment())),), absent_twice()):
        decision = decide(a_picture(*looks, row=row))
        if decision.verdict is Verdict.SUCCESS:
            assert (amount, currency, issuer) == (Decimal("10.5"), "USDC", ISSUER)
        assert decision.sentence


def test_a_value_is_quoted_short_and_visible() -> None:
    assert brief(None) == "empty"
    assert brief("a\x00\u202eb") == r"'a\x00\u202eb'"
    assert brief("я" * 61) == f"'{'я' * 60}'… (61 characters)"
