"""What a look at a settled transaction, judged as if it were still pending, says about its status.

Pure. The rules are those that settle: a status is confirmed where they would lead to it again and contradicted where
what they found excludes it. Everything else stays unknown, because silence is no proof either way.
"""

from __future__ import annotations

from enum import StrEnum

from jobs.horizon.model import Answer
from jobs.integrity.model import Check, Found
from jobs.reconcile.picture import CaseReason, Decision, Row, Verdict

_UNKNOWABLE = frozenset({CaseReason.BEYOND_HISTORY, CaseReason.NO_HASH})
_PAID_OTHERWISE = frozenset(
    {
        CaseReason.AMOUNT_MISMATCH,
        CaseReason.ASSET_MISMATCH,
        CaseReason.DESTINATION_MISMATCH,
        CaseReason.MEMO_MISMATCH,
        CaseReason.CLAIMABLE_UNCLAIMED,
    }
)


class Standing(StrEnum):
    """What the network says to a settled status."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    UNKNOWN = "unknown"


def judge(status: str, decision: Decision) -> Standing:
    """How a row that is `status` (SUCCESS or FAILED) stands by the decision that it would get if it were pending.

    A success says that the payment is in the history. So one that the server does not list, though it remembers that
    time and is up to date (EXPIRED_UNPROVEN), is contradicted; a failure is not, it is only not confirmed. A failure
    whose payment was included after all is contradicted also where the payment is not the one that was expected:
    money moved.
    """
    if decision.verdict in (Verdict.SUCCESS, Verdict.FAILED):
        same = decision.verdict.value.upper() == status
        return Standing.CONFIRMED if same else Standing.CONTRADICTED
    if decision.verdict is not Verdict.CASE or decision.reason in _UNKNOWABLE:
        return Standing.UNKNOWN
    if decision.proof.get("answer") == Answer.GARBLED:  # it is listed, in a form that cannot be read
        return Standing.UNKNOWN
    excluded = status == "SUCCESS" or decision.reason in _PAID_OTHERWISE
    return Standing.CONTRADICTED if excluded else Standing.UNKNOWN


def finding(row: Row, status: str, decision: Decision) -> Found:
    """A contradiction as a finding; `status` is what the row says."""
    says = {Verdict.SUCCESS: "SUCCESS", Verdict.FAILED: "FAILED"}.get(decision.verdict, decision.reason)
    return Found(
        check=Check.HISTORY,
        subject=str(row.id),
        sentence=f"It is {status}, and the network says otherwise: {decision.sentence.rstrip('.')}",
        expected=status,
        actual=says,
        transaction_id=row.id,
        user_id=row.user_id,
        currency=row.currency,
        asset_issuer=row.asset_issuer or "",
    )
