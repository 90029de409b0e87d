"""What the demo's customers do: every few seconds somebody deposits or withdraws, and some of it goes wrong.

Plays the part of the exchange's back end: it writes the row (and, for a withdrawal, the debit) before it submits the
transaction. Everything after that is the real engine's work. Most pay as expected; a few come by fee-bump or path
payment, fail on the chain, or differ from what was expected, so that every page has its case.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text

from jobs.core.db import Database
from jobs.horizon.sandbox.ledger import SandboxLedger
from jobs.horizon.sandbox.wallet import XLM, Wallet, asset, memo

_DEPOSIT = """
INSERT INTO transactions (user_id, type, amount, currency, asset_issuer, tx_hash, envelope_xdr, memo_type, memo)
VALUES (:user_id, 'DEPOSIT', :amount, :currency, :issuer, :tx_hash, :envelope, :memo_type, :memo)
"""

# The debit at request time: conditional on the balance, with both legs, or nothing at all.
_WITHDRAWAL = """
WITH debited AS (
    UPDATE balances SET amount = amount - :amount, updated_at = now()
    WHERE user_id = :user_id AND currency = :currency AND asset_issuer = coalesce(:issuer, '') AND amount >= :amount
    RETURNING user_id
), requested AS (
    INSERT INTO transactions (user_id, type, amount, currency, asset_issuer, tx_hash, envelope_xdr, destination)
    SELECT user_id, 'WITHDRAW', :amount, :currency, :issuer, :tx_hash, :envelope, :destination FROM debited
    RETURNING id, user_id
)
INSERT INTO ledger_entries (transaction_id, kind, account_type, user_id, direction, amount, currency, asset_issuer)
SELECT id, 'WITHDRAW_DEBIT', leg.account_type, CASE leg.account_type WHEN 'USER' THEN user_id END, leg.direction,
       :amount, :currency, coalesce(:issuer, '')
FROM requested CROSS JOIN (VALUES ('USER', 'DEBIT'), ('PLATFORM_LIABILITY', 'CREDIT')) AS leg (account_type, direction)
"""


@dataclass(frozen=True, slots=True)
class Known:
    """A customer as the database knows them."""

    user_id: UUID
    keys: Wallet

    @property
    def wallet(self) -> str:
        return self.keys.address


class Traffic:
    """Makes one transaction at a time; `chance` is the only source of randomness."""

    def __init__(self, db: Database, ledger: SandboxLedger, chance: random.Random) -> None:
        self._db = db
        self._ledger = ledger
        self._chance = chance
        self._bank = Wallet.named("bank")  # where deposits come from
        self._treasury = Wallet.named(
            "treasury"
        )  # who pays the fees of withdrawals, so that wallets hold what they should
        self._outside = Wallet.named("outside")  # where withdrawals go
        self.issuer = Wallet.named("issuer").address
        self._usdc = asset("USDC", self.issuer)
        self._assets = {"XLM": XLM, "USDC": self._usdc}
        self._customers: Sequence[Known] = ()

    def open_accounts(self, wallets: Sequence[Wallet]) -> None:
        """Gives everybody what they need where the sandbox does not know them yet: customers what the books say."""
        with self._db.read() as conn:
            rows = conn.execute(
                text(
                    "SELECT u.id, u.wallet_public_key AS wallet,"
                    " coalesce((SELECT amount FROM balances WHERE user_id = u.id AND currency = 'XLM'), 0) AS native,"
                    " coalesce((SELECT amount FROM balances WHERE user_id = u.id AND currency = 'USDC'), 0) AS issued"
                    " FROM users u WHERE u.wallet_public_key = ANY(:wallets)"
                ),
                {"wallets": [wallet.address for wallet in wallets]},
            ).all()
        books = {row.wallet: row for row in rows}
        self._customers = [Known(books[wallet.address].id, wallet) for wallet in wallets if wallet.address in books]
        rich = {self._usdc: 50_000_000}
        for address, native, issued in (
            *((one.address, 50_000_000, rich) for one in (self._bank, self._treasury, self._outside)),
            *((row.wallet, row.native, {self._usdc: row.issued}) for row in rows),
        ):
            if self._ledger.account(address) is None:
                self._ledger.fund(address, native, issued)
        self._ledger.set_price(self._usdc, "8.2")
        for wallet in (self._bank, self._treasury, *wallets):
            account = self._ledger.account(wallet.address)
            wallet.sequence = account.sequence if account else 0

    def begin(self) -> None:
        """The first few at once, with a refund and a case among them, so that nobody waits for chance to show one."""
        for customer in self._chance.sample(self._customers, 3):
            self._withdraw(customer, fails=True)
            self._deposit(customer, mistyped=True)
        for _ in range(8):
            self.step()

    def step(self) -> None:
        """One customer does one thing."""
        customer = self._chance.choice(self._customers)
        if self._often(0.65):
            self._deposit(customer)
        else:
            self._withdraw(customer, fails=self._often(0.15))

    def _deposit(self, customer: Known, *, mistyped: bool = False) -> None:
        amount = self._amount(5, 2500)
        currency, issuer = self._currency()
        kind = self._assets[currency]
        memo_type, memo_text = ("text", f"NX-{self._chance.randrange(10**6):06}") if self._often(0.3) else (None, None)
        terms = memo("text", memo_text) if memo_text else memo("none", None)
        luck = self._chance.random()
        if mistyped or luck < 0.04:  # the wrong amount: a case
            envelope = self._bank.payment(customer.wallet, amount + Decimal("0.5"), kind, memo=terms)
        elif luck < 0.06 and memo_text:  # the wrong reference: a case
            envelope = self._bank.payment(customer.wallet, amount, kind, memo=memo("text", "NX-000000"))
        elif luck < 0.10:
            envelope = self._bank.failing_payment(customer.wallet, kind, memo=terms)
        elif luck < 0.18 and issuer:
            envelope = self._bank.path_receive(customer.wallet, (amount * 9, XLM), (amount, self._usdc), memo=terms)
        else:
            envelope = self._bank.payment(customer.wallet, amount, kind, memo=terms)
        bumped = self._treasury.fee_bump(envelope) if self._often(0.08) else envelope
        with self._db.begin() as conn:
            conn.execute(
                text(_DEPOSIT),
                {
                    "user_id": customer.user_id,
                    "amount": amount,
                    "currency": currency,
                    "issuer": issuer,
                    "tx_hash": bumped.hash_hex(),
                    "envelope": bumped.to_xdr(),
                    "memo_type": memo_type,
                    "memo": memo_text,
                },
            )
        self._ledger.submit(bumped.to_xdr())

    def _withdraw(self, customer: Known, *, fails: bool) -> None:
        amount = self._amount(5, 400)
        currency, issuer = self._currency()
        kind = self._assets[currency]
        if fails:  # fails on the chain, and is refunded
            payment = customer.keys.failing_payment(self._outside.address, kind)
        else:
            payment = customer.keys.payment(self._outside.address, amount, kind)
        envelope = self._treasury.fee_bump(payment)
        with self._db.begin() as conn:
            requested = conn.execute(
                text(_WITHDRAWAL),
                {
                    "user_id": customer.user_id,
                    "amount": amount,
                    "currency": currency,
                    "issuer": issuer,
                    "tx_hash": envelope.hash_hex(),
                    "envelope": envelope.to_xdr(),
                    "destination": self._outside.address,
                },
            ).rowcount
        if requested:
            self._ledger.submit(envelope.to_xdr())
        else:  # not enough money: nothing was requested, and the number is free again
            customer.keys.sequence -= 1

    def _amount(self, least: int, most: int) -> Decimal:
        return Decimal(self._chance.randrange(least * 100, most * 100)) / 100

    def _often(self, share: float) -> bool:
        return self._chance.random() < share

    def _currency(self) -> tuple[str, str | None]:
        return ("XLM", None) if self._often(0.55) else ("USDC", self.issuer)
