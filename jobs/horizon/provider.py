"""What a run needs of whoever answers for the chain: Horizon, or Stellar RPC in its place.

One object is one server, because a proof needs the watermark and the absence from the same one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import Protocol

from jobs.horizon.model import Frozen, Lookup, Root, Watermark


class Provider(Protocol):
    """One server's answers by hash, with the meaning that `jobs/horizon/client.py` gives them."""

    server: str
    frozen: Frozen | None

    @property
    def requests(self) -> int: ...
    @property
    def silent(self) -> int: ...
    async def root(self) -> Root: ...
    async def watermark(self) -> Watermark | Frozen: ...
    def lookup_many(self, hashes: Iterable[str], concurrency: int | None = None) -> AsyncGenerator[Lookup, None]: ...
    async def canary(self) -> bool | None: ...
    async def account_sequence(self, account: str) -> tuple[int, int]: ...
    async def transactions_of_balance(self, balance_id: str) -> list[Lookup]: ...
