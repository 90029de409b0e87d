"""A receiver's address as text (`G…` or `M…`) to base account and id, as SEP-23 defines it.

Pure, because the rules compare addresses and stay free of any library of the network.
"""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache

from jobs.horizon.model import Address

_ACCOUNT, _MUXED = 6 << 3, 12 << 3
_LENGTHS = {56: _ACCOUNT, 69: _MUXED}


@lru_cache(maxsize=4096)
def parse_address(text: str | None) -> Address | None:
    """The address that a text names; None if it names none: another kind of key, cut off, or a checksum that differs."""
    version = _LENGTHS.get(len(text or ""))
    if text is None or version is None:
        return None
    try:
        raw = base64.b32decode(text + "=" * (-len(text) % 8))
    except (ValueError, binascii.Error):
        return None
    if raw[0] != version or _encode(raw[:-2]) != text:
        return None
    if version == _ACCOUNT:
        return Address(text)
    return Address(_encode(bytes([_ACCOUNT]) + raw[1:33]), int.from_bytes(raw[33:41], "big"))


def _encode(body: bytes) -> str:
    checksum = binascii.crc_hqx(body, 0).to_bytes(2, "little")
    return base64.b32encode(body + checksum).decode().rstrip("=")
