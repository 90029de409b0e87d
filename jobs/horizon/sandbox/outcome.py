"""How an operation ended, in Horizon's word and in XDR."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from stellar_sdk import xdr

OP_SUCCESS = "op_success"
_ODD_NAMES = {
    "OVER_SENDMAX": "op_over_source_max",
    "UNDER_DESTMIN": "op_under_dest_min",
    "ALREADY_EXIST": "op_already_exists",
}
_PREFIXES = (
    "CREATE_ACCOUNT_",
    "PATH_PAYMENT_STRICT_RECEIVE_",
    "PATH_PAYMENT_STRICT_SEND_",
    "PAYMENT_",
    "ACCOUNT_MERGE_",
    "CREATE_CLAIMABLE_BALANCE_",
    "CLAIM_CLAIMABLE_BALANCE_",
    "CHANGE_TRUST_",
    "BUMP_SEQUENCE_",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One operation's result: Horizon's word for it and the XDR."""

    code: str
    result: xdr.OperationResult

    @property
    def ok(self) -> bool:
        return self.code == OP_SUCCESS


def code_name(code: IntEnum) -> str:
    """Horizon's word for an operation's result code: `PAYMENT_UNDERFUNDED` → `op_underfunded`."""
    for prefix in _PREFIXES:
        if code.name.startswith(prefix):
            rest = code.name.removeprefix(prefix)
            return _ODD_NAMES.get(rest, f"op_{rest.lower()}")
    return f"op_{code.name.removeprefix('op').lower()}"


def wrap(code: IntEnum, tr: xdr.OperationResultTr) -> Outcome:
    """The outcome of an operation that was tried, whatever its code."""
    return Outcome(code_name(code), xdr.OperationResult(xdr.OperationResultCode.opINNER, tr))
