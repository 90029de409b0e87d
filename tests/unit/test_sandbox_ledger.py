"""The sandbox's ledger keeps the network's rules: what is let in, what fails, and what it does to balances."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from stellar_sdk import Asset, TransactionEnvelope, xdr

from jobs.horizon.sandbox.envelope import result_codes
from jobs.horizon.sandbox.ledger import Refused, SandboxLedger
from jobs.horizon.sandbox.network import SANDBOX_PASSPHRASE, stroops
from jobs.horizon.sandbox.records import Included
from jobs.horizon.sandbox.wallet import XLM, MemoKind, Terms, Wallet, memo, muxed

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ISSUER = Wallet.named("issuer")
USDC, EURC = Asset("USDC", ISSUER.address), Asset("EURC", ISSUER.address)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(clock: Clock) -> SandboxLedger:
    return SandboxLedger(clock=clock)


@pytest.fixture
def ann(ledger: SandboxLedger) -> Wallet:
    return funded(ledger, "ann")


@pytest.fixture
def bob(ledger: SandboxLedger) -> Wallet:
    return funded(ledger, "bob")


def funded(ledger: SandboxLedger, name: str) -> Wallet:
    wallet = Wallet.named(name)
    wallet.sequence = ledger.fund(wallet.address, 100, {USDC: 50}).sequence
    return wallet


def closed(ledger: SandboxLedger, envelope: TransactionEnvelope) -> Included:
    tx_hash = ledger.submit(envelope)
    ledger.close_ledger()
    found = ledger.find(tx_hash)
    assert found is not None
    return found


def codes(entry: Included) -> dict[str, object]:
    return result_codes(xdr.TransactionResult.from_xdr(entry.result_xdr))


def balance(ledger: SandboxLedger, wallet: Wallet, key: str = "native") -> int:
    account = ledger.account(wallet.address)
    assert account is not None
    return account.balances[key]


def test_a_payment_moves_the_amount_and_costs_the_fee(ledger: SandboxLedger, ann: Wallet, bob: Wallet) -> None:
    entry = closed(ledger, ann.payment(bob.address, "2.5"))
    assert entry.successful
    assert balance(ledger, ann) == stroops("97.49999")
    assert balance(ledger, bob) == stroops("102.5")


def test_the_hash_is_the_genuine_hash_under_the_sandbox_passphrase(
    ledger: SandboxLedger, ann: Wallet, bob: Wallet
) -> None:
    entry = closed(ledger, ann.payment(bob.address, 1))
    assert TransactionEnvelope.from_xdr(entry.envelope_xdr, SANDBOX_PASSPHRASE).hash_hex() == entry.hash


def test_a_failed_transaction_spends_fee_and_sequence_but_moves_nothing(
    ledger: SandboxLedger, ann: Wallet, bob: Wallet
) -> None:
    entry = closed(ledger, ann.failing_payment(bob.address))
    assert not entry.successful
    assert codes(entry) == {"transaction": "tx_failed", "operations": ["op_underfunded"]}
    account = ledger.account(ann.address)
    assert account is not None
    assert account.sequence == ann.sequence
    assert balance(ledger, ann) == stroops("99.99999")
    assert balance(ledger, bob) == stroops(100)


@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        (lambda a, b: a.payment(Wallet.named("nobody").address, 1), "op_no_destination"),
        (lambda a, b: a.payment(b.address, 1, EURC), "op_src_no_trust"),
        (lambda a, b: a.payment(b.address, 51, USDC), "op_underfunded"),
        (lambda a, b: a.create_account(b.address, 5), "op_already_exists"),
        (lambda a, b: a.create_account(Wallet.named("new").address, "0.5"), "op_low_reserve"),
        (lambda a, b: a.path_send(b.address, (5, XLM), (6, USDC)), "op_under_dest_min"),
        (lambda a, b: a.path_receive(b.address, (5, XLM), (6, USDC)), "op_over_source_max"),
        (lambda a, b: a.path_send(b.address, (5, XLM), (1, EURC)), "op_no_trust"),
        (lambda a, b: a.merge(b.address), "op_has_sub_entries"),
        (lambda a, b: a.claimable_balance([b.address], 1, EURC), "op_no_trust"),
        (lambda a, b: a.claim("00000000" + "ab" * 32), "op_does_not_exist"),
    ],
)
def test_an_operation_fails_with_the_networks_own_code(
    ledger: SandboxLedger, ann: Wallet, bob: Wallet, envelope: object, code: str
) -> None:
    assert callable(envelope)
    assert codes(closed(ledger, envelope(ann, bob)))["operations"] == [code]


def test_one_failing_operation_undoes_the_others(ledger: SandboxLedger, ann: Wallet, bob: Wallet) -> None:
    good, bad = ann.payment(bob.address, 1).transaction.operations, ann.failing_payment(bob.address)
    ann.sequence -= 2
    entry = closed(ledger, ann.transaction(*good, *bad.transaction.operations))
    assert codes(entry)["operations"] == ["op_success", "op_underfunded"]
    assert balance(ledger, bob) == stroops(100)


def test_a_path_payment_names_its_trades_and_what_arrived(ledger: SandboxLedger, ann: Wallet, bob: Wallet) -> None:
    ledger.set_price(USDC, 4)
    entry = closed(ledger, ann.path_send(bob.address, (10, XLM), (2, USDC)))
    result = xdr.TransactionResult.from_xdr(entry.result_xdr).result.results
    assert result is not None
    assert result[0].tr is not None
    sent = result[0].tr.path_payment_strict_send_result
    assert sent is not None
    assert sent.success is not None
    assert sent.success.last.amount.int64 == stroops("2.5")
    trade = sent.success.offers[0].order_book
    assert trade is not None
    assert (trade.amount_bought.int64, trade.amount_sold.int64) == (stroops(10), stroops("2.5"))
    assert balance(ledger, bob, f"USDC:{ISSUER.address}") == stroops("52.5")


def test_a_merge_gives_the_whole_balance_and_says_so(ledger: SandboxLedger, bob: Wallet) -> None:
    carl = Wallet.named("carl")
    carl.sequence = ledger.fund(carl.address, 7).sequence
    entry = closed(ledger, carl.merge(bob.address))
    result = xdr.TransactionResult.from_xdr(entry.result_xdr).result.results
    assert result is not None
    assert result[0].tr is not None
    merged = result[0].tr.account_merge_result
    assert merged is not None
    assert merged.source_account_balance is not None
    assert merged.source_account_balance.int64 == stroops("6.99999")
    assert ledger.account(carl.address) is None


def test_a_claimable_balance_waits_until_it_is_claimed_once(ledger: SandboxLedger, ann: Wallet, bob: Wallet) -> None:
    entry = closed(ledger, ann.claimable_balance([bob.address], 5))
    assert balance(ledger, bob) == stroops(100)
    result = xdr.TransactionResult.from_xdr(entry.result_xdr).result.results
    assert result is not None
    assert result[0].tr is not None
    created = result[0].tr.create_claimable_balance_result
    assert created is not None
    assert created.balance_id is not None
    balance_id = created.balance_id.to_xdr_bytes().hex()
    assert closed(ledger, bob.claim(balance_id)).successful
    assert balance(ledger, bob) == stroops("104.99999")
    assert codes(closed(ledger, bob.claim(balance_id)))["operations"] == ["op_does_not_exist"]


def test_a_fee_bump_is_found_under_both_hashes_and_paid_by_the_other(
    ledger: SandboxLedger, ann: Wallet, bob: Wallet
) -> None:
    inner = ann.payment(bob.address, 1)
    outer = bob.fee_bump(inner)
    ledger.submit(outer)
    ledger.close_ledger()
    assert ledger.find(outer.hash_hex()) is ledger.find(inner.hash_hex()) is not None
    assert balance(ledger, ann) == stroops(99)
    assert balance(ledger, bob) == stroops("100.99998")


def refused(ledger: SandboxLedger, envelope: TransactionEnvelope) -> object:
    with pytest.raises(Refused) as caught:
        ledger.submit(envelope)
    return result_codes(caught.value.result)["transaction"]


def test_what_the_network_would_not_let_in_is_refused(
    ledger: SandboxLedger, clock: Clock, ann: Wallet, bob: Wallet
) -> None:
    now, number = int(clock.now.timestamp()), ann.sequence + 1
    attempts: list[tuple[str, Terms]] = [
        ("tx_bad_seq", {"sequence": number + 1}),
        ("tx_bad_auth", {"signed": False}),
        ("tx_bad_auth", {"passphrase": "Another Network"}),
        ("tx_too_late", {"max_time": now - 1}),
        ("tx_too_early", {"min_time": now + 60}),
        ("tx_too_late", {"max_ledger": ledger.latest.sequence}),
    ]
    for code, terms in attempts:
        ann.sequence = number - 1
        assert refused(ledger, ann.payment(bob.address, 1, **terms)) == code
    assert refused(ledger, Wallet.named("nobody").payment(bob.address, 1)) == "tx_no_source_account"
    twice = ann.payment(bob.address, 1, sequence=number)
    twice.sign(bob.keypair)
    assert refused(ledger, twice) == "tx_bad_auth_extra"
    assert ledger.submit(ann.payment(bob.address, 1, sequence=number))


def test_a_transaction_whose_time_runs_out_in_the_queue_is_never_included(
    ledger: SandboxLedger, clock: Clock, ann: Wallet, bob: Wallet
) -> None:
    tx_hash = ledger.submit(ann.payment(bob.address, 1, max_time=int(clock.now.timestamp()) + 2))
    clock.now += timedelta(seconds=5)
    ledger.close_ledger()
    assert ledger.find(tx_hash) is None
    assert not ledger.is_pending(tx_hash)


def test_submitting_the_same_envelope_again_pays_once(ledger: SandboxLedger, ann: Wallet, bob: Wallet) -> None:
    envelope = ann.payment(bob.address, 1)
    ledger.submit(envelope)
    ledger.submit(envelope)
    ledger.close_ledger()
    ledger.submit(envelope)
    ledger.close_ledger()
    assert balance(ledger, bob) == stroops(101)


def test_bulk_inclusion_opens_what_is_missing_and_needs_no_signature(ledger: SandboxLedger) -> None:
    payer = Wallet.named("stranger")
    receivers = [Wallet().address for _ in range(3)]
    entries = ledger.include([payer.payment(address, 5, EURC, signed=False) for address in receivers])
    assert [entry.successful for entry in entries] == [True, True, True]
    assert [entry.order for entry in entries] == [1, 2, 3]
    assert ledger.latest.successful == 3


def test_a_refused_bulk_leaves_nothing_behind(ledger: SandboxLedger, ann: Wallet, bob: Wallet) -> None:
    good = ann.payment(bob.address, 1)
    with pytest.raises(Refused, match="tx_bad_seq"):
        ledger.include([good, ann.payment(bob.address, 1, sequence=1)])
    ledger.close_ledger()
    assert ledger.find(good.hash_hex()) is None


def test_a_muxed_destination_pays_the_base_account(ledger: SandboxLedger, ann: Wallet, bob: Wallet) -> None:
    closed(ledger, ann.payment(muxed(bob.address, 7), 1, memo=memo("id", "9")))
    assert balance(ledger, bob) == stroops(101)


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [("text", "héllo", "héllo"), ("id", "42", "42"), ("hash", "00" * 32, "A" * 43 + "="), ("return", "ff" * 32, None)],
)
def test_a_memo_is_shown_as_horizon_shows_it(
    ledger: SandboxLedger, ann: Wallet, bob: Wallet, kind: MemoKind, value: str, shown: str | None
) -> None:
    record = orjson.loads(closed(ledger, ann.payment(bob.address, 1, memo=memo(kind, value))).body)
    assert record["memo_type"] == kind
    assert record["memo"] == (shown or b64encode(bytes.fromhex(value)).decode())
    assert ("memo_bytes" in record) == (kind == "text")


def test_what_was_let_in_is_not_lost_by_a_stop(ledger: SandboxLedger, ann: Wallet, bob: Wallet) -> None:
    tx_hash = ledger.submit(ann.payment(bob.address, 1))
    ledger.close()
    assert ledger.find(tx_hash) is not None


def test_ledger_numbers_follow_the_clock_and_never_go_back(clock: Clock) -> None:
    first = SandboxLedger(clock=clock).latest.sequence
    clock.now += timedelta(minutes=1)
    ledger = SandboxLedger(clock=clock)
    assert ledger.latest.sequence == first + 12
    clock.now += timedelta(minutes=1)
    assert ledger.close_ledger(sequence=ledger.due_sequence()).sequence == first + 24
    gap = ledger.chain.ledger(first + 18)
    assert gap is not None
    assert gap.closed_at == clock.now - timedelta(seconds=30)
    clock.now -= timedelta(hours=1)
    later = ledger.close_ledger(sequence=ledger.due_sequence())
    assert later.sequence == first + 25
    assert later.closed_at >= gap.closed_at


def test_history_older_than_it_is_kept_is_forgotten(clock: Clock) -> None:
    ledger = SandboxLedger(clock=clock, keep=timedelta(minutes=5))
    old = ledger.include([Wallet.named("ann").payment(ISSUER.address, 1)])[0]
    elder = ledger.chain.elder
    clock.now += timedelta(hours=1)
    ledger.close_ledger(sequence=ledger.due_sequence())
    assert ledger.find(old.hash) is None
    assert not ledger.chain.transactions(ISSUER.address)
    assert ledger.chain.elder == elder + 720
