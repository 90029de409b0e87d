"""What a decision on a case will do, in words with the amounts: what a dialog says before anybody presses its button.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from dashboard.components.money_words import kind_words, short_address
from dashboard.components.numbers import amount_text
from dashboard.components.states import word
from dashboard.queries_cases import Case
from jobs.core.errors import UsageError
from jobs.reconcile.picture import CaseReason
from jobs.reconcile.verdicts import Choice, Payment, choices, payment, payments

_HASH = re.compile(r"[0-9a-f]{64}")

# choice -> the button beside a case, what the dialog asks about "case 7" or "12 cases", the button in the dialog
BUTTONS: Mapping[Choice, tuple[str, str, str]] = {
    Choice.ACCEPT: ("Accept as found", "Accept {} as found?", "Accept what arrived"),
    Choice.FAIL: ("Mark as failed", "Mark the transaction of {} as failed?", "Mark as failed"),
    Choice.CANCEL: ("Cancel the transaction", "Cancel the transaction of {}?", "Cancel the transaction"),
    Choice.LINK: ("Link to another hash", "Link {} to another hash?", "Use the other hash"),
    Choice.WAIT: ("Keep waiting", "Let {} wait?", "Close until then"),
}
DECIDED: Mapping[str, str] = {
    "accepted": "Accepted as found",
    "marked_failed": "Marked as failed",
    "cancelled": "Cancelled",
    "linked": "Linked to another hash",
    "waiting": "Waits",
}
_RISKS: Mapping[str, str] = {
    CaseReason.NO_HASH: "No hash was saved, so nothing proves that it was never sent.",
    CaseReason.INVALID_HASH: "Its hash is malformed, so nothing proves that it was never sent.",
    CaseReason.BEYOND_HISTORY: "This Horizon no longer remembers its time: it may well have succeeded.",
    CaseReason.EXPIRED_UNPROVEN: "Nothing proves that it can never land: it may still succeed on the chain.",
}
FIRST = "Horizon is asked again before anything changes, and nothing does if it shows something else."


def possible(case: Case) -> tuple[Choice, ...]:
    """What can be decided about a case, as far as its details tell: what cannot hold is not offered."""
    return tuple(
        choice
        for choice in choices(case.reason, case.type, case.status)
        if choice is not Choice.ACCEPT or payments(case.reason, case.details)
    )


def together(choice: Choice, cases: Iterable[Case]) -> list[Case]:
    """The cases that a choice can decide at once: where there is a payment to choose, each needs a look of its own."""
    able = [case for case in cases if choice in possible(case)]
    return able if choice is not Choice.ACCEPT else [case for case in able if payment(case.reason, case.details)]


def consequence(choice: Choice, case: Case) -> str:
    """What will happen to one case's transaction, money first."""
    what = f"The {kind_words(case.type)} of {amount_text(case.amount)} {case.currency} by {case.email}"
    match choice:
        case Choice.ACCEPT:
            found = payments(case.reason, case.details)  # equal ones where there are several
            return f"{what} ends as SUCCESS. {_accepted(case, found[0])} {FIRST}" if found else ""
        case Choice.FAIL:
            return f"{what} ends as FAILED. {_ended(case)} {_RISKS.get(case.reason, '')} {_rescue(case)} {FIRST}"
        case Choice.CANCEL:
            return f"{what} ends as CANCELLED, and nothing looks at it again. {_ended(case)} {FIRST}"
        case Choice.LINK:
            return (
                f"{what} stays {word(case.status)} and is looked for under the hash that you name; nobody looks at its present"
                " one any more, also if that lands later. No money moves now: the next run settles what it proves."
                f" {FIRST}"
            )
        case Choice.WAIT:
            return (
                f"{what} stays {word(case.status)}: no money moves. The case closes, and the same reason stays silent until"
                " the time that you choose; if proof arrives, it settles all the same."
            )


def several(choice: Choice, chosen: Iterable[Case]) -> str:
    """The same for many cases: how many, and the sums that move."""
    cases = list(chosen)
    count = counted(cases)
    each = "Each is decided on its own; what is refused stays as it is and is listed with the reason."
    if choice is not Choice.WAIT:
        each = f"Horizon is asked again about each. {each}"
    held = sums((case.currency, case.amount) for case in cases)
    match choice:
        case Choice.ACCEPT:
            found = [(case, payment(case.reason, case.details)) for case in cases]
            credited = sums(
                (_asset(one.asset), one.amount) for case, one in found if one is not None and case.type == "DEPOSIT"
            )
            paid = sums((_asset(one.asset), one.amount) for case, one in found if one and case.type == "WITHDRAW")
            said = [f"{credited} are credited to users for deposits." if credited else ""]
            said += [
                f"Withdrawals count as paid out with {paid}; differences move to or from the users." if paid else ""
            ]
            return " ".join(
                [f"{count} over {held} are settled as SUCCESS with what arrived.", *filter(None, said), each]
            )
        case Choice.FAIL:
            refunds = sums((case.currency, case.amount) for case in cases if case.type == "WITHDRAW")
            back = f"{refunds} go back to users for withdrawals." if refunds else "No money moves."
            risk = "Nothing proves that they can never land; retry-failed takes a refund back if one does within a day."
            return f"{count} over {held} end as FAILED. {back} {risk} {each}"
        case Choice.CANCEL:
            refunds = sums((case.currency, case.amount) for case in cases if case.type == "WITHDRAW")
            back = f"{refunds} go back to users for withdrawals." if refunds else "No money moves."
            return f"{count} over {held} end as CANCELLED, and nothing looks at them again. {back} {each}"
        case Choice.LINK:
            return (
                f"Each of {count} over {held} that you name is looked for under its new hash from now on. No money moves now:"
                f" the next run settles what it proves. {each}"
            )
        case _:
            return f"{count} over {held} close until the time that you choose; no money moves. {each}"


def read_hashes(given: str, cases: Sequence[Case]) -> dict[int, str]:
    """The other hash of each case from lines like "12 ab34…"; UsageError names the line that says something else."""
    known = {case.id for case in cases}
    found: dict[int, str] = {}
    for line in filter(None, map(str.strip, given.splitlines())):
        words = line.replace(",", " ").replace(";", " ").split()
        number = words[0].lstrip("#")
        if len(words) != 2 or not number.isdecimal() or _HASH.fullmatch(words[1].lower()) is None:
            raise UsageError(f"“{line[:80]}” is not the number of a case and 64 hex digits.")
        if int(number) not in known:
            raise UsageError(f"Case {int(number)} is not among those chosen, or cannot be linked.")
        if int(number) in found:
            raise UsageError(f"Case {int(number)} stands there twice.")
        found[int(number)] = words[1].lower()
    if not found:
        raise UsageError("Name at least one case and its hash.")
    return found


def counted(cases: Sequence[Case]) -> str:
    """ "1 case", "12 cases"."""
    return f"{len(cases):,} {'case' if len(cases) == 1 else 'cases'}"


def sums(amounts: Iterable[tuple[str, Decimal]]) -> str:
    """Sums by currency: "1,204.50 XLM and 30.00 USDC"; empty for nothing."""
    total: dict[str, Decimal] = {}
    for currency, amount in amounts:
        total[currency] = total.get(currency, Decimal(0)) + amount
    return " and ".join(f"{amount_text(amount)} {currency}" for currency, amount in sorted(total.items()))


def _accepted(case: Case, found: Payment) -> str:
    arrived = f"{amount_text(found.amount)} {_asset(found.asset)}"
    expected = f"{amount_text(case.amount)} {case.currency}"
    if case.type == "DEPOSIT":
        told = f"What arrived, {arrived}, is credited to the user and replaces the {expected} in the row."
        return f"{told} They are told."
    if case.status == "FAILED":
        return f"It was refunded: {arrived} are taken back from the user, if their balance covers it."
    difference = found.amount - case.amount
    if difference < 0:
        return f"It paid out {arrived}: {amount_text(-difference)} {case.currency} go back to the user."
    if difference > 0:
        more = f"{amount_text(difference)} {case.currency}"
        return f"It paid out {arrived}: another {more} are taken from the user, if their balance covers it."
    return "No money moves: it was debited when it was requested."


def _ended(case: Case) -> str:
    if case.type == "WITHDRAW":
        return f"{amount_text(case.amount)} {case.currency} go back to the user at once."
    return "No money moves."


def _rescue(case: Case) -> str:
    if case.type == "WITHDRAW":
        return "If it succeeds within a day, retry-failed takes the refund back, as far as the balance still covers it."
    return "If it succeeds within a day, retry-failed credits it."


def _asset(asset: str) -> str:
    code, _, issuer = asset.partition(":")
    return f"{code} (issuer {short_address(issuer)})" if issuer else code
