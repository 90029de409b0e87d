"""Very many genuine payments for the benchmarks: a hundred thousand in seconds.

One payment is built, applied and rendered as every other transaction; the rest are its copies, with sequence number,
receiver, amount and memo patched into the envelope's bytes, hashed again, and put into the rendered record. They are
what the ordinary way would have made of the same unsigned envelopes, but they move neither balances nor sequence
numbers, and a receiver need not exist: a benchmark asks for transactions only.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256

from stellar_sdk import IdMemo, StrKey

from jobs.horizon.sandbox.chain import whole_seconds
from jobs.horizon.sandbox.envelope import parse
from jobs.horizon.sandbox.ledger import SandboxLedger
from jobs.horizon.sandbox.network import SANDBOX_PASSPHRASE, stamp, toid, units
from jobs.horizon.sandbox.records import Included, include
from jobs.horizon.sandbox.wallet import Wallet

# What stands in the stencil where a copy has its own: numbers and a time that occur nowhere else in it.
_SEQUENCE, _MEMO, _AMOUNT = 7_313_131_313_131_313_131, 8_626_262_626_262_626_262, 6_949_494_949_494_949_494
_LEDGER, _ORDER = 1_838_383_838, 1234
_CLOSED = datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC)
_RECEIVER = Wallet.named("stencil")


@dataclass(frozen=True, slots=True)
class BulkPayment:
    """A payment of the native asset: receiver (`G…`), stroops, and the number that is its memo."""

    receiver: str
    amount: int
    memo: int


class Stencil:
    """Makes one payer's payments, and counts its sequence numbers."""

    def __init__(self, payer: Wallet) -> None:
        envelope = payer.payment(
            _RECEIVER.address, units(_AMOUNT), memo=IdMemo(_MEMO), sequence=_SEQUENCE, signed=False
        )
        (applied,) = SandboxLedger().include([payer.payment(_RECEIVER.address, 1, sequence=_SEQUENCE, signed=False)])
        self._payer = payer
        self._entry = include(parse(envelope, SANDBOX_PASSPHRASE), _LEDGER, _ORDER, _CLOSED, True, applied.result_xdr)
        self._raw = envelope.to_xdr_object().to_xdr_bytes()
        self._network = sha256(SANDBOX_PASSPHRASE.encode()).digest()
        self._numbers_at = [self._raw.index(number.to_bytes(8, "big")) for number in (_SEQUENCE, _AMOUNT, _MEMO)]
        self._receiver_at = self._raw.index(_RECEIVER.keypair.raw_public_key())

    def close_ledger(self, ledger: SandboxLedger, payments: Sequence[BulkPayment], at: datetime) -> list[Included]:
        """Closes one ledger over these payments at a time of the past or now; numbered by the clock."""
        with ledger.lock:
            closing = ledger.chain.next(at, ledger.chain.due(at))
            stencil = self._dated(closing.sequence, whole_seconds(closing.closed_at))
            made = [self._copy(stencil, payment, order) for order, payment in enumerate(payments, 1)]
            for entry, payment in zip(made, payments, strict=True):
                ledger.chain.add(entry, {self._payer.address, payment.receiver})
            ledger.chain.close(closing)
        return made

    def _dated(self, ledger: int, closed_at: datetime) -> Included:
        body = self._entry.body.replace(str(toid(_LEDGER, _ORDER)).encode(), b"{token}")
        body = body.replace(str(_LEDGER).encode(), str(ledger).encode())
        body = body.replace(stamp(_CLOSED).encode(), stamp(closed_at).encode())
        return replace(self._entry, ledger=ledger, closed_at=closed_at, body=body)

    def _copy(self, stencil: Included, payment: BulkPayment, order: int) -> Included:
        self._payer.sequence += 1
        sequence = self._payer.sequence
        raw = bytearray(self._raw)
        for at, number in zip(self._numbers_at, (sequence, payment.amount, payment.memo), strict=True):
            raw[at : at + 8] = number.to_bytes(8, "big")
        raw[self._receiver_at : self._receiver_at + 32] = StrKey.decode_ed25519_public_key(payment.receiver)
        # The signature's base: the network, and the envelope up to its (empty, so four bytes of) signatures.
        digest = sha256(self._network + raw[:-4]).hexdigest()
        envelope = b64encode(raw).decode()
        body = stencil.body
        for there, here in (
            (self._entry.hash, digest),
            (self._entry.envelope_xdr, envelope),
            ("{token}", str(toid(stencil.ledger, order))),
            (str(_SEQUENCE), str(sequence)),
            (str(_MEMO), str(payment.memo)),
        ):
            body = body.replace(there.encode(), here.encode())
        return replace(
            stencil, hash=digest, order=order, sequence=sequence, envelope_xdr=envelope, body=body, inner_body=body
        )
