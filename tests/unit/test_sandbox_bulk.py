"""Payments in bulk are the ordinary ones, only made faster."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
from stellar_sdk import IdMemo

from jobs.horizon.answers import read_transaction
from jobs.horizon.sandbox.bulk import BulkPayment, Stencil
from jobs.horizon.sandbox.ledger import SandboxLedger
from jobs.horizon.sandbox.network import SANDBOX_PASSPHRASE, units
from jobs.horizon.sandbox.wallet import Wallet

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAYMENTS = [
    BulkPayment(Wallet.named(f"receiver {number}").address, amount, memo)
    for number, (amount, memo) in enumerate([(1, 0), (105_000_000, 42), (2**40, 2**64 - 1)])
]


def test_a_payment_in_bulk_is_what_the_ordinary_way_makes_of_it() -> None:
    ledger, ordinary = (SandboxLedger(clock=lambda: NOON) for _ in range(2))
    made = Stencil(Wallet.named("payer")).close_ledger(ledger, PAYMENTS, NOON + timedelta(seconds=5))
    payer = Wallet.named("payer")
    envelopes = [
        payer.payment(each.receiver, units(each.amount), memo=IdMemo(each.memo), signed=False) for each in PAYMENTS
    ]
    assert made == ordinary.include(envelopes, at=NOON + timedelta(seconds=5))
    assert ledger.latest == ordinary.latest
    assert [ledger.chain.transactions(each.receiver) for each in PAYMENTS] == [[entry] for entry in made]


def test_it_proves_its_hash_and_what_it_paid() -> None:
    ledger = SandboxLedger(clock=lambda: NOON)
    stencil = Stencil(Wallet.named("payer"))
    for number in (1, 2):
        for entry, payment in zip(
            stencil.close_ledger(ledger, PAYMENTS, NOON + timedelta(seconds=5 * number)), PAYMENTS, strict=True
        ):
            found = read_transaction(entry.hash, orjson.loads(entry.body), SANDBOX_PASSPHRASE)
            assert (found.hash_proved, found.successful) == (True, True)
            assert (found.operations[0].received, found.memo.value) == (payment.amount, str(payment.memo))
            assert ledger.find(entry.hash) is entry
