"""Result codes in Horizon's own words (`tx_failed`, `op_underfunded`), decoded from XDR.

Most words follow from the protocol's names; the table holds those that Horizon words differently. Horizon's vocabulary:
`services/horizon/internal/codes` of stellar/go.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache

from stellar_sdk import xdr

_OTHERWISE = {
    "ALREADY_EXIST": "op_already_exists",
    "OFFER_CROSS_SELF": "op_cross_self",
    "OVER_SENDMAX": "op_over_source_max",
    "UNDER_DESTMIN": "op_under_dest_min",
    "SELL_NOT_AUTHORIZED": "sell_not_authorized",
    "BUY_NOT_AUTHORIZED": "buy_not_authorized",
    "BUY_NO_ISSUER": "buy_no_issuer",
    "NOT_FOUND": "op_offer_not_found",
    "NO_TRUST_LINE": "op_no_trustline",
    "TRUST_NOT_REQUIRED": "op_not_required",
    "SEQNUM_TOO_FAR": "op_seq_num_too_far",
    "NAME_NOT_FOUND": "op_data_name_not_found",
    "INVALID_NAME": "op_data_invalid_name",
    "opNO_ACCOUNT": "op_no_source_account",
    "txNO_ACCOUNT": "tx_no_source_account",
    "txBAD_MIN_SEQ_AGE_OR_GAP": "tx_bad_minseq_age_or_gap",
}


@lru_cache(maxsize=512, typed=True)  # codes of different enumerations are equal as numbers
def word(code: IntEnum) -> str:
    """Horizon's word for a code of a transaction's, an operation's or an operation's inner result."""
    name = code.name
    if isinstance(code, xdr.TransactionResultCode):
        return _OTHERWISE.get(name, f"tx_{name.removeprefix('tx').lower()}")
    if isinstance(code, xdr.OperationResultCode):
        return _OTHERWISE.get(name, f"op_{name.removeprefix('op').lower()}")
    # Code 0 of every operation is PAYMENT_SUCCESS or alike: what stands before SUCCESS is the operation's prefix.
    name = name.removeprefix(type(code)(0).name.removesuffix("SUCCESS"))
    return _OTHERWISE.get(name, f"op_{name.lower()}")
