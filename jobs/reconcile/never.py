"""Proof that a transaction was never included, and never will be.

The order is the proof: first a server's watermark, then its 404 at or past it, for every hash of the signed envelope,
and twice, because a load balancer may answer from a server that is behind. Then one of three facts of the watermark:
a ledger closed after the envelope's latest time, the ledger after which it is invalid, or an account whose sequence
number has passed the envelope's. No clock of ours takes part. See stellar-core's `TransactionFrame.cpp`
(`isTooLate`, `isBadSeq`).
"""

from __future__ import annotations

import calendar
from collections.abc import Callable
from dataclasses import dataclass, field

from jobs.horizon.model import Answer, SignedEnvelope, Watermark
from jobs.reconcile.picture import NOTHING, Ask, Json, Picture

ABSENCES_NEEDED = 2


@dataclass(frozen=True, slots=True)
class Never:
    """Proved: `reason` is time_bounds, ledger_bounds or sequence."""

    reason: str
    sentence: str
    proof: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Doubt:
    """Not proved: why, what to ask to get further, and whether waiting alone may still bring the proof."""

    reason: str
    sentence: str
    ask: Ask = NOTHING
    waiting: bool = False


def prove_never(picture: Picture) -> Never | Doubt:
    """Whether the 404s of a picture prove that the row's transaction can never be included."""
    envelope = picture.envelope
    if not picture.canary:
        return Doubt("no_canary", "The server lists no transaction at all, so nothing shows that its 404 means absent.")
    if envelope is None:
        return Doubt("no_envelope", "No signed envelope is kept for this hash, and age alone proves nothing.")
    if picture.row.hash not in envelope.hashes:
        return Doubt("no_envelope", "The signed envelope belongs to another hash, so it proves nothing about this one.")
    newest = max((look.watermark for look in picture.looks), key=lambda mark: mark.ledger)
    if any(look.watermark.behind for look in picture.looks):
        return Doubt("behind", "Horizon is behind the network: its 404 may only be late.", waiting=True)
    if any(look.watermark.elder_closed_at is None for look in picture.looks):
        return Doubt("retention_unknown", "How far back this Horizon remembers is not known.")
    for reason, sentence, holds in _facts(picture, envelope):
        if not holds(newest) and reason != "sequence":  # an account read after the watermark asks for a newer one
            continue
        missing = tuple(hash_ for hash_ in envelope.hashes if _absences(picture, hash_, holds) < ABSENCES_NEEDED)
        if missing:
            return Doubt("unconfirmed", f"{sentence} The 404 has to be confirmed.", Ask(missing), waiting=True)
        return Never(reason, sentence, _proof(picture, envelope, newest, reason))
    unasked = None if picture.account_asked else envelope.source
    if envelope.max_time or envelope.max_ledger:
        return Doubt("may_land", "It may still be included: its bounds have not passed.", Ask(account=unasked), True)
    return Doubt("never_expires", "It has no time or ledger bound and may still be included.", Ask(account=unasked))


def _facts(picture: Picture, envelope: SignedEnvelope) -> list[tuple[str, str, Callable[[Watermark], bool]]]:
    """What would make the envelope invalid for ever, as tests of a watermark."""
    account = picture.account
    facts: list[tuple[str, str, Callable[[Watermark], bool]]] = []
    if envelope.max_time:
        facts.append(
            (
                "time_bounds",
                f"Never included: a ledger closed after its latest time ({envelope.max_time}) and it is absent.",
                lambda mark: calendar.timegm(mark.closed_at.utctimetuple()) > envelope.max_time,
            )
        )
    if envelope.max_ledger:
        facts.append(
            (
                "ledger_bounds",
                f"Never included: its last possible ledger, {envelope.max_ledger - 1}, has closed and it is absent.",
                lambda mark: mark.ledger >= envelope.max_ledger - 1,
            )
        )
    if account is not None and account.account == envelope.source and account.sequence >= envelope.sequence:
        facts.append(
            (
                "sequence",
                f"Never included: its account's sequence number is {account.sequence}, at or past its own, and it is absent.",
                lambda mark: mark.server == account.server and mark.ledger >= account.ledger,
            )
        )
    return facts


def _absences(picture: Picture, hash_: str, holds: Callable[[Watermark], bool]) -> int:
    """The 404s for one hash that came after a watermark which shows the fact."""
    return sum(
        look.lookup.answer is Answer.ABSENT
        and look.lookup.asked.lower() == hash_
        and look.lookup.server == look.watermark.server
        and holds(look.watermark)
        for look in picture.looks
    )


def _proof(picture: Picture, envelope: SignedEnvelope, newest: Watermark, reason: str) -> dict[str, Json]:
    account = picture.account
    return {
        "never": reason,
        "server": newest.server,
        "ledger": newest.ledger,
        "closed_at": newest.closed_at.isoformat(),
        "elder_ledger": newest.elder_ledger,
        "requests": [
            f"{look.lookup.request} → {look.lookup.status or look.lookup.answer} after ledger {look.watermark.ledger}"
            for look in picture.looks
        ],
        "hashes": list(envelope.hashes),
        "max_time": envelope.max_time,
        "max_ledger": envelope.max_ledger,
        "sequence": envelope.sequence,
        "account_sequence": None if account is None else account.sequence,
    }
