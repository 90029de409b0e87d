"""Whatever is submitted, the sandbox neither makes nor loses money: what accounts hold plus what fees took is constant."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st
from stellar_sdk import xdr

from jobs.horizon.sandbox.ledger import Refused, SandboxLedger
from jobs.horizon.sandbox.network import stroops
from jobs.horizon.sandbox.wallet import Wallet

PEOPLE = [Wallet.named(name) for name in ("ann", "bob", "carl")]
NEW = Wallet.named("new")
ACTIONS = st.tuples(
    st.sampled_from(["payment", "create", "merge", "lay aside", "claim", "close"]),
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(1, 1_500_000_000),
)


def total(ledger: SandboxLedger) -> int:
    accounts = (ledger.account(wallet.address) for wallet in (*PEOPLE, NEW))
    return sum(account.native for account in accounts if account)


def created(result_xdr: str) -> str | None:
    results = xdr.TransactionResult.from_xdr(result_xdr).result.results or ()
    made = results[0].tr.create_claimable_balance_result if results and results[0].tr else None
    return made.balance_id.to_xdr_bytes().hex() if made and made.balance_id else None


@settings(deadline=None, max_examples=40)
@given(st.lists(ACTIONS, max_size=25))
def test_no_money_comes_from_nowhere(actions: list[tuple[str, int, int, int]]) -> None:
    ledger = SandboxLedger()
    for wallet in PEOPLE:
        ledger.fund(wallet.address, 100)
    begun, aside = total(ledger), dict[str, int]()
    hashes: dict[str, int] = {}
    for kind, who, whom, amount in actions:
        payer, payee = PEOPLE[who], PEOPLE[whom]
        account = ledger.account(payer.address)
        if account is None:
            continue
        payer.sequence = ledger.next_sequence(payer.address) - 1
        units = f"{amount / 10**7:.7f}"
        match kind:
            case "payment":
                envelope = payer.payment(payee.address, units)
            case "create":
                envelope = payer.create_account(NEW.address, units)
            case "merge":
                envelope = payer.merge(payee.address)
            case "lay aside":
                envelope = payer.claimable_balance([payee.address], units)
                hashes[envelope.hash_hex()] = stroops(units)
            case "claim" if aside:
                envelope = payer.claim(next(iter(aside)))
            case _:
                ledger.close_ledger()
                continue
        with suppress(Refused):
            ledger.submit(envelope)
        ledger.close_ledger()
        found = ledger.find(envelope.hash_hex())
        if found and found.successful and (balance_id := created(found.result_xdr)):
            aside[balance_id] = hashes[found.hash]
        if kind == "claim" and found and found.successful:
            aside.pop(next(iter(aside)))
    fees = sum(entry.fee_charged for entry in ledger.chain.transactions())
    assert total(ledger) + sum(aside.values()) + fees == begun
    for wallet in PEOPLE:
        account = ledger.account(wallet.address)
        assert account is None or account.native >= 0
