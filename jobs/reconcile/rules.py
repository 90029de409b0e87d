"""When a transaction may change state: money moves only on proof.

Pure: a `Picture` of what was asked and answered goes in, a `Decision` comes out. Everything that is not proof keeps
the row as it is, and what a person has to see becomes a case. A decision may name what it would ask next (`ask`);
whoever does the asking brings a fuller picture back.

FAILED rows of the retry job go the same way, but only a proof of success counts for them: they are final otherwise.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from datetime import timedelta

from jobs.horizon.model import Answer, ChainTransaction, Watermark
from jobs.reconcile.claiming import balances_to_ask, proof_of_claim, with_claimed
from jobs.reconcile.matching import Difference, expected, found, match, relevant
from jobs.reconcile.never import Doubt, prove_never
from jobs.reconcile.oddity import mistimed, oddity
from jobs.reconcile.picture import NOTHING, Ask, CaseReason, Decision, Json, Look, Picture, Row, Verdict

_HASH = re.compile(r"[0-9a-f]{64}")
_FAILED_ROW_CASES = frozenset(
    {
        CaseReason.AMOUNT_MISMATCH,
        CaseReason.ASSET_MISMATCH,
        CaseReason.DESTINATION_MISMATCH,
        CaseReason.MEMO_MISMATCH,
        CaseReason.HASH_REUSED,
        CaseReason.CLAIMABLE_UNCLAIMED,
    }
)


def decide(picture: Picture) -> Decision:
    """What follows for the row of `picture`."""
    row = picture.row
    if row.type == "SWAP" or row.status not in ("PENDING", "FAILED"):
        return _keep("not_ours", f"A {row.type} that is {row.status} is not reconciled.")
    decision = _decide(picture)
    if row.status == "FAILED":
        if decision.verdict is Verdict.FAILED:
            return _keep("final", f"It failed, and that is confirmed: {decision.sentence}", looks=picture.looks)
        if decision.verdict is Verdict.CASE and decision.reason not in _FAILED_ROW_CASES:
            return _keep(decision.reason, decision.sentence, looks=picture.looks)
    return decision


def hash_to_ask(row: Row) -> str | None:
    """The hash of a row that is worth a request, lower case; None: none, none that could exist, or an odd row."""
    return row.hash if row.hash is not None and _HASH.fullmatch(row.hash) and oddity(row) is None else None


def _decide(picture: Picture) -> Decision:
    row = picture.row
    if (odd := oddity(row) or mistimed(row, picture.now)) is not None:
        return _case(CaseReason.ODD_ROW, odd, picture)
    if row.hash is None:
        return _without_hash(picture)
    if hash_to_ask(row) is None:
        return _case(
            CaseReason.INVALID_HASH,
            "The hash is malformed: 64 hex digits are needed, and nothing around them.",
            picture,
        )
    if picture.frozen is not None:
        return _keep("frozen", f"No answer of this server counts: {picture.frozen}", looks=picture.looks)
    if not picture.looks:
        return _keep("not_asked", "Horizon was not asked yet.", Ask((row.hash,)))
    if any(look.lookup.server != look.watermark.server for look in picture.looks):
        return _keep("mixed_servers", "The answer and the watermark came from different servers.")
    return _from_answers(picture)


def _without_hash(picture: Picture) -> Decision:
    if _age(picture) > picture.limits.no_hash_after:
        minutes = picture.limits.no_hash_after // timedelta(minutes=1)
        return _case(CaseReason.NO_HASH, f"No hash was saved within {minutes} minutes.", picture)
    return _keep("no_hash_yet", "No hash is saved yet.")


def _from_answers(picture: Picture) -> Decision:
    included = [
        (look, look.lookup.transaction)
        for look in picture.looks
        if look.lookup.answer is Answer.FOUND and look.lookup.transaction is not None and _concerns(picture, look)
    ]
    if included:
        if len({(transaction.canonical, transaction.successful) for _, transaction in included}) > 1:
            contradiction = "The server gave two different answers about one transaction."
            return _keep("contradiction", contradiction, looks=picture.looks)
        return _from_inclusion(picture, *included[0])
    for look in picture.looks:
        if look.lookup.answer is Answer.MALFORMED and look.lookup.asked.lower() == picture.row.hash:
            return _case(CaseReason.INVALID_HASH, "Horizon refuses the hash as malformed.", picture)
    for look in picture.looks:
        if look.lookup.answer is not Answer.ABSENT:
            return _from_no_proof(picture, look)
    return _from_absence(picture)


def _from_no_proof(picture: Picture, look: Look) -> Decision:
    """What keeps a row waiting: a server in trouble, or a record that nobody here can read, today or tomorrow."""
    sentence = f"No answer that proves anything: {look.lookup.detail}"
    if look.lookup.answer is not Answer.GARBLED or not picture.canary:
        return _keep(look.lookup.answer.value, sentence, looks=(look,))
    # The server shows other transactions well: it is not the server.
    if _age(picture) <= picture.limits.expire_unproven_after:
        return _keep("unreadable", sentence, looks=(look,))
    hours = picture.limits.expire_unproven_after // timedelta(hours=1)
    return _case(CaseReason.EXPIRED_UNPROVEN, f"Unreadable for more than {hours} hours. {sentence}", picture)


def _concerns(picture: Picture, look: Look) -> bool:
    """Whether an answer is about the row: under its own hash, or the other hash of its own envelope."""
    asked, own = look.lookup.asked.lower(), picture.row.hash
    envelope = picture.envelope
    return asked == own or (envelope is not None and own in envelope.hashes and asked in envelope.hashes)


def _from_inclusion(picture: Picture, look: Look, transaction: ChainTransaction) -> Decision:
    row = picture.row
    asked = look.lookup.asked.lower()
    operations = relevant(transaction)
    proof: dict[str, Json] = {
        "server": look.lookup.server,
        "request": look.lookup.request,
        "ledger": transaction.ledger,
        "closed_at": transaction.closed_at.isoformat(),
        "hash": transaction.canonical,
        "outer_hash": transaction.outer,
        "expected": expected(row),
    }
    if not transaction.hash_proved or asked not in (transaction.canonical.lower(), (transaction.outer or "").lower()):
        return Decision(
            Verdict.CASE,
            CaseReason.INVALID_HASH,
            "The envelope that Horizon shows does not give this hash on the configured network.",
            proof | {"compare": "network", "found": found(transaction, operations)},
        )
    if not transaction.successful:
        codes = ", ".join(transaction.operation_codes)
        sentence = transaction.result_code + (f" ({codes})" if codes else "")
        return Decision(Verdict.FAILED, "included_failed", sentence, proof | {"result": sentence})
    transaction = with_claimed(transaction, picture.claimings)
    outcome = match(row, transaction, picture.siblings, picture.claims)
    if isinstance(outcome, Difference):
        details = proof | {"found": found(transaction, relevant(transaction))}
        unclaimed = outcome.reason is CaseReason.CLAIMABLE_UNCLAIMED
        ask = Ask(balances=balances_to_ask(row, transaction, picture.claimings)) if unclaimed else NOTHING
        return Decision(Verdict.CASE, outcome.reason, outcome.sentence, details, ask=ask)
    proof |= proof_of_claim(outcome.operation, picture.claimings)
    return Decision(
        Verdict.SUCCESS,
        "included",
        f"Included in ledger {transaction.ledger}; receiver, asset, amount and memo match.",
        proof | {"found": found(transaction, [outcome.operation]), "operation": outcome.operation.index},
        transaction.canonical.lower(),
        outcome.operation.index,
    )


def _from_absence(picture: Picture) -> Decision:
    row, envelope = picture.row, picture.envelope
    if envelope is not None and row.hash in envelope.hashes:
        asked = {look.lookup.asked.lower() for look in picture.looks}
        others = tuple(hash_ for hash_ in envelope.hashes if hash_ not in asked)
        if others:
            sentence = "Absent under this hash; its other hash was not asked yet."
            return _keep("absent", sentence, Ask(others), picture.looks)
    if not picture.canary and not picture.lists_nothing:
        sentence = "Nothing that the server itself lists was found by its hash: its 404 means nothing."
        return _keep("no_canary", sentence, looks=picture.looks)
    if any(_forgotten(look.watermark, row) and not look.watermark.keeps_all for look in picture.looks):
        sentence = "It is older than what this server keeps by design: a Horizon has to be asked."
        return _keep("beyond_memory", sentence, looks=picture.looks)
    if any(_forgotten(look.watermark, row) for look in picture.looks):
        return _case(
            CaseReason.BEYOND_HISTORY, "It is older than what this Horizon remembers: this server cannot know.", picture
        )
    if picture.unreadable:
        return _case(
            CaseReason.ODD_ROW,
            "Absent, and the signed envelope that is kept cannot be decoded, so that nothing can ever prove that it will "
            "not land: set the envelope as it was signed, in base64, or clear it.",
            picture,
        )
    outcome = prove_never(picture)
    if not isinstance(outcome, Doubt):
        return Decision(Verdict.FAILED, outcome.reason, outcome.sentence, outcome.proof | {"expected": expected(row)})
    old = _age(picture) > picture.limits.expire_unproven_after
    if old and not outcome.waiting and not outcome.ask:
        hours = picture.limits.expire_unproven_after // timedelta(hours=1)
        return _case(CaseReason.EXPIRED_UNPROVEN, f"Absent for more than {hours} hours. {outcome.sentence}", picture)
    ask = outcome.ask if row.status == "PENDING" else NOTHING
    earliest = min(picture.looks, key=lambda look: look.watermark.ledger)
    return _keep("absent", f"Horizon does not know it. {outcome.sentence}", ask, (earliest,))


def _age(picture: Picture) -> timedelta:
    return picture.now - picture.row.order[0]


def _forgotten(mark: Watermark, row: Row) -> bool:
    return mark.elder_closed_at is not None and mark.elder_closed_at > row.order[0]


def _keep(reason: str, sentence: str, ask: Ask = NOTHING, looks: Sequence[Look] = ()) -> Decision:
    seen: dict[str, Json] = {}
    if looks:
        look = looks[0]
        seen = {"server": look.watermark.server, "ledger": look.watermark.ledger, "request": look.lookup.request}
    return Decision(Verdict.KEEP, reason, sentence, seen, ask=ask)


def _case(reason: CaseReason, sentence: str, picture: Picture) -> Decision:
    details: dict[str, Json] = {"expected": expected(picture.row), "found": None, "hash": picture.row.tx_hash}
    if picture.looks:
        look = picture.looks[-1]
        details |= {
            "server": look.watermark.server,
            "ledger": look.watermark.ledger,
            "elder_closed_at": None
            if look.watermark.elder_closed_at is None
            else look.watermark.elder_closed_at.isoformat(),
            "request": look.lookup.request,
            "answer": look.lookup.answer.value,
            "found": look.lookup.detail,
        }
    return Decision(Verdict.CASE, reason, sentence, details)


def with_reason(decision: Decision, reason: CaseReason, sentence: str) -> Decision:
    """The same proof as a case: what the books refused at the moment of settling."""
    return dataclasses.replace(decision, verdict=Verdict.CASE, reason=reason, sentence=sentence)
