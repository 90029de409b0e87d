"""Path payments: what they cost at the market's fixed prices, and the trades that their results name.

One market maker with bottomless offers stands behind every pair, so a path payment depends on nothing but prices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from math import ceil

from stellar_sdk import Asset, Keypair, PathPaymentStrictReceive, PathPaymentStrictSend, xdr
from stellar_sdk.utils import sha256

from jobs.horizon.sandbox.network import asset_key, key_asset, stroops
from jobs.horizon.sandbox.outcome import Outcome, wrap
from jobs.horizon.sandbox.state import Draft, SandboxAccount

MARKET_MAKER = Keypair.from_raw_ed25519_seed(sha256(b"nexaops sandbox: market maker"))

Prices = Mapping[str, Fraction]
"""Native per unit of an asset, by asset key; an asset without an entry costs one."""


def _trades(route: Sequence[str], amounts: Sequence[int]) -> list[xdr.ClaimAtom]:
    """One trade with the market maker per hop: it sells the next asset of the route and buys the one before."""
    seller = MARKET_MAKER.xdr_account_id()
    return [
        xdr.ClaimAtom(
            xdr.ClaimAtomType.CLAIM_ATOM_TYPE_ORDER_BOOK,
            order_book=xdr.ClaimOfferAtom(
                seller_id=seller,
                offer_id=xdr.Int64(hop + 1),
                asset_sold=key_asset(route[hop + 1]).to_xdr_object(),
                amount_sold=xdr.Int64(amounts[hop + 1]),
                asset_bought=key_asset(route[hop]).to_xdr_object(),
                amount_bought=xdr.Int64(amounts[hop]),
            ),
        )
        for hop in range(len(route) - 1)
    ]


def _route(send: Asset, path: Sequence[Asset], dest: Asset) -> list[str]:
    """The assets of a path payment in order, each hop a real exchange."""
    route: list[str] = []
    for asset in (send, *path, dest):
        key = asset_key(asset)
        if not route or route[-1] != key:
            route.append(key)
    return route


def _last(op: PathPaymentStrictSend | PathPaymentStrictReceive, amount: int) -> xdr.SimplePaymentResult:
    destination = Keypair.from_public_key(op.destination.account_id).xdr_account_id()
    return xdr.SimplePaymentResult(destination, op.dest_asset.to_xdr_object(), xdr.Int64(amount))


def path_send(draft: Draft, source: SandboxAccount, op: PathPaymentStrictSend, prices: Prices) -> Outcome:
    """Spend exactly `send_amount`; what arrives is rounded down at each hop."""
    codes = xdr.PathPaymentStrictSendResultCode
    route = _route(op.send_asset, op.path, op.dest_asset)
    amounts = [stroops(op.send_amount)]
    for sold, bought in pairwise(route):
        price = prices.get(sold, Fraction(1)) / prices.get(bought, Fraction(1))
        amounts.append(int(amounts[-1] * price))
    sent, received = amounts[0], amounts[-1]
    target = draft.account(op.destination.account_id)
    success: xdr.PathPaymentStrictSendResultSuccess | None = None
    if target is None:
        code = codes.PATH_PAYMENT_STRICT_SEND_NO_DESTINATION
    elif not source.trusts(route[0]):
        code = codes.PATH_PAYMENT_STRICT_SEND_SRC_NO_TRUST
    elif not target.trusts(route[-1]):
        code = codes.PATH_PAYMENT_STRICT_SEND_NO_TRUST
    elif source.available(route[0]) < sent:
        code = codes.PATH_PAYMENT_STRICT_SEND_UNDERFUNDED
    elif received < stroops(op.dest_min) or not received:
        code = codes.PATH_PAYMENT_STRICT_SEND_UNDER_DESTMIN
    elif target is not source and target.room(route[-1]) < received:
        code = codes.PATH_PAYMENT_STRICT_SEND_LINE_FULL
    else:
        code = codes.PATH_PAYMENT_STRICT_SEND_SUCCESS
        source.move(route[0], -sent)
        target.move(route[-1], received)
        success = xdr.PathPaymentStrictSendResultSuccess(_trades(route, amounts), _last(op, received))
    result = xdr.PathPaymentStrictSendResult(code, success)
    kind = xdr.OperationType.PATH_PAYMENT_STRICT_SEND
    return wrap(code, xdr.OperationResultTr(kind, path_payment_strict_send_result=result))


def path_receive(draft: Draft, source: SandboxAccount, op: PathPaymentStrictReceive, prices: Prices) -> Outcome:
    """Deliver exactly `dest_amount`; what it costs is rounded up at each hop."""
    codes = xdr.PathPaymentStrictReceiveResultCode
    route = _route(op.send_asset, op.path, op.dest_asset)
    backwards = [stroops(op.dest_amount)]
    for bought, sold in pairwise(reversed(route)):
        price = prices.get(bought, Fraction(1)) / prices.get(sold, Fraction(1))
        backwards.append(ceil(backwards[-1] * price))
    amounts = list(reversed(backwards))
    sent, received = amounts[0], amounts[-1]
    target = draft.account(op.destination.account_id)
    success: xdr.PathPaymentStrictReceiveResultSuccess | None = None
    if target is None:
        code = codes.PATH_PAYMENT_STRICT_RECEIVE_NO_DESTINATION
    elif not source.trusts(route[0]):
        code = codes.PATH_PAYMENT_STRICT_RECEIVE_SRC_NO_TRUST
    elif not target.trusts(route[-1]):
        code = codes.PATH_PAYMENT_STRICT_RECEIVE_NO_TRUST
    elif sent > stroops(op.send_max):
        code = codes.PATH_PAYMENT_STRICT_RECEIVE_OVER_SENDMAX
    elif source.available(route[0]) < sent:
        code = codes.PATH_PAYMENT_STRICT_RECEIVE_UNDERFUNDED
    elif target is not source and target.room(route[-1]) < received:
        code = codes.PATH_PAYMENT_STRICT_RECEIVE_LINE_FULL
    else:
        code = codes.PATH_PAYMENT_STRICT_RECEIVE_SUCCESS
        source.move(route[0], -sent)
        target.move(route[-1], received)
        success = xdr.PathPaymentStrictReceiveResultSuccess(_trades(route, amounts), _last(op, received))
    result = xdr.PathPaymentStrictReceiveResult(code, success)
    kind = xdr.OperationType.PATH_PAYMENT_STRICT_RECEIVE
    return wrap(code, xdr.OperationResultTr(kind, path_payment_strict_receive_result=result))
