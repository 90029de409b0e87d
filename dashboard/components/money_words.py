"""Codes of reconciliation as sentences: reasons of cases, outcomes of looks, results from the chain.

Pure. A code that nobody has listed is shown as its own words, never hidden.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from jobs.core.logs import redact

KINDS: Mapping[str, str] = {"DEPOSIT": "deposit", "WITHDRAW": "withdrawal", "SWAP": "swap"}

# reason -> what happened, and what a person can do about it
_REASONS: Mapping[str, tuple[str, str]] = {
    "AMOUNT_MISMATCH": (
        "The amount differs",
        "Ask the user what they meant to send; what arrived is on the chain, and can be credited or returned by hand.",
    ),
    "ASSET_MISMATCH": (
        "Another asset arrived",
        "Check code and issuer: an asset of the same name by another issuer may be worth nothing.",
    ),
    "DESTINATION_MISMATCH": (
        "It was paid to somebody else",
        "Compare the two receivers; money sent to a stranger can only come back from them.",
    ),
    "MEMO_MISMATCH": (
        "The memo differs",
        "Ask the sender for the memo they used: the payment may be meant for another user.",
    ),
    "HASH_REUSED": (
        "The payment belongs to another row already",
        "Compare both rows: one of them is a repetition, or its hash was copied from the other.",
    ),
    "CLAIMABLE_UNCLAIMED": (
        "Sent as a claimable balance, not claimed yet",
        "Claim it with the receiving account: the claim is looked for by itself, and settles it.",
    ),
    "NO_HASH": (
        "No hash was ever saved",
        "Find the payment by its sender or its memo; without a hash nothing can be looked up.",
    ),
    "INVALID_HASH": (
        "The hash cannot be right",
        "Get the right hash from the sender or from the wallet that submitted it.",
    ),
    "BEYOND_HISTORY": (
        "Older than Horizon remembers",
        "Ask a Horizon server with the full history, or an explorer, for this hash.",
    ),
    "EXPIRED_UNPROVEN": (
        "Waiting for long, and nothing proved",
        "If absent, only the signed envelope could prove it dead: ask whoever sent it. If unreadable, see an explorer.",
    ),
    "REFUND_SPENT": (
        "It was paid after all, and its refund is spent",
        "The user has the money twice: agree with them how it comes back. Accept it once their balance covers it again.",
    ),
    "ODD_ROW": (
        "The row itself cannot be right",
        "Mend the row in the application's table as the sentence says; the next look goes on with it.",
    ),
}

# outcome of the last look -> how a list says it
_LOOKS: Mapping[str, str] = {
    "absent": "Horizon does not list it yet",
    "not_asked": "Horizon was not asked yet",
    "no_hash_yet": "No hash is saved yet",
    "unavailable": "Horizon was not available",
    "timeout": "Horizon did not answer in time",
    "refused": "Horizon could not be reached",
    "rate_limited": "The request budget was spent",
    "garbled": "Horizon's answer was unreadable",
    "unreadable": "Horizon lists it in a form that cannot be read",
    "beyond_memory": "It is older than what this server keeps",
    "gone": "Horizon no longer keeps that time",
    "frozen": "This server's answers do not count now",
    "no_canary": "This server's 404 cannot be trusted",
    "mixed_servers": "Two servers answered in turn",
    "contradiction": "Horizon contradicted itself",
    "odd": "The rules could not judge it",
    "final": "Its failure is confirmed",
    "included": "Included, and all of it matches",
    "included_failed": "Included as failed",
    "time_bounds": "Proved: it can never be included",
    "ledger_bounds": "Proved: it can never be included",
    "sequence": "Proved: it can never be included",
}

# Horizon's result codes -> what they mean; what stands in brackets says more than what stands before
_RESULTS: Mapping[str, str] = {
    "tx_failed": "an operation failed",
    "tx_too_late": "it came after its time limit",
    "tx_too_early": "it came before its time",
    "tx_bad_seq": "its sequence number was wrong",
    "tx_bad_auth": "a signature was missing or wrong",
    "tx_insufficient_balance": "the account that pays the fee had too little",
    "tx_insufficient_fee": "its fee was too low",
    "tx_no_source_account": "the sending account does not exist",
    "tx_fee_bump_inner_failed": "the transaction inside the fee-bump failed",
    "op_underfunded": "the sender had too little",
    "op_low_reserve": "too little would have stayed as the reserve",
    "op_no_destination": "the receiving account does not exist",
    "op_no_trustline": "the receiver does not accept this asset",
    "op_no_trust": "the receiver does not accept this asset",
    "op_src_no_trust": "the sender does not hold this asset",
    "op_not_authorized": "the receiver may not hold this asset",
    "op_src_not_authorized": "the sender may not send this asset",
    "op_line_full": "the receiver cannot hold so much of this asset",
    "op_no_issuer": "the asset's issuer does not exist",
    "op_malformed": "the operation was malformed",
    "op_too_few_offers": "nobody offered enough to exchange",
    "op_over_source_max": "the exchange would have cost more than allowed",
    "op_under_dest_min": "the exchange would have given less than asked for",
    "op_bad_auth": "a signature was missing or wrong",
}
_CODE = re.compile(r"\b(?:tx|op)_[a-z_]+\b")
_ZEROS = re.compile(r"\b(\d+)\.(\d{7,8})\b")
"""An amount with all of its places, as stored sentences have them."""
_BOOKED: Mapping[str, str] = {
    "OPENING": "Opening balance",
    "WITHDRAW_DEBIT": "Debited when it was requested",
    "DEPOSIT_CREDIT": "Credited to the user",
    "WITHDRAW_REFUND": "Refunded to the user",
    "REFUND_REVERSAL": "The earlier refund was taken back",
    "WITHDRAW_ADJUSTMENT": "Difference to what was paid out",
}
_ACCOUNTS: Mapping[str, str] = {
    "USER": "user",
    "PLATFORM_ASSET": "platform's assets",
    "PLATFORM_LIABILITY": "platform's liabilities",
    "FEE_REVENUE": "fee revenue",
}


def reason_words(reason: str) -> str:
    """A case's reason: "The amount differs"."""
    known = _REASONS.get(reason)
    return known[0] if known else plain(reason)


def reason_advice(reason: str) -> str:
    """What a person can do about it; empty for a reason that nobody has listed."""
    known = _REASONS.get(reason)
    return known[1] if known else ""


def look_words(outcome: str, detail: str) -> str:
    """The outcome of the last look in a few words; the look's own sentence where the code says nothing."""
    if outcome in _REASONS:
        return reason_words(outcome)
    return _LOOKS.get(outcome) or brief(detail) or plain(outcome)


def failure_words(reason: str | None) -> str:
    """Why it failed, without code: "the sender had too little"; ends without a full stop."""
    if not reason or not reason.strip():
        return "no reason was recorded"
    known = [_RESULTS[code] for code in _CODE.findall(reason) if code in _RESULTS]
    if known:
        return known[-1]
    said = brief(reason, 200).rstrip(".")
    return said[:1].lower() + said[1:]


def booked_words(kind: str) -> str:
    """A posting's kind: "Credited to the user"."""
    return _BOOKED.get(kind) or plain(kind)


def account_words(account_type: str) -> str:
    """A ledger account: "platform's assets"."""
    return _ACCOUNTS.get(account_type) or plain(account_type).lower()


def kind_words(kind: str) -> str:
    """A transaction's type: "withdrawal"."""
    return KINDS.get(kind) or plain(kind).lower() or "transaction"


def plain(code: str) -> str:
    """A code as words: "SOME_CODE" is "Some code"."""
    words = " ".join(code.replace("_", " ").replace(".", " ").split())
    return words[:1].upper() + words[1:].lower()


def brief(value: str, most: int = 90) -> str:
    """The first line of a text without secrets and without zeros that say nothing, cut where it gets long."""
    line = _ZEROS.sub(_trimmed, redact(value).strip().splitlines()[0]) if value.strip() else ""
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def _trimmed(amount: re.Match[str]) -> str:
    return f"{amount[1]}.{amount[2].rstrip('0').ljust(2, '0')}"


def short_id(value: object) -> str:
    """The first eight characters: enough to tell and to search by."""
    return str(value)[:8]


def short_address(value: str) -> str:
    """Both ends of an address or hash; the whole where it is short."""
    return value if len(value) <= 20 else f"{value[:6]}…{value[-6:]}"
