"""The plainest envelopes, read straight from their bytes: version 1, nothing but payments, no conditions beyond a time.

Nearly all that an exchange receives looks like this, and stellar-sdk's generated decoders make an object of every field
on the way, ten times the work. Whatever is not exactly of this shape, to the last byte, is left to them. The tests hold
both against each other.
"""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct

from stellar_sdk import StrKey

from jobs.horizon.model import Address, Asset, Memo, Operation

NATIVE = Asset("XLM", None)
_uint, _int64, _uint64 = (Struct(f">{code}").unpack_from for code in "IqQ")
_TX, _PAYMENT, _MUXED = 2, 1, 0x100
_MOST_OPERATIONS, _MOST_SIGNATURES, _LONGEST_SIGNATURE, _LONGEST_TEXT = 100, 20, 64, 28


class _OtherShapeError(ValueError):
    """Something that only the whole decoder reads."""


@dataclass(frozen=True, slots=True)
class Plain:
    """What such an envelope says; its operations as they are if the transaction succeeds."""

    memo: Memo
    operations: tuple[Operation, ...]
    signed: int
    """How many of its first bytes the signatures are for."""


def read_plain(raw: bytes) -> Plain | None:
    """The envelope of these bytes; None if it has another shape, or none at all."""
    try:
        return _read(raw)
    except (_OtherShapeError, struct.error, ValueError):
        return None


def _read(raw: bytes) -> Plain:
    if _uint(raw, 0)[0] != _TX:
        raise _OtherShapeError
    source, at = _address(raw, 4)
    at += 12  # fee, sequence number
    (conditions,) = _uint(raw, at)
    if conditions > 1:
        raise _OtherShapeError
    memo, at = _memo(raw, at + 4 + 16 * conditions)
    (number,) = _uint(raw, at)
    if number > _MOST_OPERATIONS:
        raise _OtherShapeError
    at += 4
    operations = []
    for index in range(number):
        operation, at = _payment(raw, at, index, source)
        operations.append(operation)
    if _uint(raw, at)[0] != 0:  # an extension
        raise _OtherShapeError
    signed = at + 4
    if _end_of_signatures(raw, signed) != len(raw):
        raise _OtherShapeError
    return Plain(memo, tuple(operations), signed)


def _payment(raw: bytes, at: int, index: int, source: Address) -> tuple[Operation, int]:
    (own_source,) = _uint(raw, at)
    at += 4
    if own_source == 1:
        source, at = _address(raw, at)
    if own_source > 1 or _uint(raw, at)[0] != _PAYMENT:
        raise _OtherShapeError
    destination, at = _address(raw, at + 4)
    asset, at = _asset(raw, at)
    (amount,) = _int64(raw, at)
    return Operation(index, "payment", source, destination, asset, amount), at + 8


def _address(raw: bytes, at: int) -> tuple[Address, int]:
    (kind,) = _uint(raw, at)
    if kind == 0:
        return _base(raw[at + 4 : at + 36]), at + 36
    if kind != _MUXED:
        raise _OtherShapeError
    return Address(encode_account(raw[at + 12 : at + 44]), _uint64(raw, at + 4)[0]), at + 44


def _asset(raw: bytes, at: int) -> tuple[Asset, int]:
    (kind,) = _uint(raw, at)
    if kind == 0:
        return NATIVE, at + 4
    if kind > 2:
        raise _OtherShapeError
    issuer = at + 4 + (4 if kind == 1 else 12)
    if _uint(raw, issuer)[0] != 0:
        raise _OtherShapeError
    code = raw[at + 4 : issuer].rstrip(b"\0").decode("ascii")
    return Asset(code, encode_account(raw[issuer + 4 : issuer + 36])), issuer + 36


def _memo(raw: bytes, at: int) -> tuple[Memo, int]:
    (kind,) = _uint(raw, at)
    at += 4
    if kind == 0:
        return Memo("none", None), at
    if kind == 1:
        (length,) = _uint(raw, at)
        if length > _LONGEST_TEXT:
            raise _OtherShapeError
        return text_memo(raw[at + 4 : at + 4 + length]), at + 4 + _padded(length)
    if kind == 2:
        return Memo("id", str(_uint64(raw, at)[0])), at + 8
    if kind > 4:
        raise _OtherShapeError
    return hash_memo("hash" if kind == 3 else "return", raw[at : at + 32]), at + 32


def _end_of_signatures(raw: bytes, at: int) -> int:
    (number,) = _uint(raw, at)
    if number > _MOST_SIGNATURES:
        raise _OtherShapeError
    at += 4
    for _ in range(number):
        (length,) = _uint(raw, at + 4)  # behind the hint
        if length > _LONGEST_SIGNATURE:
            raise _OtherShapeError
        at += 8 + _padded(length)
    return at


def text_memo(text: bytes) -> Memo:
    """As Horizon shows it: what is not UTF-8, and NUL, which PostgreSQL's text cannot hold, become U+FFFD."""
    return Memo("text", text.decode("utf-8", "replace").replace("\0", "\ufffd"))


def hash_memo(kind: str, value: bytes) -> Memo:
    """`hash` or `return`, in base64 as Horizon shows it."""
    return Memo(kind, base64.b64encode(value).decode())


@lru_cache(maxsize=4096)
def encode_account(key: bytes) -> str:
    """The address (`G…`) of a key; raises ValueError if it is none."""
    return StrKey.encode_ed25519_public_key(key)


@lru_cache(maxsize=4096)
def _base(key: bytes) -> Address:
    return Address(encode_account(key))


def _padded(length: int) -> int:
    return (length + 3) // 4 * 4
