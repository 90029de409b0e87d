"""What a person may decide on a case, and whether the chain of this moment allows it.

Pure: a reason and a row say which choices there are, a `Picture` that was just taken says whether a choice holds. The
answer is a `Decision` that the one settling statement understands, or a `Refusal` in one sentence. Proof comes first:
where the rules would settle the row by themselves, there is nothing left for a person to decide.

- ACCEPT settles the row with what arrived: the one payment that can be meant, of equal ones the one that the person
  chooses, and only if no other row has a better right to it. Where nothing differs any more, because a refund is covered
  again or a claimable balance was claimed, it settles what is proved at once.
- FAIL wants an answer that does not show the transaction as included. Without proof of "never" it may still land: the
  decision says so, and retry-failed takes a refund back if it does.
- CANCEL is for a payment that belongs to another row already, or for a deposit that went to somebody else.
- LINK wants another transaction that is included and pays the receiver; the row then goes the ordinary way.
- WAIT asks nothing: the row stays as it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from jobs.core.permissions import Right
from jobs.horizon.model import Answer, ChainTransaction
from jobs.reconcile.address import parse_address
from jobs.reconcile.claiming import with_claimed
from jobs.reconcile.matching import address_text, asset_text, claimed_by_others, units
from jobs.reconcile.never import Doubt, prove_never
from jobs.reconcile.picture import CaseReason, Decision, Json, Picture, Received, Verdict
from jobs.reconcile.rules import decide, hash_to_ask

_MOST = 20
"""Payments that a case tells (`matching.relevant`): with as many, there may be more, and no one is the only one."""


class Choice(StrEnum):
    """What a person may decide."""

    ACCEPT = "accept"
    FAIL = "fail"
    CANCEL = "cancel"
    LINK = "link"
    WAIT = "wait"


RIGHTS: Mapping[Choice, Right] = {
    Choice.ACCEPT: Right.ACCEPT_CASES,
    Choice.FAIL: Right.FAIL_CASES,
    Choice.CANCEL: Right.CANCEL_CASES,
    Choice.LINK: Right.LINK_CASES,
    Choice.WAIT: Right.WAIT_CASES,
}
_DIFFERENT = (
    CaseReason.AMOUNT_MISMATCH,
    CaseReason.ASSET_MISMATCH,
    CaseReason.DESTINATION_MISMATCH,
    CaseReason.MEMO_MISMATCH,
    CaseReason.CLAIMABLE_UNCLAIMED,
)
_PROVED_LATER = (CaseReason.CLAIMABLE_UNCLAIMED, CaseReason.REFUND_SPENT)
"""What can be accepted only once nothing differs any more: the balance is claimed, the user's balance covers the refund."""
_UNSEEN = (
    CaseReason.NO_HASH,
    CaseReason.INVALID_HASH,
    CaseReason.BEYOND_HISTORY,
    CaseReason.EXPIRED_UNPROVEN,
)
_SILENT = (Answer.UNAVAILABLE, Answer.TIMEOUT, Answer.REFUSED, Answer.RATE_LIMITED, Answer.GARBLED)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a choice does not hold, in one sentence."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Payment:
    """The payment of a case that can be meant, as its details tell it: units and `CODE:ISSUER`."""

    operation: int
    amount: Decimal
    asset: str


def choices(reason: str, kind: str, status: str) -> tuple[Choice, ...]:
    """What a case of this reason lets a person decide about a row of this type and status; WAIT always is the last."""
    found: list[Choice] = []
    if kind in ("DEPOSIT", "WITHDRAW") and status in ("PENDING", "FAILED"):
        # A withdrawal was debited in its own asset: another one cannot take its place in the books.
        if reason in _DIFFERENT and not (reason == CaseReason.ASSET_MISMATCH and kind == "WITHDRAW"):
            found.append(Choice.ACCEPT)
        if reason == CaseReason.REFUND_SPENT and kind == "WITHDRAW" and status == "FAILED":
            found.append(Choice.ACCEPT)
        if status == "PENDING":
            if reason in _UNSEEN:
                found.append(Choice.FAIL)
            if reason == CaseReason.HASH_REUSED or (reason == CaseReason.DESTINATION_MISMATCH and kind == "DEPOSIT"):
                found.append(Choice.CANCEL)
            found.append(Choice.LINK)
    return (*found, Choice.WAIT)


def accept(picture: Picture, reason: str, shown: Payment | None, claiming: Picture | None = None) -> Decision | Refusal:
    """Settles the row with what arrived, if that still is what the person was shown.

    `claiming` is the picture under the hash of a transaction that the person named as the one that claimed the balance,
    for CLAIMABLE_UNCLAIMED.
    """
    if reason == CaseReason.CLAIMABLE_UNCLAIMED and claiming is not None:
        picture = _with_named(picture, claiming)
    now = decide(picture)
    proved = reason in _PROVED_LATER and now.verdict is Verdict.SUCCESS
    if not proved and (now.verdict is not Verdict.CASE or now.reason != reason):
        return Refusal(f"Horizon no longer shows this difference. It says now: {now.sentence}")
    offered = payments(reason, now.proof)
    if not offered or shown is None:
        return Refusal("No single payment of this transaction can be meant, so none can be accepted.")
    if shown not in offered:
        found = " or ".join(f"{one.amount:f} {one.asset}" for one in offered)
        return Refusal(f"Horizon shows {found} now, and you were shown {shown.amount:f} {shown.asset}.")
    if proved:
        # Nothing differs any more: what the rules would do by themselves is done now.
        return dataclasses.replace(now, verdict=Verdict.ACCEPTED, reason=reason)
    if reason in _PROVED_LATER:
        if claiming is not None:
            return Refusal("The transaction that was named does not claim this balance.")
        return Refusal("Horizon does not show that the balance was claimed: name the hash of the transaction that did.")
    return _accepted(picture, reason, shown, now)


def _accepted(picture: Picture, reason: str, shown: Payment, now: Decision) -> Decision | Refusal:
    """The settlement with a payment that differs from what was expected."""
    row, transaction = picture.row, _included(picture)
    if transaction is None:
        return Refusal("Horizon does not show the transaction any more.")
    holder = claimed_by_others(row, transaction, picture.siblings, picture.claims).get(shown.operation)
    if holder is not None:
        return Refusal(f"This payment belongs to another row ({holder}): one payment pays one row.")
    operation = next(one for one in transaction.operations if one.index == shown.operation)
    stroops, asset = operation.received, operation.asset
    if not stroops or asset is None:
        return Refusal("Nothing arrived with this payment.")
    if row.type == "WITHDRAW" and asset != row.asset:
        return Refusal("A withdrawal in another asset cannot be accepted: the user was debited in the expected one.")
    return Decision(
        Verdict.ACCEPTED,
        reason,
        f"Accepted as found: {units(stroops)} {asset_text(asset)} in ledger {transaction.ledger}.",
        dict(now.proof) | {"accepted": now.sentence, "operation": shown.operation},
        transaction.canonical.lower(),
        operation.index,
        Received(stroops, asset),
    )


def fail(picture: Picture, reason: str) -> Decision | Refusal:
    """Ends the row as failed, unless Horizon shows at this moment that it was included, or does not answer."""
    now = decide(picture)
    for look in picture.looks:
        transaction = look.lookup.transaction
        if transaction is not None and transaction.successful:
            return Refusal(
                f"Horizon shows {transaction.asked} as included successfully in ledger {transaction.ledger}: it did not fail."
            )
    if now.verdict is Verdict.FAILED:
        return _failed(picture, reason, f"Marked as failed, and proved: {now.sentence}", None, now.proof)
    refusal = _unheard(picture)
    if refusal is not None:
        return refusal
    if not picture.looks:
        risk = "No hash is known, so nothing shows that it was never sent."
    elif any(look.lookup.answer is Answer.MALFORMED for look in picture.looks):
        risk = "Its hash is malformed, so nothing shows that it was never sent."
    elif now.reason == CaseReason.BEYOND_HISTORY or any(look.lookup.answer is Answer.GONE for look in picture.looks):
        risk = "It is older than what this Horizon remembers, so it may have succeeded."
    else:
        doubt = prove_never(picture)
        why = doubt.sentence if isinstance(doubt, Doubt) else ""
        risk = f"It may still land. {why}".rstrip()
    return _failed(picture, reason, f"Marked as failed by a person. {risk}", risk, now.proof)


def cancel(picture: Picture, reason: str) -> Decision | Refusal:
    """Ends the row without a payment of its own: what its hash shows belongs to another row, or to somebody else."""
    row, now = picture.row, decide(picture)
    if now.verdict is not Verdict.CASE or now.reason != reason:
        return Refusal(f"Horizon no longer shows this. It says now: {now.sentence}")
    if reason != CaseReason.HASH_REUSED:
        return Decision(Verdict.CANCELLED, reason, f"Cancelled by a person. {now.sentence}", now.proof)
    transaction = _included(picture)
    paid = {other.id for other in picture.siblings if other.status == "SUCCESS"} | set(picture.claims.values())
    taken = {} if transaction is None else claimed_by_others(row, transaction, picture.siblings, picture.claims)
    holders = sorted({str(holder) for holder in taken.values() if holder in paid})
    if not holders:
        return Refusal(
            "The other row was not paid yet: wait until it is, or until this one turns out to be the right one."
        )
    named: list[Json] = list(holders)
    return Decision(
        Verdict.CANCELLED,
        reason,
        f"Cancelled by a person: it repeats {', '.join(holders)}, which this payment belongs to.",
        now.proof | {"repeats": named},
    )


def link(picture: Picture, other: Picture) -> Decision | Refusal:
    """Whether the row may look for its payment under another hash: `other` is its picture under that one.

    The verdict of the answer is what the rules say under the new hash: nothing is settled by linking.
    """
    now, then = decide(picture), decide(other)
    if other.row.hash == picture.row.hash:
        return Refusal("The row has this hash already.")
    if now.verdict is Verdict.SUCCESS:
        return Refusal(f"Its own hash pays it: {now.sentence} It settles by itself.")
    transaction = _included(other)
    if transaction is None or not transaction.hash_proved:
        return Refusal(f"Horizon does not show the other transaction as included: {then.sentence}")
    if not transaction.successful:
        return Refusal(f"The other transaction failed on the chain: {then.sentence}.")
    if then.verdict is not Verdict.SUCCESS and then.reason in (
        CaseReason.HASH_REUSED,
        CaseReason.DESTINATION_MISMATCH,
        CaseReason.INVALID_HASH,
    ):
        return Refusal(f"The other transaction does not pay this row: {then.sentence}")
    return then


def payments(reason: str, details: Mapping[str, object]) -> tuple[Payment, ...]:
    """The payments that a case's details (or a proof's) leave to be meant: none, one, or equal ones to choose from.

    The same function says what a page offers and what is settled, so that they cannot differ.
    """
    expected, found = details.get("expected"), details.get("found")
    operations = found.get("operations") if isinstance(found, Mapping) else None
    if not isinstance(expected, Mapping) or not isinstance(operations, Sequence) or len(operations) >= _MOST:
        return ()
    told = [one for one in operations if isinstance(one, Mapping) and isinstance(one.get("index"), int)]
    receiver = parse_address(str(expected.get("destination") or ""))
    if reason == CaseReason.CLAIMABLE_UNCLAIMED:
        account = None if receiver is None else receiver.account
        told = [one for one in told if one.get("offered") and account in (one.get("claimants") or ())]
    else:
        told = [one for one in told if one.get("received")]
        if reason != CaseReason.DESTINATION_MISMATCH:
            mine = None if receiver is None else address_text(receiver)
            told = [one for one in told if one.get("destination") == mine]
        if reason in (CaseReason.AMOUNT_MISMATCH, CaseReason.MEMO_MISMATCH, CaseReason.REFUND_SPENT):
            told = [one for one in told if one.get("asset") == expected.get("asset")]
    meant = [one for item in told if (one := _payment(item)) is not None]
    if reason == CaseReason.MEMO_MISMATCH:
        # All of them are what was expected: which one it is only matters to other rows on the same hash.
        return tuple(one for one in meant if one.amount == _decimal(expected.get("amount")))
    return tuple(meant) if len(meant) == 1 else ()


def payment(reason: str, details: Mapping[str, object]) -> Payment | None:
    """The only payment that can be meant; None: there is none, or a person has to choose."""
    found = payments(reason, details)
    return found[0] if len(found) == 1 else None


def _payment(told: Mapping[str, object]) -> Payment | None:
    amount, asset, index = _decimal(told.get("received") or told.get("offered")), told.get("asset"), told.get("index")
    if amount is None or amount <= 0 or not isinstance(asset, str) or not isinstance(index, int):
        return None
    return Payment(index, amount, asset)


def _decimal(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _included(picture: Picture) -> ChainTransaction | None:
    found = [look.lookup.transaction for look in picture.looks if look.lookup.transaction is not None]
    return with_claimed(found[0], picture.claimings) if found else None


def _with_named(picture: Picture, claiming: Picture) -> Picture:
    """The picture with a transaction that a person named listed beside every balance of the row's own transaction."""
    transaction = _included(picture)
    named = [look.lookup for look in claiming.looks]
    balances = {one.balance_id for one in transaction.operations if one.balance_id} if transaction else set()
    known = {balance: (*picture.claimings.get(balance, ()), *named) for balance in balances}
    return dataclasses.replace(picture, claimings={**picture.claimings, **known})


def _unheard(picture: Picture) -> Refusal | None:
    """Why the answers of this moment do not show an absence; None: they do, or nothing could be asked."""
    if picture.frozen is not None:
        return Refusal(f"No answer of this server counts now: {picture.frozen}")
    if not picture.looks and hash_to_ask(picture.row) is not None:
        return Refusal("Horizon was not asked, so nothing is decided.")
    for look in picture.looks:
        if look.lookup.answer in _SILENT:
            return Refusal(f"Horizon gives no answer now, so nothing is decided: {look.lookup.detail}")
        if look.lookup.answer is Answer.ABSENT:
            if look.watermark.behind:
                return Refusal(
                    "Horizon is behind the network: it may only not know it yet. Decide when it has caught up."
                )
            if not picture.canary and not picture.lists_nothing:
                return Refusal("Horizon does not find a transaction that it lists itself: its 404 means nothing now.")
    return None


def _failed(picture: Picture, reason: str, sentence: str, risk: str | None, proof: Mapping[str, Json]) -> Decision:
    requests: list[Json] = [f"GET /transactions/{look.lookup.asked} → {look.lookup.status}" for look in picture.looks]
    newest = max((look.watermark.ledger for look in picture.looks), default=None)
    told: dict[str, Json] = {"risk": risk, "requests": requests, "ledger": newest}
    return Decision(Verdict.MARKED_FAILED, reason, sentence, dict(proof) | told)
